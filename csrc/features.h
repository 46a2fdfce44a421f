/* Encoder features of tiles, kept under a cap of bytes, the least recently used dropped first. */
#ifndef CEM_FEATURES_H
#define CEM_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

/* What features belong to. */
struct feature_key {
    uint64_t encoder;    /* version of the encoder's parameters */
    int64_t image;       /* the caller's name of the image */
    int64_t tile;        /* number in its tiling */
    int32_t orientation; /* 0..7 */
};

struct features;

int32_t features_new(struct features **out, int64_t most_bytes);
void features_free(struct features *features);

/* The features of `key`, or NULL.  Valid until the next features_put. */
const float *features_find(struct features *features, const struct feature_key *key);

/* Room for `floats` numbers under `key`, to be filled; or NULL when memory runs out.  Others are
 * dropped until the cap is kept, the new one excepted. */
float *features_put(struct features *features, const struct feature_key *key, int64_t floats);

/* Forgets `key`, whose filling failed. */
void features_drop(struct features *features, const struct feature_key *key);

int64_t features_bytes(const struct features *features);

#endif
