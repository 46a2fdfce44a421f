#include "simd.h"

#include <stddef.h>

#include "onednn.h"

const struct simd *simd_for(int64_t in, int64_t out)
{
    static const struct simd *const widest[] = {&simd_avx512, &simd_avx2};
    const int32_t needs[] = {ONEDNN_AVX512, ONEDNN_AVX2};

    for (size_t i = 0; i < sizeof widest / sizeof widest[0]; i++)
        if (onednn_has(needs[i]) && in % widest[i]->lanes == 0 && out % widest[i]->lanes == 0)
            return widest[i];
    return NULL;
}
