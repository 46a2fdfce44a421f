/* Loops over vectors, written once in simd_*.h and compiled for AVX2 and for AVX-512.
 *
 * Every number is computed by the same operations in the same order wherever a cut between parts
 * falls.  Channels come in whole vectors; matrices are float32. */
#ifndef CEM_SIMD_H
#define CEM_SIMD_H

#include <stdbool.h>
#include <stdint.h>

/* c (m, n) = or += a (m, k) times b (k, n).  b lies in panels as wide as two vectors. */
struct product {
    const float *a;
    int64_t a_row, a_step; /* floats from one row of a to the next, from one k to the next */
    const float *b;
    int64_t b_panel, b_step; /* floats from one panel to the next, from one k to the next */
    float *c;
    int64_t c_row;
    int64_t m, n, k;
    bool add;
};

/* Images (samples, height, width, channels) in tiles of 4x4 pixels, those of the last row and
 * column cut off where the image ends.  Tiles are counted by sample, row and column. */
struct tiling_4x4 {
    int64_t height, width, channels;
    int64_t down, across;
};

/* The 36 positions of some transformed tiles: (position, tile, channel). */
struct transformed {
    float *values;
    int64_t position, tile; /* floats from one to the next */
};

/* What happens to a convolution's result before it is written. */
struct finish {
    const float *bias; /* or NULL */
    bool sum, relu;
};

/* Pixels [top, top + rows) x [left, left + columns) of one image (height, width, channels). */
struct region {
    int64_t height, width, channels;
    int64_t top, left, rows, columns;
};

/* Maps of pixels, (rows, pitch) each, for nearest doubling by differences. */
enum { DOUBLED_MAPS = 4, DOUBLED_PRODUCTS = 9 };
struct maps {
    float *values[DOUBLED_PRODUCTS];
    int64_t pitch[DOUBLED_PRODUCTS]; /* pixels from one row to the next */
    int64_t pixel;                   /* floats from one pixel to the next */
};

struct simd {
    const char *name;
    int64_t lanes; /* floats of a vector */
    int64_t rows;  /* of a, that are multiplied at once: m is best a multiple of it */
    void (*multiply)(const struct product *product);

    /* Winograd's F(4x4, 3x3): B^T d B, A^T m A and A g A^T of tiles [first, first + count), each
     * for channels [0, channels) of the tiles on one side and of the transformed on the other */
    void (*winograd_in)(const struct transformed *out, const struct tiling_4x4 *tiling,
                        const float *image, int64_t first, int64_t count);
    void (*winograd_out)(float *image, const struct tiling_4x4 *tiling,
                         const struct transformed *in, int64_t first, int64_t count,
                         int64_t channels, const struct finish *finish);
    void (*winograd_spread)(const struct transformed *out, const struct tiling_4x4 *tiling,
                            const float *image, int64_t first, int64_t count);

    /* Nearest doubling and a 3x3 convolution by differences, see doubling_pack.h.  `in` is a region
     * of the small image.  _in: x and its differences down, across and both, with one row and one
     * column more than the region; _out: the nine products into the doubled image, whose pixels are
     * `channels` floats apart; _spread: sums of the doubled image's gradient; _back: nine sums and
     * differences of it side by side for each pixel. */
    void (*doubled_in)(const struct maps *out, const float *image, const struct region *in);
    void (*doubled_out)(float *image, const struct maps *products, const struct region *in,
                        int64_t columns, const struct finish *finish);
    void (*doubled_spread)(const struct maps *out, const float *image, const struct region *in);
    void (*doubled_back)(float *out, int64_t pixel, const float *image, const struct region *in);
};

extern const struct simd simd_avx2, simd_avx512;

/* The widest one that this CPU has and that divides `in` and `out` channels, or NULL. */
const struct simd *simd_for(int64_t in, int64_t out);

static inline int64_t at_most(int64_t value, int64_t most)
{
    return value < most ? value : most;
}

static inline int64_t at_least(int64_t value, int64_t least)
{
    return value > least ? value : least;
}

#endif
