/* Pages are written as they come, in strips compressed with deflate.  Differences of neighbours are
 * compressed instead of values where that helps (grey values, not labels) and ImageJ undoes it
 * exactly (8 and 16 bits). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "memory.h"
#include "pixels.h"
#include "tiff_file.h"
#include "tiff_text.h"

enum { STRIP_BYTES = 1 << 17, PAGES_MAX = 1 << 20 };

/* From here on 32-bit offsets might not do. */
static const int64_t CLASSIC_MAX = INT64_C(3900000000);

/* Bytes of a page's directory and of one strip's entries in it, amply. */
enum { DIRECTORY_BYTES = 512, STRIP_ENTRY_BYTES = 16 };

static int32_t check_info(const cem_tiff_info *info, int32_t labels)
{
    if (info->pages < 1 || info->pages > PAGES_MAX)
        return error_set(CEM_EARGUMENT, "pages is %lld, must be 1..%d", (long long)info->pages,
                         PAGES_MAX);
    if (info->height < 1 || info->height > INT32_MAX || info->width < 1 || info->width > INT32_MAX)
        return error_set(CEM_EARGUMENT, "height x width is %lld x %lld, each must be 1..%d",
                         (long long)info->height, (long long)info->width, INT32_MAX);
    if (!pixels_size(info->type))
        return error_set(CEM_EARGUMENT, "type is %d, must be CEM_U8 (%d) .. CEM_F64 (%d)",
                         info->type, CEM_U8, CEM_F64);
    for (int i = 0; i < 2; i++) {
        double nm = i ? info->spacing_nm : info->pixel_nm;
        if (nm != 0 && !(nm >= 1e-3 && nm < 1e9))
            return error_set(CEM_EARGUMENT, "%s is %g, must be 0 (unknown) or 0.001..1e9",
                             i ? "spacing_nm" : "pixel_nm", nm);
    }
    if (labels < 0)
        return error_set(CEM_EARGUMENT, "labels is %d, must be 0 or the largest label value",
                         labels);
    return CEM_OK;
}

static bool needs_bigtiff(const struct tiff *tiff)
{
    int64_t strips = (tiff->info.height + tiff->strip_rows - 1) / tiff->strip_rows;
    int64_t page = tiff->page_bytes + strips * STRIP_ENTRY_BYTES + DIRECTORY_BYTES;

    return page > CLASSIC_MAX / tiff->info.pages;
}

int32_t tiff_new(struct tiff **out, const char *path, const cem_tiff_info *info, int32_t labels,
                 int32_t overwrite)
{
    struct tiff *tiff = NULL;
    int64_t row;
    int32_t status;

    if ((status = check_info(info, labels)) != CEM_OK) goto done;
    if ((status = tiff_file_new(&tiff, path)) != CEM_OK) goto done;
    tiff->writing = true;
    tiff->info = *info;
    tiff->labels = labels;
    tiff->page_bytes = tiff_file_page_bytes(info);
    row = info->width * pixels_size(info->type);
    tiff->strip_rows = row < STRIP_BYTES ? STRIP_BYTES / row : 1;
    if (tiff->strip_rows > info->height) tiff->strip_rows = info->height;
    if ((status = output_open(&tiff->output, path, overwrite)) != CEM_OK) goto done;
    tiff->fd = tiff->output.fd;
    if (!tiff_file_attach(tiff, needs_bigtiff(tiff) ? "w8" : "w4", 0)) {
        status = tiff_file_error(tiff, "it cannot be begun");
        goto done;
    }
    *out = tiff;
    tiff = NULL;
done:
    tiff_free(tiff);
    return status;
}

static int sample_format(int32_t type)
{
    if (type == CEM_F32 || type == CEM_F64) return SAMPLEFORMAT_IEEEFP;
    return type == CEM_I8 || type == CEM_I16 || type == CEM_I32 ? SAMPLEFORMAT_INT
                                                                : SAMPLEFORMAT_UINT;
}

