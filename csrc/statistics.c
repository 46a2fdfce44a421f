/* Sums are taken relative to the first pixel, in double, so that a large offset costs no digits.
 * The smallest and the largest value are padding or saturation more often than tissue: they are
 * left out, unless nothing else is there. */
#include "statistics.h"

#include <math.h>

#include "error.h"
#include "pixels.h"

enum { BLOCK = 4096 };

static void add_value(cem_statistics *s, double value)
{
    double relative = value - s->shift;

    s->count++;
    s->sum += relative;
    s->squares += relative * relative;
    if (value < s->minimum) {
        s->minimum = value;
        s->at_minimum = 0;
    }
    if (value > s->maximum) {
        s->maximum = value;
        s->at_maximum = 0;
    }
    s->at_minimum += value == s->minimum;
    s->at_maximum += value == s->maximum;
}

int32_t statistics_add(cem_statistics *statistics, const void *pixels, int32_t type, int64_t count)
{
    cem_statistics next = *statistics;
    double block[BLOCK];

    for (int64_t first = 0; first < count; first += BLOCK) {
        int64_t n = count - first < BLOCK ? count - first : BLOCK;
        pixels_read(block, pixels, type, first, n);
        if (next.count == 0) next.shift = next.minimum = next.maximum = block[0];
        for (int64_t i = 0; i < n; i++) {
            if (!isfinite(block[i]))
                return error_set(
                    CEM_EARGUMENT,
                    "the image has the value %g at pixel %lld; replace values that are "
                    "not finite before segmenting",
                    block[i], (long long)(first + i));
            add_value(&next, block[i]);
        }
    }
    *statistics = next;
    return CEM_OK;
}

int32_t statistics_intensity(cem_intensity *intensity, const cem_statistics *statistics)
{
    cem_statistics s = *statistics;
    double low = s.minimum - s.shift, high = s.maximum - s.shift, mean, variance;

    if (s.count == 0) return error_set(CEM_EARGUMENT, "the image has no pixels");
    if (s.minimum == s.maximum)
        return error_set(CEM_EARGUMENT,
                         "the image is constant, every pixel is %g; there is nothing to segment",
                         s.minimum);
    if (s.count > s.at_minimum + s.at_maximum) {
        s.count -= s.at_minimum + s.at_maximum;
        s.sum -= (double)s.at_minimum * low + (double)s.at_maximum * high;
        s.squares -= (double)s.at_minimum * low * low + (double)s.at_maximum * high * high;
    }
    mean = s.sum / (double)s.count;
    variance = s.squares / (double)s.count - mean * mean;
    if (variance <= 0) variance = (high - low) * (high - low) / 4;
    intensity->offset = s.shift + mean;
    intensity->scale = 1 / sqrt(variance);
    return CEM_OK;
}

int32_t statistics_norms(double norms[2], const cem_statistics *s)
{
    double mean, variance;

    if (s->count == 0) return error_set(CEM_EARGUMENT, "the image has no pixels");
    mean = s->sum / (double)s->count;
    variance = s->squares / (double)s->count - mean * mean;
    norms[0] = rint((s->shift + mean) / 255 * 1e6) / 1e6;
    norms[1] = rint(sqrt(fmax(variance, 0)) / 255 * 1e6) / 1e6;
    return CEM_OK;
}
