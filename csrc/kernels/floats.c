#include "floats.h"

#include "cpu.h"

CPU_VECTORISED void floats_add(float *restrict to, const float *restrict from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) to[i] += from[i];
}
