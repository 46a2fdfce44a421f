/* The ABI: curation. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "deduplicate.h"
#include "dhash.h"
#include "eight_bit.h"
#include "error.h"
#include "informative.h"
#include "memory.h"
#include "patches.h"
#include "pixels.h"

enum { MOST_SIDE = 1 << 15, MOST_PATCHES = 1 << 27 };

static int32_t check_range(const char *name, int64_t value, int64_t least, int64_t most)
{
    if (value >= least && value <= most) return CEM_OK;
    return error_set(CEM_EARGUMENT, "%s is %lld, must be %lld to %lld", name, (long long)value,
                     (long long)least, (long long)most);
}

int32_t cem_eight_bit(uint8_t *out, const void *pixels, int32_t type, int64_t count, int32_t rule)
{
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(pixels, "pixels")) != CEM_OK) return status;
    if (!pixels_size(type))
        return error_set(CEM_EARGUMENT, "%d is no type of pixels, must be CEM_U8 to CEM_F64",
                         (int)type);
    if ((status = check_range("count", count, 0, INT64_MAX)) != CEM_OK) return status;
    if ((status = check_range("rule", rule, CEM_IMAGE, CEM_VOLUME)) != CEM_OK) return status;
    return eight_bit(out, pixels, type, count, rule);
}

int64_t cem_patches_along(int64_t size, int64_t side)
{
    int32_t status;

    if ((status = check_range("size", size, 1, INT64_MAX / 4)) != CEM_OK) return status;
    if ((status = check_range("side", side, 1, MOST_SIDE)) != CEM_OK) return status;
    return patches_along(size, side);
}

int32_t cem_patches_axes(double spacing, double pixel, double anisotropy)
{
    if (!isfinite(spacing) || spacing <= 0 || !isfinite(pixel) || pixel <= 0)
        return error_set(CEM_EARGUMENT, "the voxel is %g by %g, both must be above 0", spacing,
                         pixel);
    if (!isfinite(anisotropy) || anisotropy < 0)
        return error_set(CEM_EARGUMENT, "anisotropy is %g, must not be negative", anisotropy);
    return patches_axes(spacing, pixel, anisotropy);
}

/* Checks the sizes of patches, and replaces a thread count of 0. */
static int32_t check_patches(int64_t count, int64_t rows, int64_t columns, int32_t *threads)
{
    int32_t status;

    if ((status = check_range("count", count, 0, MOST_PATCHES)) != CEM_OK) return status;
    if ((status = check_range("height", rows, 1, MOST_SIDE)) != CEM_OK) return status;
    if ((status = check_range("width", columns, 1, MOST_SIDE)) != CEM_OK) return status;
    return api_threads(threads);
}

int32_t cem_patches_cut(uint8_t *out, const uint8_t *volume, int64_t depth, int64_t height,
                        int64_t width, const int64_t *corners, int64_t count, int64_t rows,
                        int64_t columns, int32_t threads)
{
    struct patches_cut cut = {out, volume, corners, depth, height, width, count, rows, columns};
    int64_t page, voxels;
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(volume, "volume")) != CEM_OK) return status;
    if ((status = api_need(corners, "corners")) != CEM_OK) return status;
    if ((status = check_patches(count, rows, columns, &threads)) != CEM_OK) return status;
    if (depth < 1 || height < 1 || width < 1 || __builtin_mul_overflow(height, width, &page) ||
        __builtin_mul_overflow(depth, page, &voxels))
        return error_set(CEM_EARGUMENT, "the volume has the shape (%lld, %lld, %lld)",
                         (long long)depth, (long long)height, (long long)width);
    return patches_cut(&cut, threads);
}

int32_t cem_dhash(uint64_t *hashes, const uint8_t *patches, int64_t count, int64_t height,
                  int64_t width, int32_t threads)
{
    int32_t status;

    if ((status = api_need(hashes, "hashes")) != CEM_OK) return status;
    if ((status = api_need(patches, "patches")) != CEM_OK) return status;
    if ((status = check_patches(count, height, width, &threads)) != CEM_OK) return status;
    return dhash(hashes, patches, count, height, width, threads);
}

int32_t cem_patch_features(float *features, const uint8_t *patches, int64_t count, int64_t height,
                           int64_t width, int32_t threads)
{
    int32_t status;

    if ((status = api_need(features, "features")) != CEM_OK) return status;
    if ((status = api_need(patches, "patches")) != CEM_OK) return status;
    if ((status = check_patches(count, height, width, &threads)) != CEM_OK) return status;
    return informative_features(features, patches, count, height, width, threads);
}

int32_t cem_deduplicate_order(int64_t *order, int64_t count, uint64_t seed)
{
    int32_t status;

    if ((status = api_need(order, "order")) != CEM_OK) return status;
    if ((status = check_range("count", count, 0, INT64_MAX / 16)) != CEM_OK) return status;
    deduplicate_order(order, count, seed);
    return CEM_OK;
}

/* `order` must name every hash once: it is used as an index. */
static int32_t check_order(const int64_t *order, int64_t count)
{
    bool *seen = memory_new(count, sizeof *seen);
    int32_t status = CEM_OK;

    if (!seen) return CEM_EMEMORY;
    for (int64_t i = 0; i < count && status == CEM_OK; i++)
        if (order[i] < 0 || order[i] >= count || seen[order[i]])
            status = error_set(CEM_EARGUMENT,
                               "order has %lld at place %lld; it must name 0 to %lld once each",
                               (long long)order[i], (long long)i, (long long)count - 1);
        else seen[order[i]] = true;
    memory_free(seen);
    return status;
}

int32_t cem_deduplicate(int64_t *exemplar, const uint64_t *hashes, int64_t count,
                        const int64_t *order, int32_t distance, int64_t first, int64_t last,
                        int32_t threads)
{
    int32_t status;

    if ((status = api_need(exemplar, "exemplar")) != CEM_OK) return status;
    if ((status = api_need(hashes, "hashes")) != CEM_OK) return status;
    if ((status = api_need(order, "order")) != CEM_OK) return status;
    if ((status = check_range("count", count, 0, INT64_MAX / 16)) != CEM_OK) return status;
    if ((status = check_range("distance", distance, 0, 64)) != CEM_OK) return status;
    if ((status = check_range("last", last, 0, count)) != CEM_OK) return status;
    if ((status = check_range("first", first, 0, last)) != CEM_OK) return status;
    if ((status = api_threads(&threads)) != CEM_OK) return status;
    if ((status = check_order(order, count)) != CEM_OK) return status;
    return deduplicate(exemplar, hashes, order, first, last, distance, threads);
}
