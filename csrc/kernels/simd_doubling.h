/* The sums and differences of nearest doubling with a 3x3 convolution, see doubling_pack.h;
 * included by simd_avx2.c and simd_avx512.c alone. */

INLINE float *map_at(const struct maps *maps, int map, int64_t row, int64_t column)
{
    return maps->values[map] + (row * maps->pitch[map] + column) * maps->pixel;
}

SIMD static void doubled_in(const struct maps *out, const float *image, const struct region *in)
{
    for (int64_t i = 0; i <= in->rows; i++)
        for (int64_t j = 0; j <= in->columns; j++) {
            float *to[DOUBLED_MAPS];
            struct pixel from[2][2];
            for (int m = 0; m < DOUBLED_MAPS; m++) to[m] = map_at(out, m, i, j);
            for (int a = 0; a < 2; a++)
                for (int b = 0; b < 2; b++)
                    from[a][b] = pixel_at(image, in->height, in->width, in->channels,
                                          in->top + i - a, in->left + j - b);
            for (int64_t c = 0; c < in->channels; c += LANES) {
                VECTOR x = LOAD(from[0][0].at + c * from[0][0].step);
                VECTOR left = LOAD(from[0][1].at + c * from[0][1].step);
                VECTOR up = LOAD(from[1][0].at + c * from[1][0].step);
                VECTOR both = LOAD(from[1][1].at + c * from[1][1].step);
                if (j < in->columns) {
                    STORE(to[0] + c, x);
                    STORE(to[1] + c, x - up);
                }
                STORE(to[2] + c, x - left);
                STORE(to[3] + c, (x - left) - (up - both));
            }
        }
}

SIMD static void doubled_out(float *image, const struct maps *products, const struct region *in,
                             int64_t columns, const struct finish *finish)
{
    int64_t row = 2 * in->width * in->channels;

    for (int64_t i = 0; i < in->rows; i++)
        for (int64_t j = 0; j < in->columns; j++) {
            const float *m[DOUBLED_PRODUCTS];
            float *to = image + 2 * (in->top + i) * row + 2 * (in->left + j) * in->channels,
                  *below = to + row;
            for (int k = 0; k < DOUBLED_PRODUCTS; k++) m[k] = map_at(products, k, i, j);
            for (int64_t c = 0; c < columns; c += LANES) {
                VECTOR bias = finish->bias ? LOAD(finish->bias + c) : SPLAT(0);
                VECTOR all = LOAD(m[0] + c), upper = all + LOAD(m[1] + c);
                VECTOR lower = all + LOAD(m[2] + c), left = LOAD(m[3] + c), right = LOAD(m[4] + c);
                finish_store(to + c, upper + left + LOAD(m[5] + c), bias, finish);
                finish_store(to + in->channels + c, upper + right + LOAD(m[6] + c), bias, finish);
                finish_store(below + c, lower + left + LOAD(m[7] + c), bias, finish);
                finish_store(below + in->channels + c, lower + right + LOAD(m[8] + c), bias,
                             finish);
            }
        }
}

/* The column behind the last one, of the maps that have it, is zero. */
SIMD static void doubled_spread(const struct maps *out, const float *image, const struct region *in)
{
    int64_t height = 2 * in->height, width = 2 * in->width;

    for (int64_t i = 0; i < in->rows; i++)
        for (int64_t j = 0; j <= in->columns; j++) {
            bool last = j == in->columns;
            float *to[DOUBLED_PRODUCTS];
            struct pixel g[4];
            for (int k = 0; k < DOUBLED_PRODUCTS; k++) to[k] = map_at(out, k, i, j);
            for (int k = 0; k < 4; k++)
                g[k] = pixel_at(image, height, last ? 0 : width, in->channels,
                                2 * (in->top + i) + k / 2, 2 * (in->left + j) + k % 2);
            for (int64_t c = 0; c < in->channels; c += LANES) {
                VECTOR a = LOAD(g[0].at + c * g[0].step), b = LOAD(g[1].at + c * g[1].step);
                VECTOR d = LOAD(g[2].at + c * g[2].step), e = LOAD(g[3].at + c * g[3].step);
                if (!last) {
                    STORE(to[0] + c, (a + b) + (d + e));
                    STORE(to[1] + c, a + b);
                    STORE(to[2] + c, d + e);
                }
                STORE(to[3] + c, a + d);
                STORE(to[4] + c, b + e);
                STORE(to[5] + c, a);
                STORE(to[6] + c, b);
                STORE(to[7] + c, d);
                STORE(to[8] + c, e);
            }
        }
}

/* Along one side, of g[2i-1..2i+2]: their middle sum, and the two differences. */
INLINE void doubled_sums(VECTOR out[3], VECTOR a, VECTOR b, VECTOR c, VECTOR d)
{
    out[0] = b + c;
    out[1] = b - d;
    out[2] = a - c;
}

SIMD static void doubled_back(float *out, int64_t pixel, const float *image,
                              const struct region *in)
{
    int64_t height = 2 * in->height, width = 2 * in->width, n = in->channels;

    for (int64_t i = 0; i < in->rows; i++)
        for (int64_t j = 0; j < in->columns; j++, out += pixel) {
            struct pixel g[4][4];
            for (int a = 0; a < 4; a++)
                for (int b = 0; b < 4; b++)
                    g[a][b] = pixel_at(image, height, width, n, 2 * (in->top + i) - 1 + a,
                                       2 * (in->left + j) - 1 + b);
            for (int64_t c = 0; c < n; c += LANES) {
                VECTOR column[4][3], sums[3];
#pragma GCC unroll 4
                for (int b = 0; b < 4; b++)
                    doubled_sums(column[b], LOAD(g[0][b].at + c * g[0][b].step),
                                 LOAD(g[1][b].at + c * g[1][b].step),
                                 LOAD(g[2][b].at + c * g[2][b].step),
                                 LOAD(g[3][b].at + c * g[3][b].step));
#pragma GCC unroll 3
                for (int a = 0; a < 3; a++) {
                    const int to[3][3] = {{0, 3, 4}, {1, 5, 6}, {2, 7, 8}};
                    doubled_sums(sums, column[0][a], column[1][a], column[2][a], column[3][a]);
                    for (int b = 0; b < 3; b++) STORE(out + to[a][b] * n + c, sums[b]);
                }
            }
        }
}
