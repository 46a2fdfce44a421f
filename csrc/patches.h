/* Where patches are cut, and the cutting. */
#ifndef CEM_PATCHES_H
#define CEM_PATCHES_H

#include <stdint.h>

/* Patches along an axis of `size` pixels. */
int64_t patches_along(int64_t size, int64_t side);

/* Axes across which sections are taken: 3, or 1 if the distance of slices is too unlike a pixel. */
int32_t patches_axes(double spacing, double pixel, double anisotropy);

struct patches_cut {
    uint8_t *out;           /* (count, rows, columns) */
    const uint8_t *volume;  /* (depth, height, width) */
    const int64_t *corners; /* (count, 4): axis, section, row, column */
    int64_t depth, height, width, count, rows, columns;
};

int32_t patches_cut(const struct patches_cut *cut, int threads);

#endif
