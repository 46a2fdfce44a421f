/* The loops of simd_*.h for AVX2 with FMA. */
#include <immintrin.h>

#include "simd.h"

#define SIMD __attribute__((target("avx2,fma")))
#define TABLE simd_avx2
#define NAME "AVX2"
#define VECTOR __m256
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define SPLAT(x) _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define LARGER(a, b) _mm256_max_ps(a, b)

#define ROWS_MOST 6
enum { LANES = 8, ROWS = ROWS_MOST, DEPTH = 256 };

#include "simd_common.h"
#include "simd_doubling.h"
#include "simd_product.h"
#include "simd_winograd.h"

#include "simd_table.h"
