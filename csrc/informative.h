/* Figures of a patch from which a classifier tells whether it is worth having. */
#ifndef CEM_INFORMATIVE_H
#define CEM_INFORMATIVE_H

#include <stdint.h>

/* features (count, CEM_FEATURES), patches (count, height, width) */
int32_t informative_features(float *features, const uint8_t *patches, int64_t count, int64_t height,
                             int64_t width, int threads);

#endif
