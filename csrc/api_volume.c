/* The ABI: what is measured on a volume, and its planes. */
#include <math.h>
#include <stddef.h>

#include "api.h"
#include "contrast.h"
#include "error.h"
#include "pixels.h"
#include "planes.h"
#include "statistics.h"
#include "tiff_text.h"

/* Checks pixels of one slice; the intensity does not matter. */
static int32_t check_slice(const void *pixels, int32_t type, int64_t height, int64_t width)
{
    const struct stack stack = {pixels, type, 1, height, width, {0, 1}};

    return api_stack(&stack);
}

int64_t cem_sample(int64_t *slices, int64_t depth, int64_t most)
{
    int64_t count = depth < most ? depth : most;
    int32_t status;

    if ((status = api_need(slices, "slices")) != CEM_OK) return status;
    if (depth < 1 || (most < 2 && most < depth))
        return error_set(CEM_EARGUMENT, "depth is %lld, must be at least 1, and most %lld, 2",
                         (long long)depth, (long long)most);
    for (int64_t k = 0; k < count; k++)
        slices[k] =
            depth <= most ? k : (int64_t)rint((double)(k * (depth - 1)) / (double)(count - 1));
    return count;
}

int32_t cem_norms_measure(double *norms, const cem_statistics *statistics)
{
    int32_t status;

    if ((status = api_need(norms, "norms")) != CEM_OK) return status;
    if ((status = api_need(statistics, "statistics")) != CEM_OK) return status;
    return statistics_norms(norms, statistics);
}

int32_t cem_intensity_from_norms(cem_intensity *intensity, const double *norms)
{
    int32_t status;

    if ((status = api_need(intensity, "intensity")) != CEM_OK) return status;
    if ((status = api_need(norms, "norms")) != CEM_OK) return status;
    if (!isfinite(norms[0]) || !(norms[1] > 0) || !isfinite(norms[1]))
        return error_set(CEM_EARGUMENT, "the norms are %g and %g; the second must be above 0",
                         norms[0], norms[1]);
    *intensity = (cem_intensity){255.0 * norms[0], 1.0 / (255.0 * norms[1])};
    return CEM_OK;
}

int32_t cem_stretch(uint8_t *out, const void *pixels, int32_t type, int64_t count, double low,
                    double high)
{
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(pixels, "pixels")) != CEM_OK) return status;
    if (!pixels_size(type))
        return error_set(CEM_EARGUMENT, "%d is no type of pixels, must be CEM_U8 to CEM_F64",
                         (int)type);
    if (count < 0 || !isfinite(low) || !isfinite(high) || !(low < high))
        return error_set(CEM_EARGUMENT,
                         "there are %lld pixels from %g to %g; high must be above "
                         "low",
                         (long long)count, low, high);
    pixels_stretch(out, pixels, type, count, low, high);
    return CEM_OK;
}

int32_t cem_contrast_add(cem_contrast *contrast, const void *pixels, int32_t type, int64_t height,
                         int64_t width)
{
    int32_t status;

    if ((status = api_need(contrast, "contrast")) != CEM_OK) return status;
    if ((status = check_slice(pixels, type, height, width)) != CEM_OK) return status;
    return contrast_add(contrast, pixels, type, height, width);
}

int32_t cem_contrast_mean(double *mean, const cem_contrast *contrast,
                          const cem_intensity *intensity)
{
    int32_t status;

    if ((status = api_need(mean, "mean")) != CEM_OK) return status;
    if ((status = api_need(contrast, "contrast")) != CEM_OK) return status;
    if ((status = api_need(intensity, "intensity")) != CEM_OK) return status;
    if (contrast->slices < 1) return error_set(CEM_EARGUMENT, "no slice was added");
    contrast_mean(mean, contrast, intensity);
    return CEM_OK;
}

int32_t cem_contrast_inverted(int32_t *inverted, const double *trained, const double *seen)
{
    int32_t status;

    if ((status = api_need(inverted, "inverted")) != CEM_OK) return status;
    if ((status = api_need(trained, "trained")) != CEM_OK) return status;
    if ((status = api_need(seen, "seen")) != CEM_OK) return status;
    *inverted = contrast_inverted(trained, seen);
    return CEM_OK;
}

/* The slices asked for, checked. */
static int32_t find_planes(struct planes *out, int64_t depth, int64_t height, int64_t width,
                           int32_t plane, int64_t first, int64_t count)
{
    const struct planes planes = {depth, height, width, plane, first, count};
    int64_t shape[3];
    int32_t status;

    if ((status = check_slice(out, CEM_F32, height, width)) != CEM_OK) return status;
    if (plane < CEM_XY || plane > CEM_YZ)
        return error_set(CEM_EARGUMENT, "plane is %d, must be CEM_XY, CEM_XZ or CEM_YZ",
                         (int)plane);
    planes_shape(shape, &planes);
    if (depth < 1 || first < 0 || count < 0 || first > shape[0] - count)
        return error_set(CEM_EARGUMENT, "slices %lld to %lld are not all there: there are %lld",
                         (long long)first, (long long)(first + count - 1), (long long)shape[0]);
    *out = planes;
    return CEM_OK;
}

int32_t cem_planes_gather(void *out, const void *volume, int32_t type, int64_t depth,
                          int64_t height, int64_t width, int32_t plane, int64_t first,
                          int64_t count)
{
    struct planes planes;
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = check_slice(volume, type, height, width)) != CEM_OK) return status;
    status = find_planes(&planes, depth, height, width, plane, first, count);
    if (status == CEM_OK) planes_gather(out, volume, pixels_size(type), &planes);
    return status;
}

/* At least two classes. */
static int32_t check_classes(int64_t classes)
{
    if (classes >= 2 && classes <= 255) return CEM_OK;
    return error_set(CEM_EARGUMENT, "classes is %lld, must be 2 to 255", (long long)classes);
}

int32_t cem_planes_add(float *sums, const float *probabilities, int64_t classes, int64_t depth,
                       int64_t height, int64_t width, int32_t plane, int64_t first, int64_t count)
{
    struct planes planes;
    int32_t status;

    if ((status = api_need(sums, "sums")) != CEM_OK) return status;
    if ((status = api_need(probabilities, "probabilities")) != CEM_OK) return status;
    if ((status = check_classes(classes)) != CEM_OK) return status;
    status = find_planes(&planes, depth, height, width, plane, first, count);
    if (status == CEM_OK) planes_add(sums, probabilities, classes, &planes);
    return status;
}

int32_t cem_planes_mean(float *out, const float *sums, int64_t classes, int64_t pixels,
                        int32_t planes)
{
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(sums, "sums")) != CEM_OK) return status;
    if ((status = check_classes(classes)) != CEM_OK) return status;
    if (pixels < 0 || planes < 1)
        return error_set(CEM_EARGUMENT,
                         "there are %lld pixels of %d planes; give at least one "
                         "plane",
                         (long long)pixels, (int)planes);
    planes_mean(out, sums, classes, pixels, planes);
    return CEM_OK;
}

int32_t cem_pixel_nm(double *nm, double length, const char *unit)
{
    int32_t status;

    if ((status = api_need(nm, "nm")) != CEM_OK) return status;
    if ((status = api_need(unit, "unit")) != CEM_OK) return status;
    *nm = tiff_text_length(length, unit);
    return CEM_OK;
}
