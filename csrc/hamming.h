/* Searching 64-bit hashes for one that differs in few bits. */
#ifndef CEM_HAMMING_H
#define CEM_HAMMING_H

#include <stdint.h>

enum { HAMMING_PLAIN, HAMMING_AVX2, HAMMING_AVX512, HAMMING_KERNELS };

/* Whether this CPU can run kernel `kernel`; all give the same result. */
int32_t hamming_supports(int32_t kernel);

/* The best one it can run. */
int32_t hamming_best(void);

/* The first i < count with at most `distance` bits between hashes[i] and `hash`, or `count`. */
int64_t hamming_find(int32_t kernel, const uint64_t *hashes, int64_t count, uint64_t hash,
                     int32_t distance);

#endif
