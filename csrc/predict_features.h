/* Predicting slices again and again while the decoder changes: the encoder's features of their
 * tiles are kept, so that only the decoder runs. */
#ifndef CEM_PREDICT_FEATURES_H
#define CEM_PREDICT_FEATURES_H

#include "engine.h"
#include "feature_store.h"
#include "predict.h"

struct feature_predictor {
    struct feature_store *store;
    int64_t most_bytes;
    cem_intensity intensity; /* of all features in the store */
    struct engine encode, decode;
};

void feature_predictor_free(struct feature_predictor *predictor);

/* Makes `predictor` fit for tiles of (rows, columns) of `stack`, with the weights of now.  Features
 * of another intensity are forgotten. */
int32_t feature_predictor_prepare(struct feature_predictor *predictor, const struct model *model,
                                  const struct stack *stack, const cem_predict_options *options,
                                  int64_t rows, int64_t columns);

/* Logits of tile `number`, which starts at (y, x) of the only slice; they stay in the decoder's
 * frame. */
int32_t feature_predictor_run(const float **logits, struct feature_predictor *predictor,
                              const struct model *model, const struct stack *stack,
                              const cem_predict_options *options, int64_t number, int64_t y,
                              int64_t x, const _Atomic int32_t *cancel);

#endif
