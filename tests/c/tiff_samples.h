/* A folder for the files of one run, TIFF files made with libtiff from a recipe, and their check.
 * Included once a program. */
#ifndef CEM_TIFF_SAMPLES_H
#define CEM_TIFF_SAMPLES_H

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>

#include "check.h"
#include "error.h"
#include "pixels.h"
#include "tiff.h"

static char folder[] = "/tmp/test_tiff.XXXXXX";

/* The path of a file in the folder of this run; the last eight stay valid. */
static inline const char *in_folder(const char *name)
{
    static char paths[8][128];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline int files_in_folder(void)
{
    DIR *open = opendir(folder);
    int count = 0;

    for (struct dirent *entry; (entry = readdir(open));) count += entry->d_name[0] != '.';
    closedir(open);
    return count;
}

static inline void empty_folder(void)
{
    DIR *open = opendir(folder);

    for (struct dirent *entry; (entry = readdir(open));)
        if (entry->d_name[0] != '.') unlink(in_folder(entry->d_name));
    closedir(open);
}

static const struct {
    int32_t type;
    int format, bits;
} TYPES[] = {{CEM_U8, 1, 8},   {CEM_U16, 1, 16}, {CEM_U32, 1, 32}, {CEM_I8, 2, 8},
             {CEM_I16, 2, 16}, {CEM_I32, 2, 32}, {CEM_F32, 3, 32}, {CEM_F64, 3, 64}};
enum { TYPE_COUNT = sizeof TYPES / sizeof *TYPES };

/* What pixel `i` of page `page` is: it fits every type, and needs its sign and its fraction. */
static inline double value_of(int32_t type, int64_t page, int64_t i)
{
    double value = (double)((i * 37 + page * 11) % 101);

    if (type == CEM_I8 || type == CEM_I16 || type == CEM_I32) return value - 50;
    return type == CEM_F32 || type == CEM_F64 ? value / 8 - 5 : value;
}

static inline void fill_page(void *out, int32_t type, int64_t page, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        double value = value_of(type, page, i);
        switch (type) {
        case CEM_U8:
            ((uint8_t *)out)[i] = (uint8_t)value;
            break;
        case CEM_U16:
            ((uint16_t *)out)[i] = (uint16_t)value;
            break;
        case CEM_U32:
            ((uint32_t *)out)[i] = (uint32_t)value;
            break;
        case CEM_I8:
            ((int8_t *)out)[i] = (int8_t)value;
            break;
        case CEM_I16:
            ((int16_t *)out)[i] = (int16_t)value;
            break;
        case CEM_I32:
            ((int32_t *)out)[i] = (int32_t)value;
            break;
        case CEM_F32:
            ((float *)out)[i] = (float)value;
            break;
        default:
            ((double *)out)[i] = value;
        }
    }
}

/* A file to be made with libtiff; what is 0 is usual. */
struct recipe {
    const char *mode; /* "w" */
    const char *description;
    int width, height, pages;
    int type;         /* index in TYPES */
    int bits, format; /* instead of the type's */
    int samples;
    int photometric_plus_1;
    int compression;
    int planar, tile, fill_order, kind;
    float resolution;
    int unit;
};

static inline void set_tags(TIFF *file, const struct recipe *r, int page)
{
    TIFFSetField(file, TIFFTAG_IMAGEWIDTH, r->width);
    TIFFSetField(file, TIFFTAG_IMAGELENGTH, r->height);
    TIFFSetField(file, TIFFTAG_BITSPERSAMPLE, r->bits ? r->bits : TYPES[r->type].bits);
    TIFFSetField(file, TIFFTAG_SAMPLEFORMAT, r->format ? r->format : TYPES[r->type].format);
    TIFFSetField(file, TIFFTAG_SAMPLESPERPIXEL, r->samples ? r->samples : 1);
    TIFFSetField(file, TIFFTAG_PHOTOMETRIC,
                 r->photometric_plus_1 ? r->photometric_plus_1 - 1 : PHOTOMETRIC_MINISBLACK);
    TIFFSetField(file, TIFFTAG_COMPRESSION, r->compression ? r->compression : COMPRESSION_NONE);
    TIFFSetField(file, TIFFTAG_PLANARCONFIG, r->planar ? r->planar : PLANARCONFIG_CONTIG);
    if (r->photometric_plus_1 == PHOTOMETRIC_PALETTE + 1) {
        uint16_t map[256] = {0};
        TIFFSetField(file, TIFFTAG_COLORMAP, map, map, map);
    }
    if (r->fill_order) TIFFSetField(file, TIFFTAG_FILLORDER, r->fill_order);
    if (r->kind) TIFFSetField(file, TIFFTAG_SUBFILETYPE, r->kind);
    if (r->tile) TIFFSetField(file, TIFFTAG_TILEWIDTH, r->tile);
    if (r->tile) TIFFSetField(file, TIFFTAG_TILELENGTH, r->tile);
    else TIFFSetField(file, TIFFTAG_ROWSPERSTRIP, r->height > 4 ? r->height / 3 : r->height);
    if (r->resolution > 0) TIFFSetField(file, TIFFTAG_XRESOLUTION, (double)r->resolution);
    if (r->unit) TIFFSetField(file, TIFFTAG_RESOLUTIONUNIT, r->unit);
    if (r->description && page == 0) TIFFSetField(file, TIFFTAG_IMAGEDESCRIPTION, r->description);
}

