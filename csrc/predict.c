/* With as many tiles as workers, each worker computes tiles of its own; with fewer, all workers
 * share one.  Both do the same parts, so both give the same bits. */
#include "predict.h"

#include <math.h>
#include <stddef.h>

#include "error.h"
#include "memory.h"
#include "pixels.h"
#include "pool.h"
#include "predict_features.h"
#include "program.h"

enum { CACHED = 2 };

static const int64_t MOST_FRAMES = (int64_t)2 << 30; /* bytes for tiles computed side by side */

struct ready {
    struct program *program;
    struct packed *packed;
    struct frame *frames; /* kept: touching new pages costs a tenth of a tile */
    int frame_count, frame_workers;
    uint64_t used; /* when, to drop the least recent */
};

struct predictor {
    struct ready ready[CACHED];
    uint64_t clock;
    struct feature_predictor features;
};

int32_t predictor_new(struct predictor **out)
{
    return (*out = memory_new(1, sizeof **out)) ? CEM_OK : CEM_EMEMORY;
}

static void drop_frames(struct ready *ready)
{
    for (int i = 0; i < ready->frame_count; i++) frame_free(&ready->frames[i]);
    memory_free(ready->frames);
    ready->frames = NULL;
    ready->frame_count = 0;
}

/* `count` frames for `workers` workers each. */
static int32_t make_frames(struct ready *ready, int count, int workers)
{
    int32_t status = CEM_OK;

    if (ready->frame_count == count && ready->frame_workers == workers) return CEM_OK;
    drop_frames(ready);
    if (!(ready->frames = memory_new(count, sizeof *ready->frames))) return CEM_EMEMORY;
    ready->frame_workers = workers;
    while (ready->frame_count < count && status == CEM_OK) {
        status = frame_new(&ready->frames[ready->frame_count], ready->program, workers);
        ready->frame_count += status == CEM_OK;
    }
    if (status != CEM_OK) drop_frames(ready);
    return status;
}

static void drop(struct ready *ready)
{
    drop_frames(ready);
    packed_free(ready->packed);
    program_free(ready->program);
    *ready = (struct ready){0};
}

void predictor_free(struct predictor *predictor)
{
    if (!predictor) return;
    for (int i = 0; i < CACHED; i++) drop(&predictor->ready[i]);
    feature_predictor_free(&predictor->features);
    memory_free(predictor);
}

static bool fits(const struct ready *ready, const struct model *model, int64_t rows,
                 int64_t columns)
{
    const struct program *p = ready->program;

    return p && p->network == model->network && p->options.height == rows &&
           p->options.width == columns;
}

/* The program for tiles of (rows, columns), made if need be, with the weights of now. */
static int32_t make_ready(struct ready **out, struct predictor *predictor,
                          const struct model *model, int64_t rows, int64_t columns, int threads)
{
    struct program_options options = {
        .kind = PROGRAM_PREDICT, .samples = 1, .height = rows, .width = columns};
    struct ready *ready = &predictor->ready[0];
    int32_t status = CEM_OK;

    for (int i = 0; i < CACHED && !fits(ready, model, rows, columns); i++)
        if (fits(&predictor->ready[i], model, rows, columns) ||
            predictor->ready[i].used < ready->used)
            ready = &predictor->ready[i];
    if (!fits(ready, model, rows, columns)) {
        drop(ready);
        status = program_new(&ready->program, model->network, &options, threads);
    }
    if (status == CEM_OK && ready->packed && ready->packed->version != model->parameters.version) {
        packed_free(ready->packed);
        ready->packed = NULL;
    }
    if (status == CEM_OK && !ready->packed)
        status = packed_new(&ready->packed, ready->program, &model->parameters, threads);
    if (status != CEM_OK) drop(ready);
    ready->used = ++predictor->clock;
    *out = ready;
    return status;
}

