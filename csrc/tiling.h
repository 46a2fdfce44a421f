/* How slices are cut into tiles: a fixed grid that depends on the slice's size alone, so that
 * results depend neither on who computes a tile nor on when. */
#ifndef CEM_TILING_H
#define CEM_TILING_H

#include <stdint.h>

/* One axis: `count` tiles of `side` pixels. */
struct axis {
    int64_t length; /* of the image */
    int64_t side;   /* of a tile, multiple of 32 */
    int64_t halo;
    int64_t count;
};

struct tiling {
    struct axis y, x;
};

/* What a tile is computed from, [start, start + side), and what is kept of it, [first, last). */
struct interval {
    int64_t start, first, last;
};

/* `tile` and `halo` are multiples of 32, tile > 2 halo. */
struct tiling tiling_make(int64_t height, int64_t width, int64_t tile, int64_t halo);
int64_t tiling_count(const struct tiling *tiling);
void tiling_tile(struct interval *y, struct interval *x, const struct tiling *tiling,
                 int64_t index);

/* The pixel that stands at `i` of an image of `length` reflected at its borders, as often as
 * needed; the border pixel itself is not repeated. */
int64_t tiling_reflect(int64_t i, int64_t length);

#endif
