/* The loops of simd_*.h for AVX-512. */
#include <immintrin.h>

#include "simd.h"

#define SIMD __attribute__((target("avx512f")))
#define TABLE simd_avx512
#define NAME "AVX-512"
#define VECTOR __m512
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define SPLAT(x) _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define LARGER(a, b) _mm512_max_ps(a, b)

#define ROWS_MOST 14
enum { LANES = 16, ROWS = ROWS_MOST, DEPTH = 192 };

#include "simd_common.h"
#include "simd_doubling.h"
#include "simd_product.h"
#include "simd_winograd.h"

#include "simd_table.h"
