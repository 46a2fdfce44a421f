/* The transforms of Winograd's F(4x4, 3x3) (A. Lavin and S. Gray, "Fast algorithms for
 * convolutional neural networks", CVPR 2016) with the points 0, 3/4, -3/4, 3/2, -3/2 and infinity:
 * these matrices are exact in binary, and rounding errors are a third of those with the usual 1 and
 * 2 (B. Barabasz and others, "Error analysis and improving the accuracy of Winograd convolution for
 * deep neural networks", 2020, on the choice of points).  Positions are counted row by row.
 * Included by simd_avx2.c and simd_avx512.c alone. */

enum { TILE = 4, SIDE = 6, POSITIONS = SIDE * SIDE };

/* The points and their powers. */
#define P 0.75F
#define Q 1.5F
#define P2 (P * P)
#define Q2 (Q * Q)

/* B^T d along one side, in place. */
INLINE void winograd_data(VECTOR d[SIDE])
{
    VECTOR first = FMA(SPLAT(P2 * Q2), d[0], FMA(SPLAT(-P2 - Q2), d[2], d[4]));
    VECTOR last = FMA(SPLAT(P2 * Q2), d[1], FMA(SPLAT(-P2 - Q2), d[3], d[5]));
    VECTOR even = FMA(SPLAT(-Q2), d[2], d[4]), odd = FMA(SPLAT(-Q2), d[1], d[3]);
    VECTOR even_q = FMA(SPLAT(-P2), d[2], d[4]), odd_q = FMA(SPLAT(-P2), d[1], d[3]);

    d[0] = first;
    d[1] = FMA(SPLAT(P), odd, even);
    d[2] = FMA(SPLAT(-P), odd, even);
    d[3] = FMA(SPLAT(Q), odd_q, even_q);
    d[4] = FMA(SPLAT(-Q), odd_q, even_q);
    d[5] = last;
}

/* A^T m along one side. */
INLINE void winograd_result(VECTOR out[TILE], const VECTOR m[SIDE])
{
    VECTOR sum = m[1] + m[2], difference = m[1] - m[2];
    VECTOR sum_q = m[3] + m[4], difference_q = m[3] - m[4];

    out[0] = m[0] + sum + sum_q;
    out[1] = FMA(SPLAT(Q), difference_q, SPLAT(P) * difference);
    out[2] = FMA(SPLAT(Q2), sum_q, SPLAT(P2) * sum);
    out[3] = FMA(SPLAT(Q2 * Q), difference_q, FMA(SPLAT(P2 * P), difference, m[5]));
}

/* A g along one side. */
INLINE void winograd_gradient(VECTOR out[SIDE], const VECTOR g[TILE])
{
    VECTOR even = FMA(SPLAT(P2), g[2], g[0]), odd = FMA(SPLAT(P2), g[3], g[1]);
    VECTOR even_q = FMA(SPLAT(Q2), g[2], g[0]), odd_q = FMA(SPLAT(Q2), g[3], g[1]);

    out[0] = g[0];
    out[1] = FMA(SPLAT(P), odd, even);
    out[2] = FMA(SPLAT(-P), odd, even);
    out[3] = FMA(SPLAT(Q), odd_q, even_q);
    out[4] = FMA(SPLAT(-Q), odd_q, even_q);
    out[5] = g[3];
}

#undef P
#undef Q
#undef P2
#undef Q2

struct tile_place {
    int64_t sample, y, x;
};

INLINE struct tile_place place_of(const struct tiling_4x4 *t, int64_t tile)
{
    return (struct tile_place){tile / (t->down * t->across), tile / t->across % t->down * TILE,
                               tile % t->across * TILE};
}

/* Where the pixels of a square of `side` from (y, x) are; those outside of the image are zero, and
 * step[] says not to go on from them. */
INLINE void find_pixels(const float **pixels, int64_t *steps, const struct tiling_4x4 *t,
                        const float *image, struct tile_place at, int side)
{
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            int64_t y = at.y + i, x = at.x + j;
            bool inside = y >= 0 && x >= 0 && y < t->height && x < t->width;
            int64_t pixel = (at.sample * t->height + y) * t->width + x;
            pixels[i * side + j] = inside ? image + pixel * t->channels : NOTHING;
            steps[i * side + j] = inside;
        }
}

