/* What tells dark structures from bright ones: quantiles of grey values and of fine structure. */
#ifndef CEM_CONTRAST_H
#define CEM_CONTRAST_H

#include <stdbool.h>
#include <stdint.h>

#include "cem.h"

/* Adds the quantiles of one slice, whose middle 512 x 512 pixels are looked at. */
int32_t contrast_add(cem_contrast *contrast, const void *pixels, int32_t type, int64_t height,
                     int64_t width);

/* The mean of the slices added, as the network sees them, to four decimals. */
void contrast_mean(double *mean, const cem_contrast *contrast, const cem_intensity *intensity);

/* Whether `seen` is at least twice as near to `trained` once it is inverted. */
bool contrast_inverted(const double *trained, const double *seen);

#endif
