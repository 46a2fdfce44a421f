/* Which augmentations a sample gets, and how much of each: every decision has its own place in the
 * sample's stream of random numbers. */
#include "augment.h"

#include <math.h>
#include <stdbool.h>

#include "memory.h"
#include "random.h"
#include "tiling.h"

/* The random numbers of one sample. */
struct dice {
    uint64_t seed, sample;
};

static double between(const struct dice *d, uint64_t slot, double low, double high)
{
    return low + (high - low) * random_uniform(d->seed, d->sample, slot);
}

static bool chance(const struct dice *d, uint64_t slot, double probability)
{
    return random_uniform(d->seed, d->sample, slot) < probability;
}

/* ---- where a sample is taken from ---- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

struct augment_window augment_pad(int64_t height, int64_t width, int64_t crop)
{
    int64_t rows = larger(height, crop), columns = larger(width, crop);

    return (struct augment_window){-((rows - height) / 2), -((columns - width) / 2), rows, columns};
}

struct augment_window augment_crop(const struct augment_window *window, int64_t crop, uint64_t seed,
                                   uint64_t sample)
{
    int64_t y = random_below(seed, sample, SLOT_CROP_Y, window->height - crop + 1);
    int64_t x = random_below(seed, sample, SLOT_CROP_X, window->width - crop + 1);

    return (struct augment_window){window->top + y, window->left + x, crop, crop};
}

/* Pixels of classes above 0 in row `y` of the window; stops at number `last` and says its column.
 */
static int64_t count_row(int64_t *column, const struct augment_window *window, int64_t y,
                         const int16_t *target, int64_t height, int64_t width, int64_t last)
{
    const int16_t *row = target + tiling_reflect(window->top + y, height) * width;
    int64_t count = 0;

    for (int64_t x = 0; x < window->width && count < last; x++) {
        count += row[tiling_reflect(window->left + x, width)] > 0;
        *column = x;
    }
    return count;
}

/* The origin of a crop along an axis of `size`, so that it holds `pixel`, if that is possible. */
static int64_t origin_about(int64_t pixel, int64_t size, int64_t crop, const struct dice *d,
                            uint64_t slot)
{
    int64_t origin = pixel - random_below(d->seed, d->sample, slot, crop);

    return origin < 0 ? 0 : origin > size - crop ? size - crop : origin;
}

struct augment_window augment_crop_nonempty(const struct augment_window *window,
                                            const int16_t *target, int64_t height, int64_t width,
                                            int64_t crop, uint64_t seed, uint64_t sample)
{
    const struct dice dice = {seed, sample};
    int64_t total = 0, left, row, y = 0, x = 0;

    for (int64_t i = 0; i < window->height; i++)
        total += count_row(&x, window, i, target, height, width, INT64_MAX);
    if (!total) return augment_crop(window, crop, seed, sample);
    left = random_below(seed, sample, SLOT_PIXEL, total) + 1;
    while ((row = count_row(&x, window, y, target, height, width, left)) < left) left -= row, y++;
    y = origin_about(y, window->height, crop, &dice, SLOT_PIXEL_Y);
    x = origin_about(x, window->width, crop, &dice, SLOT_PIXEL_X);
    return (struct augment_window){window->top + y, window->left + x, crop, crop};
}

static const double smallest_area = 0.08, narrowest = 0.5, widest = 1.5;

/* A rectangle in the middle of `window`, as large as its ratio may be. */
static struct augment_window middle(const struct augment_window *window)
{
    double height = (double)window->height, width = (double)window->width;
    int64_t rows = window->height, columns = window->width;

    if (width / height < narrowest) rows = (int64_t)rint(width / narrowest);
    else if (width / height > widest) columns = (int64_t)rint(height * widest);
    rows = larger(rows, 1);
    columns = larger(columns, 1);
    return (struct augment_window){window->top + (window->height - rows) / 2,
                                   window->left + (window->width - columns) / 2, rows, columns};
}

