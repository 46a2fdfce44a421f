/* Elementwise loops that several kernels share. */
#ifndef CEM_FLOATS_H
#define CEM_FLOATS_H

#include <stdint.h>

/* to[i] += from[i] */
void floats_add(float *restrict to, const float *restrict from, int64_t count);

#endif
