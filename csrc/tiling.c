/* An image no longer than a tile is one tile, its length rounded up to 32.  A longer one is covered
 * by tiles whose starts are multiples of (tile - 2 halo), the last one moved back to the end; what
 * is kept of two neighbours meets in the middle of their overlap's halo. */
#include "tiling.h"

enum { GRAIN = 32 };

static int64_t round_up(int64_t n)
{
    return (n + GRAIN - 1) / GRAIN * GRAIN;
}

static struct axis make_axis(int64_t length, int64_t tile, int64_t halo)
{
    int64_t padded = round_up(length), stride = tile - 2 * halo;

    if (padded <= tile) return (struct axis){length, padded, halo, 1};
    return (struct axis){length, tile, halo, (padded - 2 * halo + stride - 1) / stride};
}

static int64_t start_of(const struct axis *axis, int64_t index)
{
    int64_t start = index * (axis->side - 2 * axis->halo);
    int64_t last = round_up(axis->length) - axis->side;

    return start < last ? start : last;
}

static struct interval interval_of(const struct axis *axis, int64_t index)
{
    struct interval interval = {.start = start_of(axis, index)};

    interval.first = index == 0 ? 0 : interval.start + axis->halo;
    interval.last =
        index == axis->count - 1 ? axis->length : start_of(axis, index + 1) + axis->halo;
    return interval;
}

struct tiling tiling_make(int64_t height, int64_t width, int64_t tile, int64_t halo)
{
    return (struct tiling){make_axis(height, tile, halo), make_axis(width, tile, halo)};
}

int64_t tiling_count(const struct tiling *tiling)
{
    return tiling->y.count * tiling->x.count;
}

void tiling_tile(struct interval *y, struct interval *x, const struct tiling *tiling, int64_t index)
{
    *y = interval_of(&tiling->y, index / tiling->x.count);
    *x = interval_of(&tiling->x, index % tiling->x.count);
}

int64_t tiling_reflect(int64_t i, int64_t length)
{
    int64_t period = 2 * (length - 1);

    if (length == 1) return 0;
    i %= period;
    if (i < 0) i += period;
    return i < length ? i : period - i;
}
