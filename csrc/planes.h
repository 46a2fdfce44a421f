/* A volume's slices along another axis, and the mean of what was found on several axes. */
#ifndef CEM_PLANES_H
#define CEM_PLANES_H

#include <stdint.h>

/* A volume of (depth, height, width), and the slices [first, first + count) of one of its planes.
 */
struct planes {
    int64_t depth, height, width;
    int32_t plane; /* CEM_XY, CEM_XZ or CEM_YZ */
    int64_t first, count;
};

/* Slices of `plane`: how many, and their rows and columns. */
void planes_shape(int64_t shape[3], const struct planes *planes);

/* Copies the slices, (count, rows, columns), out of the volume; a pixel has `size` bytes. */
void planes_gather(void *out, const void *volume, int64_t size, const struct planes *planes);

/* Adds the probabilities (count, classes, rows, columns) of the slices, the background's left out,
 * to `sums` (depth, classes - 1, height, width). */
void planes_add(float *sums, const float *probabilities, int64_t classes,
                const struct planes *planes);

/* Divides `sums` (classes - 1, pixels) by `count` and puts the background, what is left to 1, in
 * front: `out` is (classes, pixels). */
void planes_mean(float *out, const float *sums, int64_t classes, int64_t pixels, int32_t count);

#endif
