/* Making and ending a trainer, and its step. */
#include "trainer.h"

#include <stddef.h>
#include <string.h>

#include "error.h"
#include "loss.h"
#include "memory.h"
#include "optimizer.h"
#include "pool.h"
#include "schedule.h"

enum { CHUNK = 1 << 16 }; /* floats a worker updates at a time */

static const double NORM_MOMENTUM = 0.1; /* of the running statistics, PyTorch's default */

/* ---- making and ending ---- */

/* The floats that train, in spans of at most CHUNK. */
static void list_spans(struct trainer *t, struct span *out)
{
    struct network_tensor tensor;

    t->span_count = 0;
    for (int i = 0; i < t->model->network->tensors; i++) {
        const struct layer *layer;
        bool norms;
        network_tensor_get(&tensor, t->model->network, i);
        layer = &t->model->network->layers[tensor.layer];
        norms = tensor.place != layer->weight && tensor.place != layer->offset;
        if (!tensor.trainable ||
            !network_trains(layer, t->options.first_stage, t->options.train_norms != 0, norms))
            continue;
        for (int64_t at = 0; at < tensor.count; at += CHUNK, t->span_count++) {
            int64_t end = at + CHUNK < tensor.count ? at + CHUNK : tensor.count;
            if (out)
                out[t->span_count] = (struct span){.first = tensor.place + at,
                                                   .last = tensor.place + end,
                                                   .head = layer->stage == STAGE_HEAD};
        }
    }
}

static int32_t copy_options(struct trainer *t, const cem_trainer_options *from)
{
    double *weights = NULL;
    int64_t *milestones = NULL;

    t->options = *from;
    t->options.class_weights = NULL;
    t->options.milestones = NULL;
    if (from->class_weights) {
        weights = memory_new(t->facts.classes, sizeof *weights);
        t->options.class_weights = weights;
        if (!weights) return CEM_EMEMORY;
        memcpy(weights, from->class_weights, (size_t)t->facts.classes * sizeof *weights);
    }
    if (from->milestones) {
        milestones = memory_new(from->milestone_count, sizeof *milestones);
        t->options.milestones = milestones;
        if (!milestones) return CEM_EMEMORY;
        memcpy(milestones, from->milestones, (size_t)from->milestone_count * sizeof *milestones);
    }
    return CEM_OK;
}

static int32_t allocate(struct trainer *t)
{
    const struct network *network = t->model->network;
    bool interactive = t->options.recipe == CEM_INTERACTIVE;
    int64_t count;

    t->origin = interactive ? network->layers[network->encoder].weight : 0;
    count = network->parameters - t->origin;
    list_spans(t, NULL);
    t->gradient = memory_new(count, sizeof *t->gradient);
    t->batch = memory_new(count, sizeof *t->batch);
    t->first_moment = memory_new(count, sizeof *t->first_moment);
    t->second_moment = memory_new(count, sizeof *t->second_moment);
    t->spans = memory_new(t->span_count, sizeof *t->spans);
    if (!t->gradient || !t->batch || !t->first_moment || !t->second_moment || !t->spans)
        return CEM_EMEMORY;
    list_spans(t, t->spans);
    return interactive ? feature_store_new(&t->features, t->options.feature_bytes) : CEM_OK;
}

int32_t trainer_new(struct trainer **out, const struct model *model,
                    const cem_trainer_options *options)
{
    struct trainer *t = memory_new(1, sizeof *t);
    int32_t status;

    if (!t) return CEM_EMEMORY;
    card_read(&t->facts, model->card);
    t->best_iou = -1;
    t->restated = !options->restatistics || options->recipe != CEM_INTERACTIVE;
    if ((status = copy_options(t, options)) != CEM_OK) goto done;
    if ((status = model_copy(&t->model, model)) != CEM_OK) goto done;
    if ((status = allocate(t)) != CEM_OK) goto done;
    *out = t;
    t = NULL;
done:
    trainer_free(t);
    return status;
}

static void free_image(struct trainer_image *image)
{
    memory_free((void *)(uintptr_t)image->stack.pixels);
    memory_free(image->labels);
    memory_free(image->held_out);
}

