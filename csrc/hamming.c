/* Population counts of many words at once: by table look-up of half bytes (W. Mula, N. Kurz,
 * D. Lemire, "Faster population counts using AVX2 instructions", 2018), or by the processor's own
 * instruction.  A run of words is only asked whether any of them is near; the first one is looked
 * for when the answer is yes. */
#include "hamming.h"

#include <immintrin.h>
#include <stdbool.h>

enum { RUN = 64 };

#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512vpopcntdq")))

int32_t hamming_supports(int32_t kernel)
{
    if (kernel == HAMMING_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vpopcntdq");
    return kernel == HAMMING_AVX2 ? __builtin_cpu_supports("avx2") != 0 : 1;
}

int32_t hamming_best(void)
{
    int32_t kernel = HAMMING_KERNELS - 1;

    while (!hamming_supports(kernel)) kernel--;
    return kernel;
}

static int64_t find_plain(const uint64_t *hashes, int64_t count, uint64_t hash, int32_t distance)
{
    int64_t i = 0;

    while (i < count && __builtin_popcountll(hashes[i] ^ hash) > distance) i++;
    return i;
}

static AVX2 __m256i bits_avx2(__m256i words)
{
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                           2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i half = _mm256_set1_epi8(15);
    __m256i low = _mm256_and_si256(words, half);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(words, 4), half);

    return _mm256_sad_epu8(
        _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high)),
        _mm256_setzero_si256());
}

static AVX2 bool any_avx2(const uint64_t *hashes, uint64_t hash, int32_t distance)
{
    const __m256i wanted = _mm256_set1_epi64x((int64_t)hash);
    const __m256i limit = _mm256_set1_epi64x(distance + 1);
    __m256i near = _mm256_setzero_si256();

    for (int i = 0; i < RUN; i += 4) {
        __m256i words = _mm256_loadu_si256((const __m256i *)(hashes + i));
        __m256i bits = bits_avx2(_mm256_xor_si256(words, wanted));
        near = _mm256_or_si256(near, _mm256_cmpgt_epi64(limit, bits));
    }
    return !_mm256_testz_si256(near, near);
}

static AVX512 bool any_avx512(const uint64_t *hashes, uint64_t hash, int32_t distance)
{
    const __m512i wanted = _mm512_set1_epi64((int64_t)hash);
    const __m512i limit = _mm512_set1_epi64(distance);
    unsigned near = 0;

    for (int i = 0; i < RUN; i += 8) {
        __m512i words = _mm512_loadu_si512(hashes + i);
        __m512i bits = _mm512_popcnt_epi64(_mm512_xor_si512(words, wanted));
        near |= _mm512_cmple_epu64_mask(bits, limit);
    }
    return near != 0;
}

int64_t hamming_find(int32_t kernel, const uint64_t *hashes, int64_t count, uint64_t hash,
                     int32_t distance)
{
    bool (*any)(const uint64_t *, uint64_t, int32_t) =
        kernel == HAMMING_AVX512 ? any_avx512 : any_avx2;
    int64_t i = 0;

    if (kernel != HAMMING_PLAIN)
        while (i + RUN <= count && !any(hashes + i, hash, distance)) i += RUN;
    return i + find_plain(hashes + i, count - i, hash, distance);
}
