/* Greedy removal of near-duplicates among hashes. */
#ifndef CEM_DEDUPLICATE_H
#define CEM_DEDUPLICATE_H

#include <stdint.h>

/* A random order of 0 .. count - 1. */
void deduplicate_order(int64_t *order, int64_t count, uint64_t seed);

/* Decides order[first] .. order[last - 1], those before having been decided.
 *   exemplar  (count) of what is decided: its exemplar's number, which may be its own */
int32_t deduplicate(int64_t *exemplar, const uint64_t *hashes, const int64_t *order, int64_t first,
                    int64_t last, int32_t distance, int threads);

#endif