int32_t predict_read_tile(float *tile, const struct stack *stack, int64_t slice, int64_t y,
                          int64_t x, int64_t rows, int64_t columns)
{
    int64_t inside = x + columns <= stack->width ? columns : stack->width - x;

    for (int64_t row = 0; row < rows; row++) {
        int64_t line = slice * stack->height + tiling_reflect(y + row, stack->height);
        float *to = tile + row * columns;
        if (!pixels_scale(to, stack->pixels, stack->type, line * stack->width + x, inside,
                          stack->intensity.offset, stack->intensity.scale))
            return error_set(CEM_EARGUMENT,
                             "slice %lld has a value that is not finite in row %lld; replace such "
                             "values first",
                             (long long)slice, (long long)(line % stack->height));
        for (int64_t i = inside; i < columns; i++)
            pixels_scale(to + i, stack->pixels, stack->type,
                         line * stack->width + tiling_reflect(x + i, stack->width), 1,
                         stack->intensity.offset, stack->intensity.scale);
    }
    return CEM_OK;
}

void predict_probabilities(float *probabilities, const float *logits, int outputs)
{
    float largest = logits[0], sum = 0;

    if (outputs == 1) {
        probabilities[1] = 1 / (1 + expf(-logits[0]));
        probabilities[0] = 1 / (1 + expf(logits[0]));
        return;
    }
    for (int i = 1; i < outputs; i++) largest = logits[i] > largest ? logits[i] : largest;
    for (int i = 0; i < outputs; i++) sum += probabilities[i] = expf(logits[i] - largest);
    for (int i = 0; i < outputs; i++) probabilities[i] /= sum;
}

int predict_class(const float *probabilities, int64_t step, int classes, double threshold)
{
    int best = threshold < 0 ? 0 : 1;

    if (threshold >= 0 && !(1 - (double)probabilities[0] >= threshold)) return 0;
    for (int c = best + 1; c < classes; c++)
        if (probabilities[c * step] > probabilities[best * step]) best = c;
    return best;
}

/* A call of predict_run. */
struct call {
    float *out;
    const struct stack *stack;
    struct tiling tiling;
    int64_t first; /* tile of the whole grid */
    int maps;      /* planes of `out` a slice */
    int outputs;
    bool logits;
    struct program_run run;
    struct frame *frames; /* of each worker */
    const _Atomic int32_t *cancel;
};

static void write_core(const struct call *call, const float *logits, int64_t slice,
                       const struct interval *y, const struct interval *x)
{
    int64_t height = call->stack->height, width = call->stack->width, plane = height * width;
    float values[256];

    for (int64_t row = y->first; row < y->last; row++)
        for (int64_t column = x->first; column < x->last; column++) {
            int64_t at = (row - y->start) * call->tiling.x.side + column - x->start;
            const float *from = logits + at * call->outputs;
            float *to = call->out + slice * call->maps * plane + row * width + column;
            if (!call->logits) {
                predict_probabilities(values, from, call->outputs);
                from = values;
            }
            for (int map = 0; map < call->maps; map++) to[map * plane] = from[map];
        }
}

/* Reads tile `number` into the frame and finds its place; runs with `threads`, or alone if 0. */
static int32_t compute_tile(const struct call *call, int64_t number, const struct frame *frame,
                            int threads)
{
    const struct program *program = call->run.program;
    int64_t tiles = tiling_count(&call->tiling), slice = number / tiles;
    struct program_run run = call->run;
    struct interval y, x;
    int32_t status;

    tiling_tile(&y, &x, &call->tiling, number % tiles);
    run.frame = frame;
    status = predict_read_tile(frame_value(frame, program, program->image), call->stack, slice,
                               y.start, x.start, call->tiling.y.side, call->tiling.x.side);
    if (status == CEM_OK)
        status = threads ? program_run(&run, threads, call->cancel)
                         : program_run_alone(&run, call->cancel);
    if (status == CEM_OK)
        write_core(call, frame_value(frame, program, program->logits), slice, &y, &x);
    return status;
}