static bool set_pixel_size(TIFF *file, double pixel_nm)
{
    if (pixel_nm == 0) return true;
    return TIFFSetField(file, TIFFTAG_XRESOLUTION, 1 / pixel_nm) &&
           TIFFSetField(file, TIFFTAG_YRESOLUTION, 1 / pixel_nm) &&
           TIFFSetField(file, TIFFTAG_RESOLUTIONUNIT, RESUNIT_NONE);
}

static bool set_fields(struct tiff *tiff)
{
    TIFF *file = tiff->file;
    int size = (int)pixels_size(tiff->info.type);
    bool differencing = size <= 2 && tiff->labels == 0;
    char text[TIFF_TEXT_ROOM];

    tiff_text_write(text, &tiff->info, tiff->labels);
    return TIFFSetField(file, TIFFTAG_IMAGEWIDTH, (uint32_t)tiff->info.width) &&
           TIFFSetField(file, TIFFTAG_IMAGELENGTH, (uint32_t)tiff->info.height) &&
           TIFFSetField(file, TIFFTAG_BITSPERSAMPLE, 8 * size) &&
           TIFFSetField(file, TIFFTAG_SAMPLEFORMAT, sample_format(tiff->info.type)) &&
           TIFFSetField(file, TIFFTAG_SAMPLESPERPIXEL, 1) &&
           TIFFSetField(file, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK) &&
           TIFFSetField(file, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) &&
           TIFFSetField(file, TIFFTAG_ROWSPERSTRIP, (uint32_t)tiff->strip_rows) &&
           TIFFSetField(file, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE) &&
           TIFFSetField(file, TIFFTAG_PREDICTOR,
                        differencing ? PREDICTOR_HORIZONTAL : PREDICTOR_NONE) &&
           set_pixel_size(file, tiff->info.pixel_nm) &&
           (tiff->written > 0 || TIFFSetField(file, TIFFTAG_IMAGEDESCRIPTION, text));
}

static bool write_strips(struct tiff *tiff, const char *pixels)
{
    int64_t row = tiff->info.width * pixels_size(tiff->info.type), rows, bytes;
    uint32_t strip = 0;

    for (int64_t y = 0; y < tiff->info.height; y += rows, strip++) {
        rows = tiff->strip_rows;
        if (rows > tiff->info.height - y) rows = tiff->info.height - y;
        bytes = rows * row;
        /* libtiff's parameter is not const, but differences are taken in its own buffer */
        if (TIFFWriteEncodedStrip(tiff->file, strip, (void *)(uintptr_t)(pixels + y * row),
                                  bytes) != bytes)
            return false;
    }
    return true;
}

static int32_t check_writing(const struct tiff *tiff)
{
    if (!tiff->writing)
        return error_set(CEM_EARGUMENT, "'%s' is open for reading; start a new file to write",
                         tiff->path);
    if (tiff->ended)
        return error_set(CEM_EARGUMENT, "'%s' was finished or could not be written; start it again",
                         tiff->path);
    return CEM_OK;
}

int32_t tiff_write(struct tiff *tiff, const void *pixels)
{
    int32_t status;

    if ((status = check_writing(tiff)) != CEM_OK) return status;
    if (tiff->written == tiff->info.pages)
        return error_set(CEM_EARGUMENT, "'%s' has all its %lld pages; finish it", tiff->path,
                         (long long)tiff->info.pages);
    tiff_file_forget(tiff);
    if (!set_fields(tiff) || !write_strips(tiff, pixels) || !TIFFWriteDirectory(tiff->file)) {
        tiff->ended = true;
        return tiff_file_error(tiff, "a page cannot be written");
    }
    tiff->written++;
    return CEM_OK;
}

int32_t tiff_finish(struct tiff *tiff)
{
    int32_t status;

    if ((status = check_writing(tiff)) != CEM_OK) return status;
    if (tiff->written != tiff->info.pages)
        return error_set(CEM_EARGUMENT, "'%s' has %lld of its %lld pages; write them first",
                         tiff->path, (long long)tiff->written, (long long)tiff->info.pages);
    tiff_file_forget(tiff);
    TIFFClose(tiff->file);
    tiff->file = NULL;
    tiff->ended = true;
    if (tiff->status != CEM_OK || tiff->serious)
        return tiff_file_error(tiff, "it cannot be finished");
    return output_finish(&tiff->output);
}
