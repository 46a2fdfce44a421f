/* The ABI: TIFF. */
#include <stddef.h>

#include "api.h"
#include "error.h"
#include "memory.h"
#include "tiff.h"

struct cem_tiff {
    struct handle handle;
    struct tiff *tiff;
};

/* A handle around `tiff`, which it owns from now on, also on failure. */
static int32_t wrap(cem_tiff **out, struct tiff *tiff)
{
    cem_tiff *handle = memory_new(1, sizeof *handle);

    if (!handle) {
        tiff_free(tiff);
        return CEM_EMEMORY;
    }
    handle->tiff = tiff;
    *out = handle;
    return CEM_OK;
}

int32_t cem_tiff_open(cem_tiff **out, const char *path)
{
    struct tiff *tiff = NULL;
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(path, "path")) != CEM_OK) return status;
    status = tiff_open(&tiff, path);
    return status == CEM_OK ? wrap(out, tiff) : status;
}

int32_t cem_tiff_describe(cem_tiff_info *info, const cem_tiff *tiff)
{
    int32_t status;

    if ((status = api_need(info, "info")) != CEM_OK) return status;
    if ((status = api_need(tiff, "tiff")) != CEM_OK) return status;
    tiff_describe(info, tiff->tiff);
    return CEM_OK;
}

int32_t cem_tiff_read(void *pixels, cem_tiff *tiff, int64_t page)
{
    int32_t status;

    if ((status = api_need(pixels, "pixels")) != CEM_OK) return status;
    if ((status = api_need(tiff, "tiff")) != CEM_OK) return status;
    if ((status = handle_take(&tiff->handle)) != CEM_OK) return status;
    return handle_give(&tiff->handle, tiff_read(pixels, tiff->tiff, page));
}

int32_t cem_tiff_new(cem_tiff **out, const char *path, const cem_tiff_info *info, int32_t labels,
                     int32_t overwrite)
{
    struct tiff *tiff = NULL;
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(path, "path")) != CEM_OK) return status;
    if ((status = api_need(info, "info")) != CEM_OK) return status;
    status = tiff_new(&tiff, path, info, labels, overwrite);
    return status == CEM_OK ? wrap(out, tiff) : status;
}

int32_t cem_tiff_write(cem_tiff *tiff, const void *pixels)
{
    int32_t status;

    if ((status = api_need(tiff, "tiff")) != CEM_OK) return status;
    if ((status = api_need(pixels, "pixels")) != CEM_OK) return status;
    if ((status = handle_take(&tiff->handle)) != CEM_OK) return status;
    return handle_give(&tiff->handle, tiff_write(tiff->tiff, pixels));
}

int32_t cem_tiff_finish(cem_tiff *tiff)
{
    int32_t status;

    if ((status = api_need(tiff, "tiff")) != CEM_OK) return status;
    if ((status = handle_take(&tiff->handle)) != CEM_OK) return status;
    return handle_give(&tiff->handle, tiff_finish(tiff->tiff));
}

void cem_tiff_free(cem_tiff *tiff)
{
    if (!tiff) return;
    tiff_free(tiff->tiff);
    memory_free(tiff);
}
