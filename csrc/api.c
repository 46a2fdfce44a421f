/* The ABI: status, library, pixels.  api_volume.c, api_model.c, api_train.c and
 * api_tiff.c have the rest. */
#include "api.h"

#include <math.h>
#include <stddef.h>

#include "cpu.h"
#include "error.h"
#include "onednn.h"
#include "pixels.h"
#include "pool.h"
#include "statistics.h"

int32_t api_need(const void *pointer, const char *what)
{
    return pointer ? CEM_OK : error_set(CEM_EARGUMENT, "%s is NULL", what);
}

int32_t api_size(int64_t size, int64_t want, const char *what)
{
    if (size == want) return CEM_OK;
    return error_set(
        CEM_EARGUMENT,
        "%s has %lld bytes for the caller and %lld for the library; rebuild the caller "
        "against this version's cem.h",
        what, (long long)size, (long long)want);
}

int32_t api_threads(int32_t *threads)
{
    if (*threads < 0 || *threads > POOL_MOST)
        return error_set(CEM_EARGUMENT, "threads is %d, must be 0 to %d", (int)*threads, POOL_MOST);
    if (*threads == 0) *threads = cpu_cores() < POOL_MOST ? cpu_cores() : POOL_MOST;
    return CEM_OK;
}

static int32_t check_sides(int64_t depth, int64_t height, int64_t width)
{
    int64_t pixels;

    if (depth < 1 || height < 1 || width < 1)
        return error_set(
            CEM_EARGUMENT,
            "the image has the shape (%lld, %lld, %lld), every side must be at least 1",
            (long long)depth, (long long)height, (long long)width);
    if (__builtin_mul_overflow(depth, height, &pixels) ||
        __builtin_mul_overflow(pixels, width, &pixels) || pixels > INT64_MAX / 4096)
        return error_set(CEM_EARGUMENT,
                         "the image has the shape (%lld, %lld, %lld), which is too large",
                         (long long)depth, (long long)height, (long long)width);
    return CEM_OK;
}

int32_t api_stack(const struct stack *stack)
{
    int32_t status;

    if ((status = api_need(stack->pixels, "pixels")) != CEM_OK) return status;
    if (!pixels_size(stack->type))
        return error_set(CEM_EARGUMENT, "%d is no type of pixels, must be CEM_U8 to CEM_F64",
                         (int)stack->type);
    if (!isfinite(stack->intensity.offset) || !isfinite(stack->intensity.scale) ||
        stack->intensity.scale == 0)
        return error_set(CEM_EARGUMENT,
                         "the intensity has offset %g and scale %g; both must be finite, the scale "
                         "not 0",
                         stack->intensity.offset, stack->intensity.scale);
    return check_sides(stack->depth, stack->height, stack->width);
}

const char *cem_last_error(void)
{
    return error_line();
}

const char *cem_version(void)
{
    return CEM_VERSION;
}

const char *cem_backend(void)
{
    return onednn_name();
}

int32_t cem_cores(void)
{
    return cpu_cores();
}

void cem_cancel(void *handle)
{
    if (handle) atomic_store(&((struct handle *)handle)->cancel, 1);
}

int32_t cem_statistics_add(cem_statistics *statistics, const void *pixels, int32_t type,
                           int64_t count)
{
    int32_t status;

    if ((status = api_need(statistics, "statistics")) != CEM_OK) return status;
    if ((status = api_need(pixels, "pixels")) != CEM_OK) return status;
    if (!pixels_size(type))
        return error_set(CEM_EARGUMENT, "%d is no type of pixels, must be CEM_U8 to CEM_F64",
                         (int)type);
    if (count < 0)
        return error_set(CEM_EARGUMENT, "count is %lld, must not be negative", (long long)count);
    return statistics_add(statistics, pixels, type, count);
}

int32_t cem_intensity_measure(cem_intensity *intensity, const cem_statistics *statistics)
{
    int32_t status;

    if ((status = api_need(intensity, "intensity")) != CEM_OK) return status;
    if ((status = api_need(statistics, "statistics")) != CEM_OK) return status;
    return statistics_intensity(intensity, statistics);
}