struct augment_window augment_crop_resized(const struct augment_window *window, uint64_t seed,
                                           uint64_t sample)
{
    const struct dice dice = {seed, sample};
    double whole = (double)window->height * (double)window->width;

    for (uint64_t slot = SLOT_RESIZED; slot < SLOT_RESIZED + 40; slot += 4) {
        double area = between(&dice, slot, smallest_area, 1) * whole;
        double ratio = exp(between(&dice, slot + 1, log(narrowest), log(widest)));
        int64_t columns = (int64_t)rint(sqrt(area * ratio));
        int64_t rows = (int64_t)rint(sqrt(area / ratio));
        if (rows < 1 || columns < 1 || rows > window->height || columns > window->width) continue;
        int64_t y = random_below(seed, sample, slot + 2, window->height - rows + 1);
        int64_t x = random_below(seed, sample, slot + 3, window->width - columns + 1);
        return (struct augment_window){window->top + y, window->left + x, rows, columns};
    }
    return middle(window);
}

static struct augment_window choose_window(const int16_t *target, int64_t height, int64_t width,
                                           int64_t crop, int32_t flags, const struct dice *d)
{
    struct augment_window window = augment_pad(height, width, crop);

    if (flags & CEM_CROP_NONEMPTY && chance(d, SLOT_NONEMPTY, 0.8))
        window = augment_crop_nonempty(&window, target, height, width, crop, d->seed, d->sample);
    if (flags & CEM_RESIZED_CROP) return augment_crop_resized(&window, d->seed, d->sample);
    return augment_crop(&window, crop, d->seed, d->sample);
}

/* ---- a sample ---- */

static void change_intensity(uint8_t *image, int16_t *scratch, int64_t crop, int32_t flags,
                             const struct dice *d)
{
    int64_t pixels = crop * crop;

    if (flags & CEM_BRIGHTNESS_CONTRAST && chance(d, SLOT_GREY, 0.5))
        augment_brightness_contrast(image, pixels, 1 + between(d, SLOT_CONTRAST, -0.3, 0.3),
                                    between(d, SLOT_BRIGHTNESS, -0.3, 0.3));
    if (flags & CEM_GAUSS_NOISE && chance(d, SLOT_NOISE, 0.5))
        augment_noise(image, pixels, sqrt(between(d, SLOT_VARIANCE, 400, 1200)), d->seed,
                      d->sample);
    if (flags & CEM_GAUSSIAN_BLUR && chance(d, SLOT_BLUR, 0.5)) {
        static const int sizes[5] = {3, 5, 5, 7, 7};
        augment_blur(image, scratch, crop, crop,
                     sizes[random_below(d->seed, d->sample, SLOT_KERNEL, 5)]);
    }
}

int32_t augment_sample(uint8_t *image_out, int16_t *target_out, const uint8_t *image,
                       const int16_t *target, int64_t height, int64_t width, int64_t crop,
                       int32_t flags, uint64_t seed, uint64_t sample)
{
    const struct dice dice = {seed, sample};
    const bool rotated = flags & CEM_ROTATE && chance(&dice, SLOT_ROTATE, 0.5);
    struct augment_window window = choose_window(target, height, width, crop, flags, &dice);
    uint8_t *image_scratch = memory_raw(crop * crop, sizeof *image_scratch);
    int16_t *target_scratch = memory_raw(crop * crop, sizeof *target_scratch);
    int32_t status = CEM_EMEMORY;

    if (!image_scratch || !target_scratch) goto done;
    status = augment_cut(rotated ? image_scratch : image_out, rotated ? target_scratch : target_out,
                         crop, image, target, height, width, &window);
    if (status != CEM_OK) goto done;
    if (rotated)
        augment_rotate(image_out, target_out, image_scratch, target_scratch, crop, crop,
                       between(&dice, SLOT_ANGLE, -180, 180));
    change_intensity(image_out, target_scratch, crop, flags, &dice);
    if (flags & CEM_FLIPS)
        augment_flip(image_out, target_out, crop, crop, chance(&dice, SLOT_FLIP_ACROSS, 0.5),
                     chance(&dice, SLOT_FLIP_DOWN, 0.5));
done:
    memory_free(target_scratch);
    memory_free(image_scratch);
    return status;
}
