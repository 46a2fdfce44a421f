/* One forward and backward pass of the whole network against PyTorch in float64: the loss, the
 * gradient of every tensor, the running statistics, with every choice of what trains. */
#include "check.h"
#include "error.h"
#include "golden.h"
#include "loss.h"
#include "memory.h"
#include "model.h"
#include "program.h"

enum { SIDE = 64, SAMPLES = 2, PIXELS = SIDE * SIDE, THREADS = 2 };

static const uint64_t KEYS[SAMPLES] = {10, 11};
static const int32_t WIDTHS[NETWORK_BLOCKS] = {256, 128, 64, 32, 16};
static const double WEIGHTS[] = {0.1, 1, 1, 3};

/* float32 strays from float64 by up to 2e-5 here, whoever computes it. */
static const double TOLERANCE = 1e-4;

/* ---- one pass ---- */

struct pass {
    struct network *network;
    struct parameters parameters;
    struct program *program, *encoder;
    struct packed *packed, *encoder_packed;
    struct frame frame, encoder_frame;
    float *gradient, *batch;
    int16_t target[SAMPLES * PIXELS];
    int64_t origin;
    double loss;
};

static int32_t plan(struct program **program, struct packed **packed, struct frame *frame,
                    const struct pass *pass, const struct program_options *options)
{
    int32_t status = program_new(program, pass->network, options, THREADS);

    if (status == CEM_OK) status = packed_new(packed, *program, &pass->parameters, THREADS);
    return status == CEM_OK ? frame_new(frame, *program, THREADS) : status;
}

static void fill_images(float *to, int first, int count)
{
    for (int i = 0; i < count * PIXELS; i++)
        to[i] = golden_input(KEYS[first + i / PIXELS], i % PIXELS / SIDE, i % SIDE);
}

/* Features of the samples, encoded with the running statistics, into the inputs of the program. */
static int32_t fill_features(struct pass *pass)
{
    struct program_options options = {
        .kind = PROGRAM_ENCODE, .samples = 1, .height = SIDE, .width = SIDE};
    int32_t status =
        plan(&pass->encoder, &pass->encoder_packed, &pass->encoder_frame, pass, &options);

    for (int sample = 0; sample < SAMPLES && status == CEM_OK; sample++) {
        const struct program *p = pass->encoder;
        struct program_run run = {.program = p,
                                  .frame = &pass->encoder_frame,
                                  .packed = pass->encoder_packed,
                                  .last = p->phase_count};
        fill_images(frame_value(&pass->encoder_frame, p, p->image), sample, 1);
        status = program_run(&run, THREADS, NULL);
        for (int i = 0; i < NETWORK_BLOCKS; i++) {
            int64_t floats = p->values[p->features[i]].bytes / (int64_t)sizeof(float);
            float *to = frame_value(&pass->frame, pass->program, pass->program->features[i]);
            memcpy(to + sample * floats, frame_value(&pass->encoder_frame, p, p->features[i]),
                   (size_t)floats * sizeof *to);
        }
    }
    return status;
}

static void compute_loss(struct pass *pass, bool interactive)
{
    const struct program *p = pass->program;
    int outputs = pass->network->outputs, classes = outputs == 1 ? 2 : outputs;
    int64_t totals[256] = {0};
    float weights[256];

    for (int i = 0; i < SAMPLES * PIXELS; i++) {
        int sample = i / PIXELS, y = i % PIXELS / SIDE, x = i % SIDE;
        pass->target[i] = interactive ? golden_stroke(sample, classes, y, x)
                                      : golden_class(KEYS[sample], classes, y, x);
    }
    loss_count(totals, pass->target, SAMPLES * PIXELS);
    loss_weights(weights, totals, classes, interactive ? LOSS_BALANCED : LOSS_PLAIN,
                 classes == 4 && !interactive ? WEIGHTS : NULL);
    pass->loss = loss_backward(frame_value(&pass->frame, p, p->logits_gradient),
                               frame_value(&pass->frame, p, p->logits), pass->target, weights,
                               SAMPLES * PIXELS, outputs);
}

