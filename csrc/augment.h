/* Augmentation of 8-bit images together with the class of each pixel, with the meaning that
 * albumentations 0.5.2 on OpenCV gives it (Conrad and Narayan 2021 trained with it).
 *
 * Grey values are interpolated bilinearly, classes go by nearest neighbour, and -1 (ignored) is a
 * class like the others.  What lies outside an image is its reflection, edge pixels not repeated,
 * as often as needed.  Arithmetic on pixels is integer or single, correctly rounded.
 *
 *   augment.c            which augmentations a sample gets, and how much of each
 *   augment_geometry.c   windows, rotation, flips and turns
 *   augment_intensity.c  brightness and contrast, noise, blur */
#ifndef CEM_AUGMENT_H
#define CEM_AUGMENT_H

#include "cem.h"

/* One augmented sample.  The result depends on the arguments and nothing else.
 *   image_out, target_out  (crop, crop)
 *   image, target          (height, width), any size from 1 up
 *   flags                  sum of CEM_CROP_NONEMPTY ... CEM_FLIPS
 *   sample                 number of the sample in the whole training */
int32_t augment_sample(uint8_t *image_out, int16_t *target_out, const uint8_t *image,
                       const int16_t *target, int64_t height, int64_t width, int64_t crop,
                       int32_t flags, uint64_t seed, uint64_t sample);

/* ---- where a sample is taken from ---- */

/* A rectangle in the plane of an image; it may reach beyond the image. */
struct augment_window {
    int64_t top, left, height, width;
};

/* The image itself, grown about its middle until both sides are at least `crop`. */
struct augment_window augment_pad(int64_t height, int64_t width, int64_t crop);

/* A square of side `crop` of `window`, which is at least as large: about a random pixel of a class
 * above 0, anywhere if there is none. */
struct augment_window augment_crop_nonempty(const struct augment_window *window,
                                            const int16_t *target, int64_t height, int64_t width,
                                            int64_t crop, uint64_t seed, uint64_t sample);

/* A square of side `crop` anywhere in `window`, which is at least as large. */
struct augment_window augment_crop(const struct augment_window *window, int64_t crop, uint64_t seed,
                                   uint64_t sample);

/* A rectangle of 8 to 100 % of the area of `window` and of ratio 1:2 to 3:2; after ten that do not
 * fit, the largest in the middle whose ratio is allowed. */
struct augment_window augment_crop_resized(const struct augment_window *window, uint64_t seed,
                                           uint64_t sample);

/* ---- geometry ---- */

/* Scales what is in `window` to a square of `side`; a window of that size is copied. */
int32_t augment_cut(uint8_t *image_out, int16_t *target_out, int64_t side, const uint8_t *image,
                    const int16_t *target, int64_t height, int64_t width,
                    const struct augment_window *window);

/* Turns by `degrees` about pixel (height / 2, width / 2), counter-clockwise as seen on a screen. */
void augment_rotate(uint8_t *image_out, int16_t *target_out, const uint8_t *image,
                    const int16_t *target, int64_t height, int64_t width, double degrees);

/* Mirrors left to right (`across`) and top to bottom (`down`), in place. */
void augment_flip(uint8_t *image, int16_t *target, int64_t height, int64_t width, int across,
                  int down);

/* The eight flips and quarter turns of a square: out[y][x] = in[v][u], where (v, u) is (y, x),
 * exchanged if `orientation` has bit 2, then v = side - 1 - v with bit 1, u = side - 1 - u with bit
 * 0.  Orientation 0 copies. */
void augment_turn_floats(float *out, const float *in, int64_t side, int orientation);
void augment_turn_targets(int16_t *out, const int16_t *in, int64_t side, int orientation);

/* ---- intensity ---- */

/* v * contrast + brightness * 255, cut to 0..255, fraction dropped. */
void augment_brightness_contrast(uint8_t *image, int64_t pixels, double contrast,
                                 double brightness);

/* Adds normal noise of `deviation` grey levels, cut to 0..255, fraction dropped. */
void augment_noise(uint8_t *image, int64_t pixels, double deviation, uint64_t seed,
                   uint64_t sample);

/* Blurs with OpenCV's own kernel of `size` 3, 5 or 7.
 *   scratch  (height, width), overwritten */
void augment_blur(uint8_t *image, int16_t *scratch, int64_t height, int64_t width, int size);

/* ---- random numbers ---- */

/* Which random number of a sample's stream decides what. */
enum {
    SLOT_NONEMPTY,    /* whether */
    SLOT_PIXEL,       /* about which pixel */
    SLOT_PIXEL_Y,     /* where in the crop that pixel comes to lie */
    SLOT_PIXEL_X,     /* */
    SLOT_CROP_Y,      /* origin of a crop anywhere */
    SLOT_CROP_X,      /* */
    SLOT_ROTATE,      /* whether */
    SLOT_ANGLE,       /* */
    SLOT_GREY,        /* whether brightness and contrast change */
    SLOT_BRIGHTNESS,  /* */
    SLOT_CONTRAST,    /* */
    SLOT_NOISE,       /* whether */
    SLOT_VARIANCE,    /* */
    SLOT_BLUR,        /* whether */
    SLOT_KERNEL,      /* */
    SLOT_FLIP_ACROSS, /* whether */
    SLOT_FLIP_DOWN,   /* whether */
    SLOT_RESIZED = 32 /* area, ratio, y and x of each of ten tries */
};

/* Normal numbers from here on, one a pixel, are the noise. */
#define AUGMENT_NOISE ((uint64_t)1 << 32)

#endif
