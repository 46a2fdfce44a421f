/* The filter is stretched by the reduction, so that it covers what an output pixel stands for; its
 * weights are normalised in double, and rounded to 22 bits after the point.  Sums are integers, so
 * their order does not matter: a weight is split into two 16-bit halves, which processors multiply
 * and add in pairs.  A pass writes its result transposed, and both passes are the same code.  Some
 * rows are gone through at a time, so that weights are loaded once for all of them. */
#include "resize.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "cem.h"
#include "cpu.h"
#include "memory.h"

/* Weights are filled up with zeros to whole runs at aligned places: no loop has a rest, and no load
 * crosses a cache line. */
enum { POINT = 22, HALF = 1 << (POINT - 1), RUN = 32, ROWS = 4 };

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double sinc(double x)
{
    if (x == 0) return 1;
    x *= M_PI;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct {
    double (*weight)(double);
    double support;
} filters[] = {[RESIZE_BILINEAR] = {bilinear, 1}, [RESIZE_LANCZOS] = {lanczos, 3}};

static int64_t whole_runs(int64_t count)
{
    return (count + RUN - 1) / RUN * RUN;
}

/* Sets first and count of output `i`, and returns how many weights it has after how many zeros;
 * they are normalised; `weights` has
 * room for taps->most. */
static int64_t weights_of(double *weights, struct resize_taps *taps, enum resize_filter filter,
                          int64_t i, int64_t *before)
{
    double scale = (double)taps->in / (double)taps->out, stretch = scale < 1 ? 1 : scale;
    double support = filters[filter].support * stretch, sum = 0;
    double center = ((double)i + 0.5) * scale, inverse = 1 / stretch;
    int64_t first = (int64_t)(center - support + 0.5), last = (int64_t)(center + support + 0.5);

    if (first < 0) first = 0;
    if (last > taps->in) last = taps->in;
    for (int64_t k = 0; k < last - first; k++) {
        weights[k] = filters[filter].weight(((double)(k + first) - center + 0.5) * inverse);
        sum += weights[k];
    }
    for (int64_t k = 0; k < last - first; k++)
        if (sum != 0) weights[k] /= sum;
    taps->first[i] = first / RUN * RUN;
    taps->count[i] = whole_runs(last - taps->first[i]);
    *before = first - taps->first[i];
    return last - first;
}

static void taps_free(struct resize_taps *taps)
{
    memory_free(taps->low);
    memory_free(taps->high);
    memory_free(taps->count);
    memory_free(taps->first);
}

static int32_t taps_new(struct resize_taps *taps, enum resize_filter filter, int64_t in,
                        int64_t out)
{
    double scale = (double)in / (double)out, *weights = NULL;

    *taps = (struct resize_taps){.in = in, .out = out};
    taps->most = 2 * (int64_t)ceil(filters[filter].support * (scale < 1 ? 1 : scale)) + 1;
    taps->most = whole_runs(taps->most + RUN);
    if (!(taps->first = memory_new(out, sizeof *taps->first)) ||
        !(taps->count = memory_new(out, sizeof *taps->count)) ||
        !(taps->high = memory_new(out, taps->most * (int64_t)sizeof *taps->high)) ||
        !(taps->low = memory_new(out, taps->most * (int64_t)sizeof *taps->low)) ||
        !(weights = memory_new(taps->most, sizeof *weights)))
        return CEM_EMEMORY;
    for (int64_t i = 0; i < out; i++) {
        int64_t before, count = weights_of(weights, taps, filter, i, &before);
        for (int64_t k = 0; k < count; k++) {
            double scaled = weights[k] * (1 << POINT);
            int32_t fixed = (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
            taps->high[i * taps->most + before + k] = (int16_t)(fixed >> 8);
            taps->low[i * taps->most + before + k] = (int16_t)(fixed & 0xff);
        }
    }
    memory_free(weights);
    return CEM_OK;
}

int32_t resize_new(struct resize *resize, enum resize_filter filter, int64_t in_height,
                   int64_t in_width, int64_t out_height, int64_t out_width)
{
    int32_t status;

    *resize = (struct resize){0};
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
        resize->kernel = RESIZE_AVX512;
    if ((status = taps_new(&resize->columns, filter, in_width, out_width)) != CEM_OK ||
        (status = taps_new(&resize->rows, filter, in_height, out_height)) != CEM_OK)
        resize_free(resize);
    return status;
}

void resize_free(struct resize *resize)
{
    taps_free(&resize->columns);
    taps_free(&resize->rows);
    *resize = (struct resize){0};
}

static int64_t padded(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Bytes of one row of a pass, widened to 16 bits, and what the last run reads beyond it. */
static int64_t row_bytes(const struct resize *resize)
{
    int64_t longest = resize->columns.in > resize->rows.in ? resize->columns.in : resize->rows.in;

    return padded((longest + RUN) * (int64_t)sizeof(int16_t));
}

int64_t resize_workspace(const struct resize *resize)
{
    return ROWS * row_bytes(resize) + padded(resize->columns.out * resize->rows.in);
}

static uint8_t clip(int32_t sum)
{
    sum >>= POINT;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One pass: out (taps->out, rows), in (rows, taps->in).  wide has ROWS rows of `stride`. */
struct pass {
    uint8_t *out;
    const uint8_t *in;
    int64_t rows;
    const struct resize_taps *taps;
    int16_t *wide;
    int64_t stride;
    int32_t kernel;
};

/* Rows [y, y + ROWS), of which those that are there count; widened already. */
static CPU_VECTORISED void sum_rows(const struct pass *pass, int64_t y, int64_t rows)
{
    const struct resize_taps *taps = pass->taps;

    for (int64_t i = 0; i < taps->out; i++)
        for (int64_t r = 0; r < rows; r++) {
            const int16_t *pixels = pass->wide + r * pass->stride + taps->first[i];
            const int16_t *high = taps->high + i * taps->most, *low = taps->low + i * taps->most;
            int64_t count = taps->count[i] / RUN * RUN;
            int32_t high_sum = 0, low_sum = 0;
            for (int64_t k = 0; k < count; k++) {
                high_sum += pixels[k] * high[k];
                low_sum += pixels[k] * low[k];
            }
            pass->out[i * pass->rows + y + r] = clip(high_sum * 256 + low_sum + HALF);
        }
}

#define AVX512 __attribute__((target("avx512f,avx512bw")))

/* The sums of four vectors, rounded and clipped, a byte each. */
static AVX512 uint32_t four_sums(const __m512i v[ROWS])
{
    __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    __m512i c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m256i d = _mm256_add_epi32(_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64(c, 1));
    __m128i e = _mm_add_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1));

    e = _mm_srai_epi32(_mm_add_epi32(e, _mm_set1_epi32(HALF)), POINT);
    e = _mm_packs_epi32(e, e);
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(e, e));
}

static AVX512 void sum_rows_avx512(const struct pass *pass, int64_t y, int64_t rows)
{
    const struct resize_taps *taps = pass->taps;

    for (int64_t i = 0; i < taps->out; i++) {
        const int16_t *pixels = pass->wide + taps->first[i];
        const int16_t *high = taps->high + i * taps->most, *low = taps->low + i * taps->most;
        __m512i high_sums[ROWS], low_sums[ROWS];
        uint32_t four;
        for (int r = 0; r < ROWS; r++) high_sums[r] = low_sums[r] = _mm512_setzero_si512();
        for (int64_t k = 0; k < taps->count[i]; k += RUN) {
            __m512i h = _mm512_loadu_si512(high + k), l = _mm512_loadu_si512(low + k);
            for (int r = 0; r < ROWS; r++) {
                __m512i p = _mm512_loadu_si512(pixels + r * pass->stride + k);
                high_sums[r] = _mm512_add_epi32(high_sums[r], _mm512_madd_epi16(p, h));
                low_sums[r] = _mm512_add_epi32(low_sums[r], _mm512_madd_epi16(p, l));
            }
        }
        for (int r = 0; r < ROWS; r++)
            high_sums[r] = _mm512_add_epi32(_mm512_slli_epi32(high_sums[r], 8), low_sums[r]);
        four = four_sums(high_sums);
        memcpy(pass->out + i * pass->rows + y, &four, (size_t)rows);
    }
}

static CPU_VECTORISED void widen(int16_t *out, const uint8_t *in, int64_t count)
{
    for (int64_t x = 0; x < count; x++) out[x] = in[x];
    memset(out + count, 0, RUN * sizeof *out);
}

static void run_pass(const struct pass *pass)
{
    for (int64_t y = 0; y < pass->rows; y += ROWS) {
        int64_t rows = pass->rows - y < ROWS ? pass->rows - y : ROWS;
        for (int64_t r = 0; r < ROWS; r++) {
            int64_t from = r < rows ? y + r : y;
            widen(pass->wide + r * pass->stride, pass->in + from * pass->taps->in, pass->taps->in);
        }
        (pass->kernel == RESIZE_AVX512 ? sum_rows_avx512 : sum_rows)(pass, y, rows);
    }
}

void resize_run(const struct resize *resize, uint8_t *out, const uint8_t *in, void *workspace)
{
    int64_t bytes = row_bytes(resize);
    uint8_t *between = (uint8_t *)workspace + ROWS * bytes;
    struct pass pass = {.out = between,
                        .in = in,
                        .rows = resize->rows.in,
                        .taps = &resize->columns,
                        .wide = workspace,
                        .stride = bytes / (int64_t)sizeof(int16_t),
                        .kernel = resize->kernel};

    run_pass(&pass);
    pass.out = out;
    pass.in = between;
    pass.rows = resize->columns.out;
    pass.taps = &resize->rows;
    run_pass(&pass);
}
