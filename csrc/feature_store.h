/* Encoder features of tiles, kept under a cap of bytes, the least recently used dropped first. */
#ifndef CEM_FEATURE_STORE_H
#define CEM_FEATURE_STORE_H

#include <stdbool.h>
#include <stdint.h>

/* What features belong to. */
struct feature_key {
    uint64_t encoder;      /* version of the encoder's parameters */
    int64_t image;         /* the caller's name of the image */
    int64_t tile;          /* number in its tiling */
    int64_t rows, columns; /* of the tile, where they vary */
    int32_t orientation;   /* 0..7 */
};

struct feature_store;

int32_t feature_store_new(struct feature_store **out, int64_t most_bytes);
void feature_store_free(struct feature_store *store);

/* The features of `key`, or NULL.  Valid until the next feature_store_put. */
const float *feature_store_find(struct feature_store *store, const struct feature_key *key);

/* Room for `floats` numbers under `key`, to be filled; or NULL when memory runs out.  Others are
 * dropped until the cap is kept, the new one excepted. */
float *feature_store_put(struct feature_store *store, const struct feature_key *key,
                         int64_t floats);

/* Forgets `key`, whose filling failed. */
void feature_store_drop(struct feature_store *store, const struct feature_key *key);

int64_t feature_store_bytes(const struct feature_store *store);

#endif
