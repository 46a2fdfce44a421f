/* A program with its packed weights and its memory, for one run at a time. */
#ifndef CEM_ENGINE_H
#define CEM_ENGINE_H

#include "program.h"

struct engine {
    struct program *program;
    struct packed *packed;
    struct frame frame;
    int workers; /* at most so many may run it */
};

/* Frees what `engine` was, and makes it anew for at most `threads` workers. */
int32_t engine_new(struct engine *engine, const struct model *model,
                   const struct program_options *options, int threads);
void engine_free(struct engine *engine);

/* Runs forward, every op split over `threads` workers. */
int32_t engine_run(const struct engine *engine, const struct model *model, int threads,
                   const _Atomic int32_t *cancel);

/* ---- the encoder's features, f1..f5 of one sample one after the other ---- */

int64_t engine_feature_floats(const struct engine *engine);

/* Out of an encoder of one sample; into sample `sample` of a program that starts from them. */
void engine_take_features(float *out, const struct engine *engine);
void engine_place_features(const struct engine *engine, const float *features, int64_t sample);

#endif
