/* Held-out strokes: measured, the best state kept, the threshold calibrated; commit and revert. */
#include <stddef.h>
#include <string.h>

#include "error.h"
#include "memory.h"
#include "strokes.h"
#include "trainer.h"

/* What the network says of every held-out pixel. */
struct verdicts {
    float *foreground; /* 1 - p(background) */
    uint8_t *is_foreground;
    int16_t *truth, *predicted;
    int64_t count;
    int64_t histogram[STROKES_BINS]; /* of `foreground` over all pixels of the tiles */
};

static int32_t verdicts_new(struct verdicts *v, int64_t pixels)
{
    v->foreground = memory_new(pixels, sizeof *v->foreground);
    v->is_foreground = memory_new(pixels, sizeof *v->is_foreground);
    v->truth = memory_new(pixels, sizeof *v->truth);
    v->predicted = memory_new(pixels, sizeof *v->predicted);
    return v->foreground && v->is_foreground && v->truth && v->predicted ? CEM_OK : CEM_EMEMORY;
}

static void verdicts_free(struct verdicts *v)
{
    memory_free(v->foreground);
    memory_free(v->is_foreground);
    memory_free(v->truth);
    memory_free(v->predicted);
}

static int32_t prepare_decode(struct trainer *t)
{
    struct program_options options = {
        .kind = PROGRAM_DECODE, .samples = 1, .height = t->side, .width = t->side};

    if (t->decode.program && t->decode.program->options.height == t->side) {
        packed_free(t->decode.packed);
        t->decode.packed = NULL;
        return packed_new(&t->decode.packed, t->decode.program, &t->model->parameters,
                          t->options.threads);
    }
    return engine_new(&t->decode, t->model, &options, t->options.threads);
}

static int bin_of(float p)
{
    int bin = (int)(p * STROKES_BINS);

    return bin < STROKES_BINS ? bin : STROKES_BINS - 1;
}

/* Appends the held-out pixels of the tile's core, so that each pixel is taken once. */
static void judge_tile(struct verdicts *v, const struct trainer *t, const struct trainer_tile *tile,
                       const float *logits)
{
    const struct trainer_image *image = &t->images[tile->image];
    struct tiling tiling = trainer_tiling(t, image);
    int outputs = t->model->network->outputs, classes = t->facts.classes;
    struct interval y, x;
    float p[256];

    tiling_tile(&y, &x, &tiling, tile->number);
    for (int64_t row = y.first; row < y.last; row++)
        for (int64_t column = x.first; column < x.last; column++) {
            int64_t at = row * image->stack.width + column, i = v->count;
            predict_probabilities(
                p, logits + ((row - y.start) * t->side + column - x.start) * outputs, outputs);
            v->histogram[bin_of(1 - p[0])]++;
            if (!image->held_out[at]) continue;
            v->foreground[i] = 1 - p[0];
            v->truth[i] = image->labels[at];
            v->is_foreground[i] = image->labels[at] > 0;
            v->predicted[i] = (int16_t)predict_class(p, 1, classes, -1);
            v->count++;
        }
}

static int32_t judge(struct verdicts *v, struct trainer *t, const _Atomic int32_t *cancel)
{
    int32_t status = prepare_decode(t);
    const struct program *p = t->decode.program;

    for (int64_t i = 0; i < t->tile_count && status == CEM_OK; i++) {
        struct program_run run = {.program = p,
                                  .frame = &t->decode.frame,
                                  .packed = t->decode.packed,
                                  .parameters = &t->model->parameters,
                                  .last = p->phase_count};
        const float *features;
        if (!t->tiles[i].held_out) continue;
        status = trainer_features(&features, t, &t->tiles[i], 0, cancel);
        if (status != CEM_OK) break;
        engine_place_features(&t->decode, features, 0);
        status = program_run(&run, t->options.threads, cancel);
        if (status == CEM_OK)
            judge_tile(v, t, &t->tiles[i], frame_value(&t->decode.frame, p, p->logits));
    }
    return status;
}

