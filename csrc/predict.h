/* Running the network over stacks of slices, tile by tile. */
#ifndef CEM_PREDICT_H
#define CEM_PREDICT_H

#include <stdatomic.h>

#include "cem.h"
#include "model.h"
#include "tiling.h"

/* Programs and packed weights that the next call can use again. */
struct predictor;

int32_t predictor_new(struct predictor **out);
void predictor_free(struct predictor *predictor);

/* A stack of slices. */
struct stack {
    const void *pixels; /* (depth, height, width) of `type` */
    int32_t type;
    int64_t depth, height, width;
    cem_intensity intensity;
};

/* cem_predict, arguments checked. */
int32_t predict_run(float *out, struct predictor *predictor, const struct model *model,
                    const struct stack *stack, const cem_predict_options *options,
                    const _Atomic int32_t *cancel);

/* Pixels of `slice` scaled into a tile of (rows, columns) that starts at (y, x), reflected where it
 * passes the borders. */
int32_t predict_read_tile(float *tile, const struct stack *stack, int64_t slice, int64_t y,
                          int64_t x, int64_t rows, int64_t columns);

/* Class probabilities of one pixel from its logits. */
void predict_probabilities(float *probabilities, const float *logits, int outputs);

/* The class of one pixel, for cem_classify. */
int predict_class(const float *probabilities, int64_t step, int classes, double threshold);

#endif
