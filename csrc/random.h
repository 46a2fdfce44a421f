/* Counter-based random numbers: the same (seed, stream, index) gives the same number, whoever asks
 * and in whatever order.  There is no state to save. */
#ifndef CEM_RANDOM_H
#define CEM_RANDOM_H

#include <stdint.h>

/* 64 random bits. */
uint64_t random_bits(uint64_t seed, uint64_t stream, uint64_t index);

/* Uniform in [0, 1). */
double random_uniform(uint64_t seed, uint64_t stream, uint64_t index);

/* Uniform integer in [0, n), n >= 1. */
int64_t random_below(uint64_t seed, uint64_t stream, uint64_t index, int64_t n);

/* Normal, mean 0 and deviation 1, to within the sum of twelve 16-bit uniforms: no libm, the same
 * bits everywhere.  Uses indices index * 3 .. index * 3 + 2 of the stream. */
double random_normal(uint64_t seed, uint64_t stream, uint64_t index);

#endif
