/* libtiff's handlers are set for each handle, never for the process, and its input and output go
 * through the functions below, so that the reason for a failure is known. */
#include "tiff.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "memory.h"
#include "pixels.h"
#include "tiff_file.h"

static void keep_complaint(struct tiff *tiff, bool serious, const char *format, va_list arguments)
{
    if (serious && errno == ENOMEM && tiff->status == CEM_OK)
        tiff->status = error_set(
            CEM_EMEMORY, "not enough memory for a page of '%s'; close other programs", tiff->path);
    if (tiff->serious) return;
    tiff->serious = serious;
    vsnprintf(tiff->complaint, sizeof tiff->complaint, format, arguments);
}

static int on_error(TIFF *file, void *user, const char *module, const char *format,
                    va_list arguments)
{
    (void)file;
    (void)module;
    keep_complaint(user, true, format, arguments);
    return 1;
}

static int on_warning(TIFF *file, void *user, const char *module, const char *format,
                      va_list arguments)
{
    (void)file;
    (void)module;
    keep_complaint(user, false, format, arguments);
    return 1;
}

static tmsize_t on_read(thandle_t handle, void *buffer, tmsize_t size)
{
    struct tiff *tiff = handle;
    tmsize_t done = 0;

    while (done < size) {
        ssize_t got = read(tiff->fd, (char *)buffer + done, (size_t)(size - done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            tiff->status =
                error_set(CEM_EFILE, "cannot read '%s': %s", tiff->path, strerror(errno));
        if (got <= 0) break;
        done += got;
    }
    return done;
}

static tmsize_t on_write(thandle_t handle, void *buffer, tmsize_t size)
{
    struct tiff *tiff = handle;
    int32_t status;

    if (tiff->ended) return size;
    status = output_write(&tiff->output, buffer, size);
    if (status != CEM_OK) tiff->status = status;
    return status == CEM_OK ? size : -1;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence)
{
    struct tiff *tiff = handle;

    return (toff_t)lseek(tiff->fd, (off_t)offset, whence);
}

/* The descriptor is ours to close. */
static int on_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle)
{
    struct tiff *tiff = handle;
    struct stat info;

    return fstat(tiff->fd, &info) == 0 ? (toff_t)info.st_size : 0;
}

int32_t tiff_file_new(struct tiff **out, const char *path)
{
    struct tiff *tiff = memory_new(1, sizeof *tiff);
    int32_t status = CEM_EMEMORY;

    if (!tiff) goto done;
    tiff->fd = -1;
    tiff->current = -1;
    tiff->output = OUTPUT_NONE;
    if (!(tiff->path = memory_text(path))) goto done;
    *out = tiff;
    tiff = NULL;
    status = CEM_OK;
done:
    tiff_free(tiff);
    return status;
}

bool tiff_file_attach(struct tiff *tiff, const char *mode, int64_t memory_limit)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();

    tiff_file_forget(tiff);
    if (!options) {
        tiff->status = error_memory((int64_t)sizeof *tiff);
        return false;
    }
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, tiff);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, tiff);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, memory_limit);
    tiff->file = TIFFClientOpenExt(tiff->path, mode, tiff, on_read, on_write, on_seek, on_close,
                                   on_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff->file != NULL;
}

void tiff_file_forget(struct tiff *tiff)
{
    tiff->complaint[0] = 0;
    tiff->serious = false;
    tiff->status = CEM_OK;
    errno = 0;
}

int32_t tiff_file_error(const struct tiff *tiff, const char *what)
{
    const char *complaint = tiff->complaint[0] ? tiff->complaint : "no reason given";

    if (tiff->status != CEM_OK) return tiff->status;
    if (tiff->writing)
        return error_set(CEM_EFILE, "cannot write '%s': %s (libtiff: %s)", tiff->path, what,
                         complaint);
    return error_set(CEM_EFORMAT,
                     "'%s': %s (libtiff: %s); the file is damaged or cut off, copy or export it "
                     "again",
                     tiff->path, what, complaint);
}

int64_t tiff_file_page_bytes(const cem_tiff_info *info)
{
    int64_t bytes;

    if (__builtin_mul_overflow(info->height, info->width, &bytes) ||
        __builtin_mul_overflow(bytes, pixels_size(info->type), &bytes))
        return -1;
    return bytes;
}

void tiff_describe(cem_tiff_info *info, const struct tiff *tiff)
{
    *info = tiff->info;
}

/* What libtiff still writes when it closes an unfinished file goes nowhere. */
void tiff_free(struct tiff *tiff)
{
    if (!tiff) return;
    tiff->ended = true;
    if (tiff->file) TIFFClose(tiff->file);
    if (tiff->fd >= 0 && !tiff->writing) close(tiff->fd);
    output_free(&tiff->output);
    memory_free(tiff->directories);
    memory_free(tiff->path);
    memory_free(tiff);
}
