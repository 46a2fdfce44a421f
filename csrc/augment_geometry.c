/* Where each pixel comes from.  Positions are rounded as OpenCV rounds them (weights of a resize to
 * 1/2048, places of a rotation to 1/1024 and then 1/32 of a pixel), so that its numbers come out,
 * in a resize to within one grey level: OpenCV drops bits between the two passes. */
#include "augment.h"

#include <math.h>

#include "memory.h"
#include "tiling.h"

/* ---- a window, scaled ---- */

/* What a row or column of the result is made of: two of the image and the weight of the second out
 * of 2048, or one. */
struct tap {
    int64_t first, second, nearest;
    int32_t weight;
};

/* Taps of row or column `i` of `side` that show `length` from `start` of an image's `n`. */
static struct tap make_tap(int64_t i, int64_t side, int64_t start, int64_t length, int64_t n)
{
    double step = 1 / ((double)side / (double)length); /* rounded twice, as OpenCV does */
    double place = ((double)i + 0.5) * step - 0.5, below = floor(place);
    int64_t first = (int64_t)below, nearest = (int64_t)((double)i * step);
    int32_t weight = (int32_t)lrint((place - below) * 2048);

    if (first < 0) first = 0, weight = 0;
    if (first >= length - 1) first = length - 1, weight = 0;
    return (struct tap){tiling_reflect(start + first, n),
                        tiling_reflect(start + first + (weight > 0), n),
                        tiling_reflect(start + nearest, n), weight};
}

static void cut_row(uint8_t *image_out, int16_t *target_out, int64_t side, const uint8_t *image,
                    const int16_t *target, int64_t width, const struct tap *row,
                    const struct tap *columns)
{
    const uint8_t *upper = image + row->first * width, *lower = image + row->second * width;
    const int16_t *classes = target + row->nearest * width;

    for (int64_t x = 0; x < side; x++) {
        const struct tap *c = &columns[x];
        int32_t above = upper[c->first] * (2048 - c->weight) + upper[c->second] * c->weight;
        int32_t below = lower[c->first] * (2048 - c->weight) + lower[c->second] * c->weight;
        int32_t sum = above * (2048 - row->weight) + below * row->weight;
        image_out[x] = (uint8_t)((sum + (1 << 21)) >> 22);
        target_out[x] = classes[c->nearest];
    }
}

int32_t augment_cut(uint8_t *image_out, int16_t *target_out, int64_t side, const uint8_t *image,
                    const int16_t *target, int64_t height, int64_t width,
                    const struct augment_window *window)
{
    struct tap *columns = memory_raw(side, sizeof *columns);

    if (!columns) return CEM_EMEMORY;
    for (int64_t x = 0; x < side; x++)
        columns[x] = make_tap(x, side, window->left, window->width, width);
    for (int64_t y = 0; y < side; y++) {
        struct tap row = make_tap(y, side, window->top, window->height, height);
        cut_row(image_out + y * side, target_out + y * side, side, image, target, width, &row,
                columns);
    }
    memory_free(columns);
    return CEM_OK;
}

/* ---- rotation ---- */

/* The mean of four neighbours of place (y, x), both in 1/32 of a pixel. */
static uint8_t blend(const uint8_t *image, int64_t height, int64_t width, int64_t y, int64_t x)
{
    int32_t down = (int32_t)(y & 31), across = (int32_t)(x & 31);
    const uint8_t *upper = image + tiling_reflect(y >> 5, height) * width;
    const uint8_t *lower = image + tiling_reflect((y >> 5) + 1, height) * width;
    int64_t left = tiling_reflect(x >> 5, width), right = tiling_reflect((x >> 5) + 1, width);
    int32_t above = upper[left] * (32 - across) + upper[right] * across;
    int32_t below = lower[left] * (32 - across) + lower[right] * across;

    return (uint8_t)((above * (32 - down) + below * down + 512) >> 10);
}

void augment_rotate(uint8_t *image_out, int16_t *target_out, const uint8_t *image,
                    const int16_t *target, int64_t height, int64_t width, double degrees)
{
    const double radians = degrees * (3.14159265358979323846 / 180);
    const double cosine = cos(radians), sine = sin(radians);
    const double cy = (double)height / 2, cx = (double)width / 2;

    for (int64_t y = 0; y < height; y++) {
        int64_t row_x = llrint((cx - cosine * cx - sine * ((double)y - cy)) * 1024);
        int64_t row_y = llrint((cy - sine * cx + cosine * ((double)y - cy)) * 1024);
        for (int64_t x = 0; x < width; x++) {
            int64_t from_x = row_x + llrint(cosine * (double)x * 1024);
            int64_t from_y = row_y + llrint(sine * (double)x * 1024);
            int64_t at_y = tiling_reflect((from_y + 512) >> 10, height);
            int64_t at_x = tiling_reflect((from_x + 512) >> 10, width);
            image_out[y * width + x] =
                blend(image, height, width, (from_y + 16) >> 5, (from_x + 16) >> 5);
            target_out[y * width + x] = target[at_y * width + at_x];
        }
    }
}

/* ---- flips and turns ---- */

void augment_flip(uint8_t *image, int16_t *target, int64_t height, int64_t width, int across,
                  int down)
{
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            int64_t v = down ? height - 1 - y : y, u = across ? width - 1 - x : x;
            int64_t here = y * width + x, there = v * width + u;
            if (here >= there) continue;
            uint8_t grey = image[here];
            int16_t class = target[here];
            image[here] = image[there];
            target[here] = target[there];
            image[there] = grey;
            target[there] = class;
        }
}

/* Where the result's pixel `i` comes from. */
static int64_t turned(int64_t i, int64_t side, int orientation)
{
    int64_t y = i / side, x = i % side;
    int64_t v = orientation & 4 ? x : y, u = orientation & 4 ? y : x;

    if (orientation & 2) v = side - 1 - v;
    if (orientation & 1) u = side - 1 - u;
    return v * side + u;
}

void augment_turn_floats(float *out, const float *in, int64_t side, int orientation)
{
    for (int64_t i = 0; i < side * side; i++) out[i] = in[turned(i, side, orientation)];
}

void augment_turn_targets(int16_t *out, const int16_t *in, int64_t side, int orientation)
{
    for (int64_t i = 0; i < side * side; i++) out[i] = in[turned(i, side, orientation)];
}
