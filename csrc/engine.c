#include "engine.h"

#include <string.h>

#include "cem.h"

int32_t engine_new(struct engine *engine, const struct model *model,
                   const struct program_options *options, int threads)
{
    int32_t status;

    engine_free(engine);
    if ((status = program_new(&engine->program, model->network, options, threads)) != CEM_OK ||
        (status = packed_new(&engine->packed, engine->program, &model->parameters, threads)) !=
            CEM_OK ||
        (status = frame_new(&engine->frame, engine->program, threads)) != CEM_OK)
        engine_free(engine);
    else engine->workers = threads;
    return status;
}

void engine_free(struct engine *engine)
{
    frame_free(&engine->frame);
    packed_free(engine->packed);
    program_free(engine->program);
    *engine = (struct engine){0};
}

int32_t engine_run(const struct engine *engine, const struct model *model, int threads,
                   const _Atomic int32_t *cancel)
{
    struct program_run run = {.program = engine->program,
                              .frame = &engine->frame,
                              .packed = engine->packed,
                              .parameters = &model->parameters,
                              .last = engine->program->phase_count};

    return program_run(&run, threads, cancel);
}

/* Floats of one sample of feature `i`. */
static int64_t floats_of(const struct program *program, int i)
{
    return program->values[program->features[i]].bytes / (int64_t)sizeof(float) /
           program->options.samples;
}

int64_t engine_feature_floats(const struct engine *engine)
{
    int64_t floats = 0;

    for (int i = 0; i < NETWORK_BLOCKS; i++) floats += floats_of(engine->program, i);
    return floats;
}

void engine_take_features(float *out, const struct engine *engine)
{
    const struct program *p = engine->program;

    for (int i = 0; i < NETWORK_BLOCKS; i++) {
        int64_t floats = floats_of(p, i);
        memcpy(out, frame_value(&engine->frame, p, p->features[i]), (size_t)floats * sizeof *out);
        out += floats;
    }
}

void engine_place_features(const struct engine *engine, const float *features, int64_t sample)
{
    const struct program *p = engine->program;

    for (int i = 0; i < NETWORK_BLOCKS; i++) {
        int64_t floats = floats_of(p, i);
        float *to = frame_value(&engine->frame, p, p->features[i]) + sample * floats;
        memcpy(to, features, (size_t)floats * sizeof *features);
        features += floats;
    }
}