void trainer_free(struct trainer *t)
{
    if (!t) return;
    engine_free(&t->train);
    engine_free(&t->encode);
    engine_free(&t->decode);
    for (int i = 0; i < t->image_count; i++) free_image(&t->images[i]);
    memory_free(t->images);
    memory_free(t->tiles);
    memory_free(t->trained_tiles);
    memory_free(t->target);
    memory_free(t->gradient);
    memory_free(t->batch);
    memory_free(t->first_moment);
    memory_free(t->second_moment);
    memory_free(t->spans);
    memory_free((void *)(uintptr_t)t->options.class_weights);
    memory_free((void *)(uintptr_t)t->options.milestones);
    feature_store_free(t->features);
    model_free(t->model);
    model_free(t->best);
    model_free(t->previous);
    memory_free(t);
}

/* ---- getting ready ---- */

static int32_t prepare_train(struct trainer *t)
{
    bool interactive = t->options.recipe == CEM_INTERACTIVE;
    struct program_options options = {.kind = PROGRAM_TRAIN,
                                      .samples = t->options.batch,
                                      .height = t->side,
                                      .width = t->side,
                                      .from_features = interactive,
                                      .first_stage = t->options.first_stage,
                                      .train_norms = t->options.train_norms != 0};
    int32_t status;

    if (t->train.program && t->train.program->options.height == t->side) return CEM_OK;
    status = engine_new(&t->train, t->model, &options, t->options.threads);
    if (status != CEM_OK) return status;
    memory_free(t->target);
    t->target = memory_new(t->options.batch * t->side * t->side, sizeof *t->target);
    if (t->target) return CEM_OK;
    engine_free(&t->train);
    return CEM_EMEMORY;
}

static int32_t prepare_encode(struct trainer *t)
{
    struct program_options options = {
        .kind = PROGRAM_ENCODE, .samples = 1, .height = t->side, .width = t->side};

    if (t->options.recipe != CEM_INTERACTIVE) return CEM_OK;
    if (t->encode.program && t->encode.program->options.height == t->side &&
        t->encode.packed->encoder == t->model->parameters.encoder)
        return CEM_OK;
    return engine_new(&t->encode, t->model, &options, t->options.threads);
}

int32_t trainer_prepare(struct trainer *t, const _Atomic int32_t *cancel)
{
    int32_t status;

    if (t->image_count == 0)
        return error_set(CEM_EARGUMENT, "there is no annotated image; add one before training");
    if (t->images_changed && (status = trainer_survey(t)) != CEM_OK) return status;
    t->images_changed = false;
    if (!t->restated && (status = trainer_restate(t, cancel)) != CEM_OK) return status;
    t->restated = true;
    if ((status = prepare_train(t)) != CEM_OK) return status;
    return prepare_encode(t);
}

/* ---- a step ---- */

struct loss_job {
    const float *logits;
    float *gradient;
    const int16_t *target;
    float weights[256];
    double losses[64];
    int64_t pixels;
    int outputs;
};

static int32_t loss_of_sample(void *context, int64_t step, int64_t part, int worker)
{
    struct loss_job *job = context;
    int64_t at = part * job->pixels;

    (void)step, (void)worker;
    job->losses[part] =
        loss_backward(job->gradient + at * job->outputs, job->logits + at * job->outputs,
                      job->target + at, job->weights, job->pixels, job->outputs);
    return CEM_OK;
}

/* The batch's loss and the gradient of its logits; `*annotated` is false when nothing counts. */
static int32_t compute_loss(double *loss, bool *annotated, struct trainer *t)
{
    const struct program *p = t->train.program;
    struct loss_job job = {.logits = frame_value(&t->train.frame, p, p->logits),
                           .gradient = frame_value(&t->train.frame, p, p->logits_gradient),
                           .target = t->target,
                           .pixels = t->side * t->side,
                           .outputs = t->model->network->outputs};
    int64_t totals[256] = {0}, all = 0;
    bool interactive = t->options.recipe == CEM_INTERACTIVE;
    int32_t status;

    for (int64_t sample = 0; sample < t->options.batch; sample++)
        loss_count(totals, t->target + sample * job.pixels, job.pixels);
    for (int c = 0; c < t->facts.classes; c++) all += totals[c];
    *annotated = all > 0;
    loss_weights(job.weights, totals, t->facts.classes, interactive ? LOSS_BALANCED : LOSS_PLAIN,
                 t->options.class_weights);
    status = pool_for(t->options.threads, t->options.batch, loss_of_sample, &job);
    *loss = 0;
    for (int64_t sample = 0; sample < t->options.batch; sample++) *loss += job.losses[sample];
    return status;
}