static int32_t run_pass(struct pass *pass, const struct program_options *options)
{
    struct program_run run;
    int32_t status;

    if ((status = plan(&pass->program, &pass->packed, &pass->frame, pass, options)) != CEM_OK)
        return status;
    if (options->from_features) status = fill_features(pass);
    else fill_images(frame_value(&pass->frame, pass->program, pass->program->image), 0, SAMPLES);
    if (status != CEM_OK) return status;
    run = (struct program_run){.program = pass->program,
                               .frame = &pass->frame,
                               .packed = pass->packed,
                               .parameters = &pass->parameters,
                               .gradient = pass->gradient,
                               .origin = pass->origin,
                               .batch = pass->batch,
                               .last = pass->program->forward_phases};
    if ((status = program_run(&run, THREADS, NULL)) != CEM_OK) return status;
    compute_loss(pass, options->from_features);
    run.first = run.last;
    run.last = pass->program->phase_count;
    return program_run(&run, THREADS, NULL);
}

/* A forward and backward pass over the two samples, with the formula's weights. */
static int32_t pass_new(struct pass **out, int outputs, const struct program_options *options)
{
    struct pass *pass = memory_new(1, sizeof *pass);
    int32_t status = CEM_EMEMORY;
    int64_t count;

    *out = pass;
    if (!pass || (status = network_new(&pass->network, outputs, WIDTHS)) != CEM_OK ||
        (status = parameters_new(&pass->parameters, pass->network)) != CEM_OK)
        return status;
    golden_parameters(pass->parameters.values, pass->network);
    pass->parameters.version = model_next_version();
    if (options->from_features) pass->origin = pass->network->layers[pass->network->encoder].weight;
    count = pass->network->parameters - pass->origin;
    pass->gradient = memory_new(count, sizeof *pass->gradient);
    pass->batch = memory_new(count, sizeof *pass->batch);
    return pass->gradient && pass->batch ? run_pass(pass, options) : CEM_EMEMORY;
}

static void pass_free(struct pass *pass)
{
    frame_free(&pass->frame);
    frame_free(&pass->encoder_frame);
    packed_free(pass->packed);
    packed_free(pass->encoder_packed);
    program_free(pass->program);
    program_free(pass->encoder);
    parameters_free(&pass->parameters);
    network_free(pass->network);
    memory_free(pass->gradient);
    memory_free(pass->batch);
    memory_free(pass);
}

/* ---- comparing ---- */

/* True if the tensor's gradient, or for a running statistic its value after the pass, is PyTorch's.
 */
static bool tensor_agrees(const struct pass *pass, const struct network_tensor *tensor,
                          const struct safetensors *file, const char *part)
{
    float *have = (tensor->trainable ? pass->gradient : pass->batch) + tensor->place - pass->origin;
    const float *before = pass->parameters.values + tensor->place;
    double off;

    for (int64_t i = 0; !tensor->trainable && i < tensor->count; i++)
        have[i] = (float)(0.9 * before[i] + 0.1 * have[i]);
    off =
        golden_deviation(tensor->name, have, tensor->count, golden_find(file, part, tensor->name));
    if (off <= TOLERANCE) return true;
    printf("%s: %s is off by %.1e\n", part, tensor->name, off);
    return false;
}

/* Compares everything that trains, and the statistics; returns how many tensors trained, or -1. */
static int compare(const struct pass *pass, const struct program_options *options, const char *part)
{
    struct safetensors *file = golden_open("gradients");
    double loss = *(const double *)golden_find(file, part, "loss");
    bool agrees = fabs(pass->loss - loss) <= 1e-5 * loss;
    int trained = 0;

    if (!agrees) printf("%s: the loss is %.8f, not %.8f\n", part, pass->loss, loss);
    for (int i = 0; i < pass->network->tensors; i++) {
        struct network_tensor tensor;
        const struct layer *layer;
        bool norm, trains;

        network_tensor_get(&tensor, pass->network, i);
        layer = &pass->network->layers[tensor.layer];
        if (tensor.place < pass->origin) continue;
        norm = tensor.place != layer->weight && tensor.place != layer->offset;
        trains = tensor.trainable &&
                 network_trains(layer, options->first_stage, options->train_norms, norm);
        if (tensor.trainable && !trains) continue;
        trained += trains;
        agrees &= tensor_agrees(pass, &tensor, file, part);
    }
    safetensors_free(file);
    return agrees ? trained : -1;
}