struct side_by_side {
    const struct call *call;
    int64_t tiles;
};

static int64_t own_tiles(void *context, int64_t step)
{
    (void)step;
    return ((const struct side_by_side *)context)->tiles;
}

static int32_t compute_own_tile(void *context, int64_t step, int64_t part, int worker)
{
    const struct call *call = ((const struct side_by_side *)context)->call;

    (void)step;
    return compute_tile(call, call->first + part, &call->frames[worker], 0);
}

static int32_t compute_side_by_side(const struct call *call, int64_t tiles, int threads)
{
    struct side_by_side context = {call, tiles};
    struct pool_job job = {.steps = 1,
                           .parts = own_tiles,
                           .run = compute_own_tile,
                           .context = &context,
                           .cancel = call->cancel,
                           .poll_parts = 1};

    return pool_run(&job, threads);
}

static int32_t compute_in_turn(const struct call *call, int64_t tiles, int threads)
{
    int32_t status = CEM_OK;

    for (int64_t tile = 0; tile < tiles && status == CEM_OK; tile++)
        status = compute_tile(call, call->first + tile, &call->frames[0], threads);
    return status;
}

static int32_t compute(struct call *call, struct ready *ready, int64_t tiles, int threads)
{
    bool own = tiles >= threads && threads * ready->program->arena <= MOST_FRAMES;
    int32_t status = make_frames(ready, own ? threads : 1, own ? 1 : threads);

    if (status != CEM_OK) return status;
    call->frames = ready->frames;
    return own ? compute_side_by_side(call, tiles, threads) : compute_in_turn(call, tiles, threads);
}

/* The tiles of one slice, by the decoder alone where the features are known. */
static int32_t compute_from_features(const struct call *call, struct feature_predictor *features,
                                     const struct model *model, const cem_predict_options *options,
                                     int64_t tiles)
{
    int32_t status = feature_predictor_prepare(features, model, call->stack, options,
                                               call->tiling.y.side, call->tiling.x.side);

    for (int64_t tile = call->first; tile < call->first + tiles && status == CEM_OK; tile++) {
        struct interval y, x;
        const float *logits;
        tiling_tile(&y, &x, &call->tiling, tile);
        status = feature_predictor_run(&logits, features, model, call->stack, options, tile,
                                       y.start, x.start, call->cancel);
        if (status == CEM_OK) write_core(call, logits, 0, &y, &x);
    }
    return status;
}

int32_t predict_run(float *out, struct predictor *predictor, const struct model *model,
                    const struct stack *stack, const cem_predict_options *options,
                    const _Atomic int32_t *cancel)
{
    struct call call = {.out = out,
                        .stack = stack,
                        .tiling =
                            tiling_make(stack->height, stack->width, options->tile, options->halo),
                        .first = options->first_tile,
                        .outputs = model->network->outputs,
                        .logits = options->output == CEM_LOGITS,
                        .cancel = cancel};
    int64_t left = stack->depth * tiling_count(&call.tiling) - options->first_tile;
    int64_t tiles = options->tiles < 0 || options->tiles > left ? left : options->tiles;
    struct ready *ready;
    int32_t status;

    if (tiles <= 0) return CEM_OK;
    call.maps = call.logits || call.outputs > 1 ? call.outputs : 2;
    if (options->slice >= 0)
        return compute_from_features(&call, &predictor->features, model, options, tiles);
    status = make_ready(&ready, predictor, model, call.tiling.y.side, call.tiling.x.side,
                        options->threads);
    if (status != CEM_OK) return status;
    call.run = (struct program_run){.program = ready->program,
                                    .packed = ready->packed,
                                    .parameters = &model->parameters,
                                    .last = ready->program->phase_count};
    return compute(&call, ready, tiles, options->threads);
}