struct update_job {
    struct trainer *trainer;
    double rate, momentum;
};

static int32_t update_span(void *context, int64_t step, int64_t part, int worker)
{
    const struct update_job *job = context;
    struct trainer *t = job->trainer;
    int64_t first = t->spans[part].first, count = t->spans[part].last - first;
    int64_t at = first - t->origin;
    float *values = t->model->parameters.values + first;
    const double rate = t->spans[part].head ? job->rate : job->rate * t->options.body_rate;

    (void)step, (void)worker;
    if (t->options.optimizer == CEM_ADAMW)
        optimizer_adamw(values, t->gradient + at, t->first_moment + at, t->second_moment + at,
                        count, rate, job->momentum, t->options.weight_decay, t->updates + 1);
    else
        optimizer_sgd(values, t->gradient + at, t->first_moment + at, count, rate, job->momentum,
                      t->options.weight_decay, t->updates + 1);
    return CEM_OK;
}

/* The running statistics of the batch norms the program ran. */
static void update_statistics(struct trainer *t)
{
    const struct network *network = t->model->network;
    int first = t->options.recipe == CEM_INTERACTIVE ? network->encoder : 0;
    float *values = t->model->parameters.values;

    for (int i = first; i < network->count; i++) {
        const struct layer *layer = &network->layers[i];
        if (!layer->norm[0]) continue;
        for (int64_t c = 0; c < 2 * (int64_t)layer->out; c++) { /* mean, then variance */
            float *running = values + layer->mean + c;
            double now = t->batch[layer->mean + c - t->origin];
            *running = (float)((1 - NORM_MOMENTUM) * *running + NORM_MOMENTUM * now);
        }
        t->model->parameters.batches[i]++;
    }
}

/* From here on a step is not interrupted: it happens whole. */
static int32_t update(double *rate, struct trainer *t)
{
    struct update_job job = {.trainer = t};
    int32_t status;

    schedule_at(&job.rate, &job.momentum, &t->options, t->step);
    status = pool_for(t->options.threads, t->span_count, update_span, &job);
    if (status != CEM_OK) return status;
    t->updates++;
    update_statistics(t);
    if (t->options.recipe == CEM_INTERACTIVE) t->model->parameters.version = model_next_version();
    else parameters_changed(&t->model->parameters);
    *rate = job.rate;
    return packed_renew(t->train.packed, t->train.program, &t->model->parameters,
                        t->options.threads);
}

static int32_t one_step(double *loss, double *rate, struct trainer *t,
                        const _Atomic int32_t *cancel)
{
    const struct program *p = t->train.program;
    struct program_run run = {.program = p,
                              .frame = &t->train.frame,
                              .packed = t->train.packed,
                              .parameters = &t->model->parameters,
                              .gradient = t->gradient,
                              .origin = t->origin,
                              .batch = t->batch,
                              .last = p->forward_phases};
    bool annotated;
    int32_t status;

    if ((status = trainer_fill_batch(t, cancel)) != CEM_OK) return status;
    if ((status = program_run(&run, t->options.threads, cancel)) != CEM_OK) return status;
    if ((status = compute_loss(loss, &annotated, t)) != CEM_OK) return status;
    if (annotated) {
        run.first = p->forward_phases;
        run.last = p->phase_count;
        status = program_run(&run, t->options.threads, cancel);
        if (status != CEM_OK || (status = update(rate, t)) != CEM_OK) return status;
    }
    t->step++;
    return CEM_OK;
}

int32_t trainer_step(cem_trainer_report *report, struct trainer *t, int64_t steps,
                     const _Atomic int32_t *cancel)
{
    double loss = 0, sum = 0, rate = 0;
    int64_t done = 0;
    int32_t status = trainer_prepare(t, cancel);

    for (; done < steps && status == CEM_OK; done++) {
        status = one_step(&loss, &rate, t, cancel);
        if (status == CEM_OK) sum += loss;
    }
    if (report && status == CEM_OK)
        *report = (cem_trainer_report){.step = t->step,
                                       .held_out = t->held_out,
                                       .loss = done ? sum / (double)done : 0,
                                       .rate = rate,
                                       .iou = t->best_iou};
    return status;
}