/* The number of tensors that trained and agree with PyTorch, -1 if any does not. */
static int gradients(int outputs, bool interactive, int first_stage, bool train_norms)
{
    struct program_options options = {.kind = PROGRAM_TRAIN,
                                      .samples = SAMPLES,
                                      .height = SIDE,
                                      .width = SIDE,
                                      .from_features = interactive,
                                      .first_stage = first_stage,
                                      .train_norms = train_norms};
    struct pass *pass;
    char part[32];
    int trained = -1;

    snprintf(part, sizeof part, "%s.%d", interactive ? "interactive" : "dense", outputs);
    if (pass_new(&pass, outputs, &options) == CEM_OK) trained = compare(pass, &options, part);
    else printf("%s\n", error_line());
    if (pass) pass_free(pass);
    return trained;
}

/* ---- tests ---- */

static void the_formula_gives_the_numbers_that_python_gets(void)
{
    struct safetensors *file = golden_open("formula");
    struct network *network;
    float *values;
    int compared = 0;

    CHECK_EQ(network_new(&network, 4, WIDTHS), CEM_OK);
    CHECK((values = memory_new(network->parameters, sizeof *values)));
    golden_parameters(values, network);
    for (int i = 0; i < network->tensors; i++) {
        struct network_tensor tensor;
        const struct safetensors_entry *entry;
        network_tensor_get(&tensor, network, i);
        entry = safetensors_find(file, tensor.name);
        for (int k = 0; entry && k < GOLDEN_SAMPLES; k++, compared++) {
            int64_t at = tensor.place + golden_sample(tensor.name, k, tensor.count);
            CHECK(values[at] == ((const float *)entry->data)[k]);
        }
    }
    CHECK(compared > 30 * GOLDEN_SAMPLES);
    for (uint64_t key = 0; key <= KEYS[1]; key += KEYS[1]) {
        char name[8];
        snprintf(name, sizeof name, "%d", (int)key);
        const float *grey = golden_find(file, "image", name);
        const float *class = golden_find(file, "classes", name);
        for (int i = 0; i < 202; i++) {
            CHECK_EQ(golden_pixel(key, i / 101, i % 101), grey[i]);
            CHECK_EQ(golden_class(key, 4, i / 101, i % 101), class[i]);
        }
    }
    memory_free(values);
    network_free(network);
    safetensors_free(file);
}

static void every_gradient_of_a_binary_network_is_pytorchs(void)
{
    CHECK_EQ(gradients(1, false, 0, false), 191);
}

static void every_gradient_with_four_weighted_classes_is_pytorchs(void)
{
    CHECK_EQ(gradients(4, false, 0, false), 191);
}

static void a_frozen_stem_and_stages_leave_the_other_gradients_as_they_are(void)
{
    CHECK_EQ(gradients(1, false, 4, false), 32 + 30);
}

static void a_frozen_encoder_leaves_the_decoders_gradients_as_they_are(void)
{
    CHECK_EQ(gradients(4, false, 5, false), 32);
}

static void norms_of_a_frozen_encoder_can_train(void)
{
    CHECK_EQ(gradients(1, false, 5, true), 32 + 106);
}

static void strokes_train_the_decoder_of_a_binary_network_as_in_pytorch(void)
{
    CHECK_EQ(gradients(1, true, 5, false), 32);
}

static void strokes_of_three_in_four_classes_train_the_decoder_as_in_pytorch(void)
{
    CHECK_EQ(gradients(4, true, 5, false), 32);
}

int main(void)
{
    RUN(the_formula_gives_the_numbers_that_python_gets);
    RUN(every_gradient_of_a_binary_network_is_pytorchs);
    RUN(every_gradient_with_four_weighted_classes_is_pytorchs);
    RUN(a_frozen_stem_and_stages_leave_the_other_gradients_as_they_are);
    RUN(a_frozen_encoder_leaves_the_decoders_gradients_as_they_are);
    RUN(norms_of_a_frozen_encoder_can_train);
    RUN(strokes_train_the_decoder_of_a_binary_network_as_in_pytorch);
    RUN(strokes_of_three_in_four_classes_train_the_decoder_as_in_pytorch);
    return CHECK_DONE();
}
