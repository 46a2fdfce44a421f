/* Contrast by the histogram; detail by the bands of a pyramid of means over 2 x 2 pixels; and how
 * much of the area is uniform, by the deviations of blocks of 8 x 8 pixels at three levels of that
 * pyramid, since noise vanishes up there and structure does not.  Sums are integers, so that the
 * figures do not depend on the instruction set. */
#include "informative.h"

#include <math.h>
#include <string.h>

#include "cem.h"
#include "memory.h"
#include "pool.h"

enum { CHUNK = 16, LEVELS = 6, BLOCK = 8, BINS = 1024, PER_UNIT = 8 };

/* A level of the pyramid; values are in units of 1/16 grey value. */
struct level {
    int64_t height, width;
    int32_t *values;
};

struct job {
    float *features;
    const uint8_t *patches;
    int64_t count, height, width;
    int32_t *workspace; /* a pyramid for every worker */
    int64_t worker_values;
};

static int64_t half(int64_t size)
{
    return size > 1 ? size / 2 : 1;
}

/* ---- The histogram ---- */

static int64_t grey_at(const int64_t *histogram, int64_t count, double share)
{
    int64_t seen = 0, grey = 0;

    for (; grey < 255; grey++)
        if ((double)(seen += histogram[grey]) > share * (double)count) break;
    return grey;
}

static float *add_histogram(float *f, const uint8_t *patch, int64_t count)
{
    int64_t histogram[256] = {0}, most = 0, sum = 0;
    double n = (double)count, mean, entropy = 0, m2 = 0, m3 = 0, m4 = 0;

    for (int64_t i = 0; i < count; i++) histogram[patch[i]]++;
    for (int64_t grey = 0; grey < 256; grey++) sum += grey * histogram[grey];
    mean = (double)sum / n;
    for (int grey = 0; grey < 256; grey++) {
        double share = (double)histogram[grey] / n, d = grey - mean;
        if (histogram[grey] > most) most = histogram[grey];
        if (share > 0) entropy -= share * log2(share);
        m2 += share * d * d;
        m3 += share * d * d * d;
        m4 += share * d * d * d * d;
    }
    *f++ = (float)sqrt(m2);
    *f++ = (float)(grey_at(histogram, count, 0.95) - grey_at(histogram, count, 0.05));
    *f++ = (float)(grey_at(histogram, count, 0.995) - grey_at(histogram, count, 0.005));
    *f++ = (float)((double)most / n);
    *f++ = (float)((double)(histogram[0] + histogram[255]) / n);
    *f++ = (float)entropy;
    *f++ = (float)(m2 > 0 ? m3 / (m2 * sqrt(m2)) : 0);
    *f++ = (float)(m2 > 0 ? m4 / (m2 * m2) : 0);
    return f;
}

/* The share of pixels that equal their right neighbour. */
static float *add_equal(float *f, const uint8_t *patch, int64_t height, int64_t width)
{
    int64_t equal = 0;

    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 1; x < width; x++)
            equal += patch[y * width + x] == patch[y * width + x - 1];
    *f = width > 1 ? (float)((double)equal / (double)(height * (width - 1))) : 1;
    return f + 1;
}

/* ---- The pyramid ---- */

static void build(struct level *levels, const uint8_t *patch, int64_t height, int64_t width,
                  int32_t *values)
{
    levels[0] = (struct level){height, width, values};
    for (int64_t i = 0; i < height * width; i++) values[i] = patch[i] * 16;
    for (int l = 1; l < LEVELS; l++) {
        struct level below = levels[l - 1];
        struct level *now = &levels[l];
        int64_t down = below.height > 1 ? below.width : 0, right = below.width > 1;
        *now = (struct level){half(below.height), half(below.width),
                              below.values + below.height * below.width};
        for (int64_t y = 0; y < now->height; y++)
            for (int64_t x = 0; x < now->width; x++) {
                const int32_t *p = below.values + 2 * y * below.width + 2 * x;
                now->values[y * now->width + x] =
                    (p[0] + p[right] + p[down] + p[down + right] + 2) / 4;
            }
    }
}

/* Root mean square, skewness and kurtosis of what a level has and the next one has not. */
static float *add_band(float *f, const struct level *fine, const struct level *coarse)
{
    int64_t height = fine->height / 2 * 2, width = fine->width / 2 * 2, n = height * width;
    int64_t s2 = 0, s3 = 0, s4 = 0; /* of quarter grey values, the square of sixteenths */
    double m2, m3, m4;

    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            int64_t d =
                fine->values[y * fine->width + x] - coarse->values[y / 2 * coarse->width + x / 2];
            int64_t quarter = d / 4, square = quarter * quarter;
            s2 += d * d;
            s3 += square * quarter;
            s4 += square * square;
        }
    m2 = n ? (double)s2 / (double)n / 256 : 0;
    m3 = n ? (double)s3 / (double)n / 64 : 0;
    m4 = n ? (double)s4 / (double)n / 256 : 0;
    *f++ = (float)sqrt(m2);
    *f++ = (float)(m2 > 0 ? m3 / (m2 * sqrt(m2)) : 0);
    *f++ = (float)(m2 > 0 ? m4 / (m2 * m2) : 0);
    return f;
}