/* Appends the recipe's pages to `file`, counted from `first`. */
static inline void add_pages(TIFF *file, const struct recipe *r, int first)
{
    int64_t size = pixels_size(TYPES[r->type].type) * (r->samples ? r->samples : 1);
    int64_t row = r->bits == 1 ? (r->width + 7) / 8 : r->width * size;
    char *page = calloc((size_t)r->height, (size_t)(row + 16));
    char *tile = calloc((size_t)(r->tile * r->tile + 1), (size_t)size);

    for (int p = first; p < first + (r->pages ? r->pages : 1); p++) {
        set_tags(file, r, p);
        if (r->bits == 1)
            for (int64_t i = 0; i < r->height * row; i++) page[i] = (char)(i * 73 + p);
        else if (!r->samples)
            fill_page(page, TYPES[r->type].type, p, (int64_t)r->width * r->height);
        for (int y = 0; !r->tile && y < r->height; y++)
            TIFFWriteScanline(file, page + y * row, (uint32_t)y, 0);
        for (int y = 0; r->tile && y < r->height; y += r->tile)
            for (int x = 0; x < r->width; x += r->tile) {
                int w = r->width - x < r->tile ? r->width - x : r->tile;
                for (int k = 0; k < r->tile && y + k < r->height; k++)
                    memcpy(tile + k * r->tile * size, page + (y + k) * row + x * size,
                           (size_t)(w * size));
                TIFFWriteTile(file, tile, (uint32_t)x, (uint32_t)y, 0, 0);
            }
        TIFFWriteDirectory(file);
    }
    free(page);
    free(tile);
}

static inline const char *make(const char *name, struct recipe r)
{
    const char *path = in_folder(name);
    TIFF *file = TIFFOpen(path, r.mode ? r.mode : "w");

    add_pages(file, &r, 0);
    TIFFClose(file);
    return path;
}

static inline void append(const char *path, struct recipe r)
{
    TIFF *file = TIFFOpen(path, "a");

    add_pages(file, &r, 1);
    TIFFClose(file);
}

static inline void write_bytes(const char *path, const void *bytes, int64_t size)
{
    FILE *file = fopen(path, "wb");

    fwrite(bytes, 1, (size_t)size, file);
    fclose(file);
}

static inline char *read_bytes(int64_t *size, const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(1 << 20);

    *size = (int64_t)fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

/* True if the open file's pages are what fill_page makes. */
static inline bool holds_the_pages(struct tiff *tiff)
{
    cem_tiff_info info;
    int64_t bytes;
    bool same = true;
    char *want, *have;

    tiff_describe(&info, tiff);
    bytes = info.height * info.width * pixels_size(info.type);
    want = malloc((size_t)bytes);
    have = malloc((size_t)bytes);
    for (int64_t page = info.pages - 1; page >= 0 && same; page--) {
        fill_page(want, info.type, page, info.height * info.width);
        same = tiff_read(have, tiff, page) == CEM_OK && memcmp(want, have, (size_t)bytes) == 0;
    }
    free(want);
    free(have);
    return same;
}

static inline bool file_holds_the_pages(const char *path, int64_t pages, int32_t type)
{
    struct tiff *tiff;
    cem_tiff_info info;
    bool same;

    if (tiff_open(&tiff, path) != CEM_OK) return false;
    tiff_describe(&info, tiff);
    same = info.pages == pages && info.type == type && holds_the_pages(tiff);
    tiff_free(tiff);
    return same;
}

/* True if the file cannot be opened, and the line has every one of the words. */
static inline bool refused(const char *path, const char *word, const char *another)
{
    struct tiff *tiff = NULL;
    int32_t status = tiff_open(&tiff, path);

    tiff_free(tiff);
    if (status == CEM_EFORMAT && strstr(error_line(), word) && strstr(error_line(), another) &&
        strstr(error_line(), path))
        return true;
    printf("status %d, line: %s\n", status, error_line());
    return false;
}

/* Writes a whole file of ours. */
static inline int32_t save(const char *path, cem_tiff_info info, int32_t labels, int32_t overwrite)
{
    void *page = malloc((size_t)(info.height * info.width * 8));
    struct tiff *tiff = NULL;
    int32_t status = tiff_new(&tiff, path, &info, labels, overwrite);

    for (int64_t i = 0; i < info.pages && status == CEM_OK; i++) {
        fill_page(page, info.type, i, info.height * info.width);
        status = tiff_write(tiff, page);
    }
    if (status == CEM_OK) status = tiff_finish(tiff);
    tiff_free(tiff);
    free(page);
    return status;
}

static inline cem_tiff_info stack(int64_t pages, int64_t height, int64_t width, int32_t type)
{
    return (cem_tiff_info){.pages = pages, .height = height, .width = width, .type = type};
}

static inline cem_tiff_info describe(const char *path)
{
    cem_tiff_info info = {0};
    struct tiff *tiff = NULL;

    if (tiff_open(&tiff, path) == CEM_OK) tiff_describe(&info, tiff);
    tiff_free(tiff);
    return info;
}

#endif
