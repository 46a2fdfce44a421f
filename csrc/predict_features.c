#include "predict_features.h"

#include <stddef.h>

#include "memory.h"

void feature_predictor_free(struct feature_predictor *predictor)
{
    feature_store_free(predictor->store);
    engine_free(&predictor->encode);
    engine_free(&predictor->decode);
    *predictor = (struct feature_predictor){0};
}

static bool fits(const struct engine *engine, const struct model *model, int64_t rows,
                 int64_t columns, int threads)
{
    const struct program *p = engine->program;

    return p && p->network == model->network && p->options.height == rows &&
           p->options.width == columns && threads <= engine->workers;
}

/* An encoder's weights are those of another model if its encoder is; a decoder's are packed again
 * whenever they changed. */
static int32_t prepare_engine(struct engine *engine, int kind, const struct model *model,
                              int64_t rows, int64_t columns, int threads)
{
    struct program_options options = {.kind = kind, .samples = 1, .height = rows, .width = columns};
    const struct parameters *now = &model->parameters;
    struct packed *packed = engine->packed;

    if (!fits(engine, model, rows, columns, threads))
        return engine_new(engine, model, &options, threads);
    if (kind == PROGRAM_ENCODE ? packed->encoder == now->encoder : packed->version == now->version)
        return CEM_OK;
    packed->version = 0; /* all, and not what trains alone */
    return packed_renew(packed, engine->program, now, threads);
}

static int32_t prepare_store(struct feature_predictor *p, const cem_intensity *intensity,
                             int64_t most_bytes)
{
    if (p->store && p->most_bytes == most_bytes && p->intensity.offset == intensity->offset &&
        p->intensity.scale == intensity->scale)
        return CEM_OK;
    feature_store_free(p->store);
    p->store = NULL;
    p->most_bytes = most_bytes;
    p->intensity = *intensity;
    return feature_store_new(&p->store, most_bytes);
}

int32_t feature_predictor_prepare(struct feature_predictor *p, const struct model *model,
                                  const struct stack *stack, const cem_predict_options *options,
                                  int64_t rows, int64_t columns)
{
    int threads = options->threads;
    int32_t status = prepare_store(p, &stack->intensity, options->feature_bytes);

    if (status == CEM_OK)
        status = prepare_engine(&p->encode, PROGRAM_ENCODE, model, rows, columns, threads);
    if (status == CEM_OK)
        status = prepare_engine(&p->decode, PROGRAM_DECODE, model, rows, columns, threads);
    return status;
}

static int32_t encode(float *out, struct feature_predictor *p, const struct model *model,
                      const struct stack *stack, int threads, int64_t y, int64_t x,
                      const _Atomic int32_t *cancel)
{
    const struct program *program = p->encode.program;
    int32_t status =
        predict_read_tile(frame_value(&p->encode.frame, program, program->image), stack, 0, y, x,
                          program->options.height, program->options.width);

    if (status == CEM_OK) status = engine_run(&p->encode, model, threads, cancel);
    if (status == CEM_OK) engine_take_features(out, &p->encode);
    return status;
}

static int32_t find_features(const float **out, struct feature_predictor *p,
                             const struct model *model, const struct stack *stack,
                             const cem_predict_options *options, int64_t number, int64_t y,
                             int64_t x, const _Atomic int32_t *cancel)
{
    const struct program_options *size = &p->encode.program->options;
    struct feature_key key = {.encoder = model->parameters.encoder,
                              .image = options->slice,
                              .tile = number,
                              .rows = size->height,
                              .columns = size->width};
    float *room;
    int32_t status;

    if ((*out = feature_store_find(p->store, &key))) return CEM_OK;
    if (!(room = feature_store_put(p->store, &key, engine_feature_floats(&p->encode))))
        return CEM_EMEMORY;
    status = encode(room, p, model, stack, options->threads, y, x, cancel);
    if (status != CEM_OK) feature_store_drop(p->store, &key);
    *out = room;
    return status;
}

int32_t feature_predictor_run(const float **logits, struct feature_predictor *p,
                              const struct model *model, const struct stack *stack,
                              const cem_predict_options *options, int64_t number, int64_t y,
                              int64_t x, const _Atomic int32_t *cancel)
{
    const struct program *program = p->decode.program;
    const float *features;
    int32_t status = find_features(&features, p, model, stack, options, number, y, x, cancel);

    if (status != CEM_OK) return status;
    engine_place_features(&p->decode, features, 0);
    *logits = frame_value(&p->decode.frame, program, program->logits);
    return engine_run(&p->decode, model, options->threads, cancel);
}