static double deviation(const struct level *level, int64_t top, int64_t left, int64_t rows,
                        int64_t columns)
{
    int64_t sum = 0, squares = 0, n = rows * columns;

    for (int64_t y = top; y < top + rows; y++)
        for (int64_t x = left; x < left + columns; x++) {
            int64_t value = level->values[y * level->width + x];
            sum += value;
            squares += value * value;
        }
    return sqrt((double)(n * squares - sum * sum)) / (double)n / 16;
}

static float quantile(const int64_t *bins, int64_t count, double share)
{
    int64_t seen = 0, bin = 0;

    for (; bin < BINS - 1; bin++)
        if ((double)(seen += bins[bin]) > share * (double)count) break;
    return (float)bin / PER_UNIT;
}

static float share_below(const int64_t *bins, int64_t count, int64_t limit)
{
    int64_t seen = 0;

    for (int64_t bin = 0; bin < limit * PER_UNIT; bin++) seen += bins[bin];
    return (float)((double)seen / (double)count);
}

/* Quantiles of the blocks' deviations, and for the last level what share is nearly uniform. */
static float *add_blocks(float *f, const struct level *level, int last)
{
    int64_t bins[BINS] = {0}, count = 0;
    int64_t rows = level->height < BLOCK ? level->height : BLOCK;
    int64_t columns = level->width < BLOCK ? level->width : BLOCK;

    for (int64_t y = 0; y + rows <= level->height; y += rows)
        for (int64_t x = 0; x + columns <= level->width; x += columns, count++) {
            int64_t bin = (int64_t)(deviation(level, y, x, rows, columns) * PER_UNIT);
            bins[bin < BINS ? bin : BINS - 1]++;
        }
    *f++ = quantile(bins, count, 0.1);
    *f++ = quantile(bins, count, 0.5);
    *f++ = quantile(bins, count, 0.9);
    if (!last) return f;
    *f++ = share_below(bins, count, 3);
    *f++ = share_below(bins, count, 6);
    return f;
}

/* How much gradients within a block agree in direction, weighted by their strength: 0 to 1. */
static float coherence(const struct level *level)
{
    double strength = 0, agreement = 0;

    for (int64_t top = 0; top + BLOCK < level->height; top += BLOCK)
        for (int64_t left = 0; left + BLOCK < level->width; left += BLOCK) {
            int64_t xx = 0, yy = 0, xy = 0;
            for (int64_t y = top; y < top + BLOCK; y++)
                for (int64_t x = left; x < left + BLOCK; x++) {
                    const int32_t *p = level->values + y * level->width + x;
                    int64_t dx = p[1] - p[0], dy = p[level->width] - p[0];
                    xx += dx * dx;
                    yy += dy * dy;
                    xy += dx * dy;
                }
            strength += (double)(xx + yy);
            agreement +=
                sqrt((double)(xx - yy) * (double)(xx - yy) + 4.0 * (double)xy * (double)xy);
        }
    return strength > 0 ? (float)(agreement / strength) : 0;
}

/* ---- All of it ---- */

static void add_all(float *f, const uint8_t *patch, const struct job *job, int32_t *values)
{
    struct level levels[LEVELS];

    build(levels, patch, job->height, job->width, values);
    f = add_histogram(f, patch, job->height * job->width);
    f = add_equal(f, patch, job->height, job->width);
    for (int l = 0; l + 1 < LEVELS; l++) f = add_band(f, &levels[l], &levels[l + 1]);
    for (int l = 0; l < 3; l++) f = add_blocks(f, &levels[l], l == 2);
    for (int l = 0; l < 4; l++) *f++ = coherence(&levels[l]);
}

static int32_t run_chunk(void *context, int64_t step, int64_t part, int worker)
{
    struct job *job = context;
    int64_t last = (part + 1) * CHUNK < job->count ? (part + 1) * CHUNK : job->count;

    (void)step;
    for (int64_t i = part * CHUNK; i < last; i++)
        add_all(job->features + i * CEM_FEATURES, job->patches + i * job->height * job->width, job,
                job->workspace + worker * job->worker_values);
    return CEM_OK;
}

int32_t informative_features(float *features, const uint8_t *patches, int64_t count, int64_t height,
                             int64_t width, int threads)
{
    struct job job = {
        .features = features, .patches = patches, .count = count, .height = height, .width = width};
    int32_t status;

    for (int64_t l = 0, h = height, w = width; l < LEVELS; l++, h = half(h), w = half(w))
        job.worker_values += h * w;
    if (!(job.workspace = memory_raw(threads, job.worker_values * (int64_t)sizeof(int32_t))))
        return CEM_EMEMORY;
    status = pool_for(threads, (count + CHUNK - 1) / CHUNK, run_chunk, &job);
    memory_free(job.workspace);
    return status;
}
