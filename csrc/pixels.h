/* The types of pixels a host may hand over, and their reading. */
#ifndef CEM_PIXELS_H
#define CEM_PIXELS_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes of one pixel of `type` (CEM_U8 ...), or 0 if there is no such type. */
int64_t pixels_size(int32_t type);

/* `count` pixels from `first` on as float64. */
void pixels_read(double *out, const void *pixels, int32_t type, int64_t first, int64_t count);

/* The same as float32 after (pixel - offset) * scale.  False if one is not finite. */
bool pixels_scale(float *out, const void *pixels, int32_t type, int64_t first, int64_t count,
                  double offset, double scale);

/* The same as 8-bit numbers, [low, high] becoming [0, 255]. */
void pixels_stretch(uint8_t *out, const void *pixels, int32_t type, int64_t count, double low,
                    double high);

#endif
