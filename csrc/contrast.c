/* Grey values alone do not tell whether an image is inverted: the shape of their distribution does,
 * together with that of the fine structure, membranes above all, which are dark lines or bright
 * ones.  Hence four bands: the pixels, and the differences of successive means over 1, 3, 7 and 15
 * pixels.  Order of operations and interpolation are NumPy's (cumsum, quantile), bit for bit. */
#include "contrast.h"

#include <math.h>
#include <string.h>

#include "error.h"
#include "memory.h"
#include "pixels.h"

enum { SIDE = 512, BANDS = 4, QUANTILES = 7 };

static const double AT[QUANTILES] = {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99};
static const int BOXES[BANDS - 1] = {3, 7, 15};

/* Means over `size` (odd) values around each of `length` values `stride` apart, which are mirrored
 * beyond their ends.  `sums` has room for length + size. */
static void line_mean(double *out, const double *in, int64_t length, int64_t stride, int size,
                      double *sums)
{
    double total = 0;

    for (int64_t i = 0; i < length + size; i++) {
        int64_t place = (i - size / 2 - 1) % (2 * length);
        if (place < 0) place += 2 * length;
        if (place >= length) place = 2 * length - 1 - place;
        total = i ? total + in[place * stride] : in[place * stride];
        sums[i] = total;
    }
    for (int64_t i = 0; i < length; i++) out[i * stride] = (sums[i + size] - sums[i]) / size;
}

/* Means over squares of side `size` around each pixel; `sums` as in line_mean. */
static void box_mean(double *out, const double *page, int64_t height, int64_t width, int size,
                     double *sums)
{
    for (int64_t x = 0; x < width; x++) line_mean(out + x, page + x, height, width, size, sums);
    for (int64_t y = 0; y < height; y++)
        line_mean(out + y * width, out + y * width, width, 1, size, sums);
}

static double middle_of_three(double a, double b, double c)
{
    if (a > b) return b > c ? b : a < c ? a : c;
    return a > c ? a : b < c ? b : c;
}

/* Puts the value of rank `rank` of values[first..last] to its place, none larger before it and none
 * smaller behind it. */
static void select_rank(double *values, int64_t first, int64_t last, int64_t rank)
{
    while (first < last) {
        double pivot =
            middle_of_three(values[first], values[first + (last - first) / 2], values[last]);
        int64_t low = first, high = last;
        while (low <= high) {
            while (values[low] < pivot) low++;
            while (values[high] > pivot) high--;
            if (low > high) break;
            double value = values[low];
            values[low++] = values[high];
            values[high--] = value;
        }
        if (rank <= high) last = high;
        else if (rank >= low) first = low;
        else return;
    }
}

/* The quantiles AT of `count` values, which are reordered. */
static void quantiles(double *out, double *values, int64_t count)
{
    int64_t sorted = 0; /* values before this one are in their places or below */

    for (int i = 0; i < QUANTILES; i++) {
        double at = (double)(count - 1) * AT[i], share = at - floor(at), low, high;
        int64_t rank = (int64_t)floor(at);
        for (int64_t k = rank; k <= rank + 1 && k < count; k++)
            if (k >= sorted) {
                select_rank(values, sorted, count - 1, k);
                sorted = k + 1;
            }
        low = values[rank];
        high = rank + 1 < count ? values[rank + 1] : low;
        out[i] = share >= 0.5 ? high - (high - low) * (1 - share) : low + (high - low) * share;
    }
}

/* Reads the middle of a slice. */
static int32_t read_middle(double *page, const void *pixels, int32_t type, int64_t height,
                           int64_t width, const int64_t *side)
{
    const int64_t top = (height - side[0]) / 2, left = (width - side[1]) / 2;

    for (int64_t y = 0; y < side[0]; y++)
        pixels_read(page + y * side[1], pixels, type, (top + y) * width + left, side[1]);
    for (int64_t i = 0; i < side[0] * side[1]; i++)
        if (!isfinite(page[i]))
            return error_set(CEM_EARGUMENT,
                             "the image has the value %g; replace what is not a number first",
                             page[i]);
    return CEM_OK;
}

int32_t contrast_add(cem_contrast *contrast, const void *pixels, int32_t type, int64_t height,
                     int64_t width)
{
    const int64_t side[2] = {height < SIDE ? height : SIDE, width < SIDE ? width : SIDE};
    const int64_t count = side[0] * side[1];
    double found[BANDS * QUANTILES], sums[SIDE + 16];
    double *page = memory_new(3 * count, sizeof *page);
    double *fine = page + count, *coarse = page + 2 * count;
    int32_t status;

    if (!page) return CEM_EMEMORY;
    if ((status = read_middle(page, pixels, type, height, width, side)) != CEM_OK) goto done;
    memcpy(fine, page, (size_t)count * sizeof *fine);
    quantiles(found, fine, count);
    memcpy(fine, page, (size_t)count * sizeof *fine);
    for (int b = 1; b < BANDS; b++) {
        box_mean(coarse, page, side[0], side[1], BOXES[b - 1], sums);
        for (int64_t i = 0; i < count; i++) fine[i] -= coarse[i];
        quantiles(found + b * QUANTILES, fine, count);
        memcpy(fine, coarse, (size_t)count * sizeof *fine);
    }
    for (int i = 0; i < BANDS * QUANTILES; i++)
        contrast->sums[i] = contrast->slices ? contrast->sums[i] + found[i] : found[i];
    contrast->slices++;
done:
    memory_free(page);
    return status;
}

void contrast_mean(double *mean, const cem_contrast *contrast, const cem_intensity *intensity)
{
    for (int i = 0; i < BANDS * QUANTILES; i++) {
        double seen = contrast->sums[i] / (double)contrast->slices * intensity->scale;
        if (i < QUANTILES) seen -= intensity->offset * intensity->scale;
        mean[i] = rint(seen * 1e4) / 1e4;
    }
}

/* Mean squared distance of `seen`, or of its mirror image, from `trained`, each band in units of
 * its spread in `trained`. */
static double distance(const double *trained, const double *seen, bool mirrored)
{
    double total = 0;

    for (int b = 0; b < BANDS; b++) {
        const double *row = trained + b * QUANTILES, *other = seen + b * QUANTILES;
        double spread = row[QUANTILES - 1] - row[0];
        for (int i = 0; i < QUANTILES; i++) {
            double value = mirrored ? -other[QUANTILES - 1 - i] : other[i];
            total += (value - row[i]) / spread * ((value - row[i]) / spread);
        }
    }
    return total / (BANDS * QUANTILES);
}

bool contrast_inverted(const double *trained, const double *seen)
{
    for (int b = 0; b < BANDS; b++)
        if (!(trained[(b + 1) * QUANTILES - 1] - trained[b * QUANTILES] > 0)) return false;
    return sqrt(distance(trained, seen, true)) < 0.5 * sqrt(distance(trained, seen, false));
}
