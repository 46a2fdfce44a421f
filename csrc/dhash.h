/* The 64-bit difference hash of a patch. */
#ifndef CEM_DHASH_H
#define CEM_DHASH_H

#include <stdint.h>

/* hashes (count), patches (count, height, width) */
int32_t dhash(uint64_t *hashes, const uint8_t *patches, int64_t count, int64_t height,
              int64_t width, int threads);

#endif