SIMD static void winograd_in(const struct transformed *out, const struct tiling_4x4 *t,
                             const float *image, int64_t first, int64_t count)
{
    const float *pixels[POSITIONS];
    int64_t steps[POSITIONS];

    for (int64_t tile = 0; tile < count; tile++) {
        struct tile_place at = place_of(t, first + tile);
        at.y--, at.x--;
        find_pixels(pixels, steps, t, image, at, SIDE);
        for (int64_t c = 0; c < t->channels; c += LANES) {
            float *to = out->values + tile * out->tile + c;
            VECTOR d[SIDE][SIDE];
#pragma GCC unroll 6
            for (int j = 0; j < SIDE; j++) {
                VECTOR column[SIDE];
#pragma GCC unroll 6
                for (int i = 0; i < SIDE; i++)
                    column[i] = LOAD(pixels[i * SIDE + j] + c * steps[i * SIDE + j]);
                winograd_data(column);
#pragma GCC unroll 6
                for (int i = 0; i < SIDE; i++) d[i][j] = column[i];
            }
#pragma GCC unroll 6
            for (int i = 0; i < SIDE; i++) {
                winograd_data(d[i]);
#pragma GCC unroll 6
                for (int j = 0; j < SIDE; j++) STORE(to + (i * SIDE + j) * out->position, d[i][j]);
            }
        }
    }
}

SIMD static void winograd_spread(const struct transformed *out, const struct tiling_4x4 *t,
                                 const float *image, int64_t first, int64_t count)
{
    const float *pixels[TILE * TILE];
    int64_t steps[TILE * TILE];

    for (int64_t tile = 0; tile < count; tile++) {
        find_pixels(pixels, steps, t, image, place_of(t, first + tile), TILE);
        for (int64_t c = 0; c < t->channels; c += LANES) {
            float *to = out->values + tile * out->tile + c;
            VECTOR d[SIDE][TILE];
#pragma GCC unroll 4
            for (int j = 0; j < TILE; j++) {
                VECTOR column[TILE], spread[SIDE];
#pragma GCC unroll 4
                for (int i = 0; i < TILE; i++)
                    column[i] = LOAD(pixels[i * TILE + j] + c * steps[i * TILE + j]);
                winograd_gradient(spread, column);
#pragma GCC unroll 6
                for (int i = 0; i < SIDE; i++) d[i][j] = spread[i];
            }
#pragma GCC unroll 6
            for (int i = 0; i < SIDE; i++) {
                VECTOR row[SIDE];
                winograd_gradient(row, d[i]);
#pragma GCC unroll 6
                for (int j = 0; j < SIDE; j++) STORE(to + (i * SIDE + j) * out->position, row[j]);
            }
        }
    }
}

SIMD static void winograd_out(float *image, const struct tiling_4x4 *t,
                              const struct transformed *in, int64_t first, int64_t count,
                              int64_t channels, const struct finish *finish)
{
    for (int64_t tile = 0; tile < count; tile++) {
        struct tile_place at = place_of(t, first + tile);
        int64_t down = t->height - at.y, across = t->width - at.x, row = t->width * t->channels;
        float *to = image + ((at.sample * t->height + at.y) * t->width + at.x) * t->channels;
        for (int64_t c = 0; c < channels; c += LANES) {
            const float *from = in->values + tile * in->tile + c;
            VECTOR d[TILE][SIDE], bias = finish->bias ? LOAD(finish->bias + c) : SPLAT(0);
#pragma GCC unroll 6
            for (int j = 0; j < SIDE; j++) {
                VECTOR column[SIDE], result[TILE];
#pragma GCC unroll 6
                for (int i = 0; i < SIDE; i++)
                    column[i] = LOAD(from + (i * SIDE + j) * in->position);
                winograd_result(result, column);
#pragma GCC unroll 4
                for (int i = 0; i < TILE; i++) d[i][j] = result[i];
            }
#pragma GCC unroll 4
            for (int i = 0; i < TILE; i++) {
                VECTOR result[TILE];
                winograd_result(result, d[i]);
                if (i >= down) break;
#pragma GCC unroll 4
                for (int j = 0; j < TILE; j++)
                    if (j < across)
                        finish_store(to + i * row + j * t->channels + c, result[j], bias, finish);
            }
        }
    }
}