/* IoU of each class over the held-out pixels, and their mean over the classes that have some. */
static double count_iou(double *iou, int64_t *pixels, const struct verdicts *v, int classes)
{
    double mean = 0;
    int present = 0;

    for (int c = 0; c < classes; c++) {
        int64_t both = 0, either = 0;
        pixels[c] = 0;
        for (int64_t i = 0; i < v->count; i++) {
            bool truth = v->truth[i] == c, predicted = v->predicted[i] == c;
            both += truth && predicted;
            either += truth || predicted;
            pixels[c] += truth;
        }
        iou[c] = pixels[c] ? (double)both / (double)either : -1;
        mean += pixels[c] ? iou[c] : 0;
        present += pixels[c] > 0;
    }
    return present ? mean / present : -1;
}

static int32_t keep_best(struct trainer *t, double iou, const struct verdicts *v)
{
    int32_t status = CEM_OK;

    if (!t->best) status = model_copy(&t->best, t->model);
    else parameters_copy(&t->best->parameters, &t->model->parameters, t->model->network);
    if (status != CEM_OK) return status;
    t->best_iou = iou;
    return card_set_threshold(
        t->best->card,
        strokes_threshold(v->foreground, v->is_foreground, v->count, strokes_share(v->histogram)));
}

int32_t trainer_evaluate(double *iou, int64_t *pixels, struct trainer *t,
                         const _Atomic int32_t *cancel)
{
    struct verdicts verdicts = {0};
    int32_t status = trainer_prepare(t, cancel);
    double mean;

    if (status != CEM_OK) return status;
    for (int c = 0; c < t->facts.classes; c++) {
        iou[c] = -1;
        pixels[c] = 0;
    }
    if (!t->held_out) return CEM_OK;
    if ((status = verdicts_new(&verdicts, t->held_out)) != CEM_OK) goto done;
    if ((status = judge(&verdicts, t, cancel)) != CEM_OK) goto done;
    mean = count_iou(iou, pixels, &verdicts, t->facts.classes);
    if (mean > t->best_iou) status = keep_best(t, mean, &verdicts);
done:
    verdicts_free(&verdicts);
    return status;
}

/* ---- commit and revert ---- */

static int32_t take_threshold(struct model *to, const struct model *from)
{
    struct card_facts facts;

    card_read(&facts, from->card);
    return card_set_threshold(to->card, facts.threshold);
}

/* Weights and threshold of `from` into `to`. */
static int32_t take(struct model *to, const struct model *from)
{
    int32_t status = take_threshold(to, from);

    if (status == CEM_OK) parameters_copy(&to->parameters, &from->parameters, to->network);
    return status;
}

int32_t trainer_snapshot(struct trainer *t, struct model *model)
{
    int32_t status = model_check_same_network(t->model, model);

    if (status == CEM_OK) status = take_threshold(model, t->best ? t->best : t->model);
    if (status == CEM_OK)
        parameters_copy(&model->parameters, &t->model->parameters, model->network);
    return status;
}

int32_t trainer_commit(struct trainer *t, struct model *model)
{
    struct model *before = NULL;
    int32_t status = model_check_same_network(t->model, model);

    if (status != CEM_OK) return status;
    if ((status = model_copy(&before, model)) != CEM_OK) return status;
    if ((status = take(model, t->best ? t->best : t->model)) != CEM_OK) {
        model_free(before);
        return status;
    }
    model_free(t->previous);
    t->previous = before;
    return CEM_OK;
}

int32_t trainer_restart(struct trainer *t, struct model *model)
{
    int64_t count = t->model->network->parameters - t->origin;
    int32_t status = model_check_same_network(t->model, model);

    if (status == CEM_OK) status = take(t->model, model);
    if (status != CEM_OK) return status;
    memset(t->first_moment, 0, (size_t)count * sizeof *t->first_moment);
    memset(t->second_moment, 0, (size_t)count * sizeof *t->second_moment);
    t->updates = 0;
    engine_free(&t->train);
    t->restated = !t->options.restatistics || t->options.recipe != CEM_INTERACTIVE;
    t->best_iou = -1;
    model_free(t->best);
    t->best = NULL;
    return CEM_OK;
}

int32_t trainer_revert(struct trainer *t, struct model *model)
{
    int32_t status = model_check_same_network(t->model, model);

    if (status != CEM_OK) return status;
    if (!t->previous)
        return error_set(CEM_EARGUMENT, "there is nothing to go back to; no round was committed");
    if ((status = take(model, t->previous)) != CEM_OK) return status;
    if ((status = trainer_restart(t, t->previous)) != CEM_OK) return status;
    model_free(t->previous);
    t->previous = NULL;
    return CEM_OK;
}
