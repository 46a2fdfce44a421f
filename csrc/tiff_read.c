/* Every directory is looked at when the file is opened, so that a page that does not fit, or a file
 * that is cut off, is known before the first pixel is read.  Strips are decoded right into the
 * caller's memory; tiles and 1-bit strips by way of one buffer. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "memory.h"
#include "pixels.h"
#include "tiff_file.h"
#include "tiff_text.h"

/* What a file of some size can hold at most when decoded: no codec does much better on a page of
 * one value, and small files get some freedom. */
enum { DECODED_RATIO = 20000 };
static const int64_t DECODED_FREE = INT64_C(1) << 26;

/* One page's directory. */
struct layout {
    uint32_t width, height, depth;
    uint32_t block_width, block_height; /* of a tile, or of a strip */
    uint16_t bits, format, samples, photometric, compression, fill_order;
    bool tiled;
    int32_t type;
};

static const struct {
    int32_t type;
    uint16_t format, bits;
    const char *name;
} TYPES[] = {
    {CEM_U8, SAMPLEFORMAT_UINT, 8, "8-bit unsigned"},
    {CEM_U16, SAMPLEFORMAT_UINT, 16, "16-bit unsigned"},
    {CEM_U32, SAMPLEFORMAT_UINT, 32, "32-bit unsigned"},
    {CEM_I8, SAMPLEFORMAT_INT, 8, "8-bit signed"},
    {CEM_I16, SAMPLEFORMAT_INT, 16, "16-bit signed"},
    {CEM_I32, SAMPLEFORMAT_INT, 32, "32-bit signed"},
    {CEM_F32, SAMPLEFORMAT_IEEEFP, 32, "32-bit float"},
    {CEM_F64, SAMPLEFORMAT_IEEEFP, 64, "64-bit float"},
    {CEM_U8, SAMPLEFORMAT_UINT, 1, "1-bit"},
};

static const char *type_name(int32_t type, bool bilevel)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i].type == type && (TYPES[i].bits == 1) == bilevel) return TYPES[i].name;
    return "unknown";
}

static const char *format_name(int format)
{
    static const char *const NAMES[] = {"unsigned", "signed", "float"};

    return format >= 1 && format <= 3 ? NAMES[format - 1] : "complex or untyped";
}

/* Refuses page `page`: "'FILE': page N (counted from 0) ...". */
__attribute__((format(printf, 3, 4))) static int32_t refuse(const struct tiff *tiff, int64_t page,
                                                            const char *format, ...)
{
    char text[384];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return error_set(CEM_EFORMAT, "'%s': page %lld (counted from 0) %s", tiff->path,
                     (long long)page, text);
}

static int32_t page_error(const struct tiff *tiff, int64_t page, const char *what)
{
    char text[64];

    snprintf(text, sizeof text, "page %lld (counted from 0) %s", (long long)page, what);
    return tiff_file_error(tiff, text);
}

/* ==== One page ==== */

static void load_layout(struct layout *out, TIFF *file)
{
    struct layout layout = {.photometric = PHOTOMETRIC_MINISBLACK};

    TIFFGetField(file, TIFFTAG_IMAGEWIDTH, &layout.width);
    TIFFGetField(file, TIFFTAG_IMAGELENGTH, &layout.height);
    TIFFGetField(file, TIFFTAG_PHOTOMETRIC, &layout.photometric);
    TIFFGetFieldDefaulted(file, TIFFTAG_IMAGEDEPTH, &layout.depth);
    TIFFGetFieldDefaulted(file, TIFFTAG_BITSPERSAMPLE, &layout.bits);
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLEFORMAT, &layout.format);
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLESPERPIXEL, &layout.samples);
    TIFFGetFieldDefaulted(file, TIFFTAG_COMPRESSION, &layout.compression);
    TIFFGetFieldDefaulted(file, TIFFTAG_FILLORDER, &layout.fill_order);
    layout.tiled = TIFFIsTiled(file);
    if (layout.tiled) {
        TIFFGetField(file, TIFFTAG_TILEWIDTH, &layout.block_width);
        TIFFGetField(file, TIFFTAG_TILELENGTH, &layout.block_height);
    } else {
        TIFFGetFieldDefaulted(file, TIFFTAG_ROWSPERSTRIP, &layout.block_height);
        if (layout.block_height > layout.height) layout.block_height = layout.height;
        layout.block_width = layout.width;
    }
    if (layout.format == SAMPLEFORMAT_VOID) layout.format = SAMPLEFORMAT_UINT;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i].format == layout.format && TYPES[i].bits == layout.bits)
            layout.type = TYPES[i].type;
    *out = layout;
}

static int64_t row_bytes(const struct layout *layout, int64_t width)
{
    return layout->bits == 1 ? (width + 7) / 8 : width * (layout->bits / 8);
}

/* Refuses what is not one grey value a pixel of a type of ours. */
static int32_t check_grey(const struct tiff *tiff, int64_t page, const struct layout *layout)
{
    if (layout->photometric == PHOTOMETRIC_PALETTE)
        return refuse(tiff, page,
                      "has a colour palette; save it as plain grey values (ImageJ: Image > Lookup "
                      "Tables > Grays)");
    if (layout->samples != 1)
        return refuse(tiff, page,
                      "has %d values a pixel, must have one; convert it to grey (ImageJ: Image > "
                      "Type > 8-bit)",
                      layout->samples);
    if (layout->photometric != PHOTOMETRIC_MINISBLACK &&
        layout->photometric != PHOTOMETRIC_MINISWHITE)
        return refuse(tiff, page, "has colours of kind %d; convert it to grey",
                      layout->photometric);
    if (!layout->type)
        return refuse(tiff, page,
                      "has %d-bit %s pixels; convert it to 8-, 16- or 32-bit integers or 32- or "
                      "64-bit floats",
                      layout->bits, format_name(layout->format));
    return CEM_OK;
}

/* Refuses sizes that cannot be, before anything of that size is allocated. */
static int32_t check_sizes(const struct tiff *tiff, int64_t page, const struct layout *layout)
{
    int64_t size = pixels_size(layout->type), pixels, block;

    if (layout->width == 0 || layout->height == 0 || layout->block_width == 0 ||
        layout->block_height == 0)
        return refuse(tiff, page, "has no pixels; export the file again");
    if (layout->depth != 1)
        return refuse(tiff, page, "is %u slices deep; save a page for each slice", layout->depth);
    if (__builtin_mul_overflow((int64_t)layout->width, layout->height, &pixels) ||
        __builtin_mul_overflow(pixels, size, &pixels))
        pixels = INT64_MAX;
    if (__builtin_mul_overflow((int64_t)layout->block_width, layout->block_height, &block) ||
        __builtin_mul_overflow(block, size, &block))
        block = INT64_MAX;
    if (block > pixels) pixels = block;
    if ((pixels - DECODED_FREE) / DECODED_RATIO > tiff->file_bytes)
        return refuse(
            tiff, page,
            "is said to be %u x %u (height x width), far more than the %lld bytes of the file can "
            "hold; it is damaged, export it again",
            layout->height, layout->width, (long long)tiff->file_bytes);
    return CEM_OK;
}

/* Refuses what libtiff cannot decode, or would lay out otherwise than we expect. */
static int32_t check_coding(const struct tiff *tiff, int64_t page, const struct layout *layout)
{
    int64_t row = row_bytes(layout, layout->block_width);

    if (!TIFFIsCODECConfigured(layout->compression))
        return refuse(tiff, page,
                      "is compressed by method %d, which libtiff cannot decode here; "
                      "save it uncompressed or with deflate (zip)",
                      layout->compression);
    if (layout->tiled ? TIFFTileRowSize64(tiff->file) != (uint64_t)row ||
                            TIFFTileSize64(tiff->file) != (uint64_t)row * layout->block_height
                      : TIFFScanlineSize64(tiff->file) != (uint64_t)row)
        return refuse(tiff, page,
                      "has an unusual layout; save it uncompressed or with deflate "
                      "(zip)");
    return CEM_OK;
}

/* Refuses a page some strip or tile of which is not in the file. */
static int32_t check_extent(const struct tiff *tiff, int64_t page, const struct layout *layout)
{
    TIFF *file = tiff->file;
    uint32_t count = layout->tiled ? TIFFNumberOfTiles(file) : TIFFNumberOfStrips(file);
    uint64_t size = (uint64_t)tiff->file_bytes, offset, bytes, end = 0;

    for (uint32_t i = 0; i < count; i++) {
        offset = TIFFGetStrileOffset(file, i);
        bytes = TIFFGetStrileByteCount(file, i);
        if (offset > size || bytes > size - offset) end = UINT64_MAX;
    }
    if (layout->compression == COMPRESSION_NONE && !layout->tiled &&
        (uint64_t)row_bytes(layout, layout->width) * layout->height > size)
        end = UINT64_MAX;
    if (end > size)
        return refuse(tiff, page,
                      "goes beyond the end of the file at %lld bytes; the file is cut "
                      "off, copy or export it again",
                      (long long)tiff->file_bytes);
    return CEM_OK;
}

static int32_t check_like_first(const struct tiff *tiff, int64_t page, const struct layout *layout)
{
    bool bilevel = layout->bits == 1;

    if (layout->width == tiff->info.width && layout->height == tiff->info.height &&
        layout->type == tiff->info.type && bilevel == tiff->bilevel)
        return CEM_OK;
    return refuse(
        tiff, page,
        "is %u x %u (height x width) of %s, the first is %lld x %lld of %s; pages must have one "
        "shape and type, save the others to files of their own",
        layout->height, layout->width, type_name(layout->type, bilevel),
        (long long)tiff->info.height, (long long)tiff->info.width,
        type_name(tiff->info.type, tiff->bilevel));
}

/* Loads the layout of the directory libtiff is at, and refuses what we do not read. */
static int32_t check_page(struct layout *layout, struct tiff *tiff, int64_t page)
{
    int32_t status;

    load_layout(layout, tiff->file);
    if ((status = check_grey(tiff, page, layout)) != CEM_OK) return status;
    if ((status = check_sizes(tiff, page, layout)) != CEM_OK) return status;
    if (tiff->info.type && (status = check_like_first(tiff, page, layout)) != CEM_OK) return status;
    if ((status = check_coding(tiff, page, layout)) != CEM_OK) return status;
    return check_extent(tiff, page, layout);
}

/* ==== Opening ==== */

static int32_t open_file(struct tiff *tiff)
{
    static const char *const SIGNATURES[] = {"II*", "MM", "II+"};
    char start[4] = "";
    struct stat info;
    bool known = false;

    /* a pipe must not make us wait for its writer */
    tiff->fd = open(tiff->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (tiff->fd < 0 || fstat(tiff->fd, &info) != 0)
        return error_set(CEM_EFILE, "cannot open '%s': %s", tiff->path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return error_set(CEM_EFILE, "'%s' is not an ordinary file; give a TIFF file", tiff->path);
    tiff->file_bytes = info.st_size;
    if (info.st_size == 0)
        return error_set(CEM_EFORMAT, "'%s' is empty; copy or export it again", tiff->path);
    if (pread(tiff->fd, start, sizeof start, 0) < 0)
        return error_set(CEM_EFILE, "cannot read '%s': %s", tiff->path, strerror(errno));
    for (size_t i = 0; i < sizeof SIGNATURES / sizeof *SIGNATURES; i++)
        known |= strncmp(start, SIGNATURES[i], strlen(SIGNATURES[i])) == 0;
    if (!known)
        return error_set(CEM_EFORMAT, "'%s' is not a TIFF file; export the image as TIFF",
                         tiff->path);
    return CEM_OK;
}

/* Libtiff itself may take what the largest page we would accept takes. */
static int32_t attach(struct tiff *tiff)
{
    int64_t limit;

    if (__builtin_mul_overflow(tiff->file_bytes, (int64_t)DECODED_RATIO, &limit) ||
        limit > INT64_MAX - DECODED_FREE)
        limit = INT64_MAX - DECODED_FREE;
    /* c: strips are left as they are, each is read whole */
    if (!tiff_file_attach(tiff, "rc", limit + DECODED_FREE))
        return tiff_file_error(tiff, "the first page cannot be read");
    return CEM_OK;
}

/* Remembers where the directory of the next page stands. */
static int32_t add_directory(struct tiff *tiff)
{
    int64_t count = tiff->info.pages;
    uint64_t *larger;

    if ((count & (count - 1)) == 0) { /* full: room is for powers of two */
        larger = memory_raw(count ? 2 * count : 1, sizeof *larger);
        if (!larger) return CEM_EMEMORY;
        if (count) memcpy(larger, tiff->directories, (size_t)count * sizeof *larger);
        memory_free(tiff->directories);
        tiff->directories = larger;
    }
    tiff->directories[tiff->info.pages++] = TIFFCurrentDirOffset(tiff->file);
    return CEM_OK;
}

/* A stack with one directory only: where its pages start, if they follow each other behind it. */
static int32_t find_raw_stack(struct tiff *tiff, const struct layout *layout, int64_t images)
{
    TIFF *file = tiff->file;
    uint64_t start = TIFFGetStrileOffset(file, 0), next = start;
    int64_t held;

    if (images < 2 || layout->tiled || layout->compression != COMPRESSION_NONE ||
        layout->fill_order != FILLORDER_MSB2LSB || tiff->bilevel ||
        start < TIFFCurrentDirOffset(file))
        return CEM_OK;
    for (uint32_t i = 0; i < TIFFNumberOfStrips(file); i++) {
        if (TIFFGetStrileOffset(file, i) != next) return CEM_OK;
        next += TIFFGetStrileByteCount(file, i);
    }
    held = (tiff->file_bytes - (int64_t)start) / tiff->page_bytes;
    if (held < 2) return CEM_OK; /* one slice of a stack, with the stack's text */
    if (held < images)
        return error_set(CEM_EFORMAT,
                         "'%s' is said to hold %lld images but ends after %lld; it is cut off, "
                         "copy or export it again",
                         tiff->path, (long long)images, (long long)held);
    tiff->raw = true;
    tiff->raw_start = (int64_t)start;
    tiff->info.pages = images;
    return CEM_OK;
}

/* Channels that take turns as pages would be read as slices.  A file all of whose pages are
 * channels is a stack that some writer did not label (tifffile, by default). */
static int32_t check_channels(const struct tiff *tiff, int64_t channels)
{
    if (channels == 1 || channels >= tiff->info.pages) return CEM_OK;
    return error_set(CEM_EFORMAT,
                     "'%s' has %lld channels; save one of them (ImageJ: Image > Color > Split "
                     "Channels)",
                     tiff->path, (long long)channels);
}

/* The first page decides what the others must be, and has the text. */
static int32_t take_first(struct tiff_text *text, struct tiff *tiff, const struct layout *layout)
{
    char *description = NULL;
    uint16_t unit = RESUNIT_NONE;
    float resolution = 0;

    tiff->info.width = layout->width;
    tiff->info.height = layout->height;
    tiff->info.type = layout->type;
    tiff->bilevel = layout->bits == 1;
    tiff->page_bytes = tiff_file_page_bytes(&tiff->info);
    TIFFGetField(tiff->file, TIFFTAG_IMAGEDESCRIPTION, &description);
    TIFFGetField(tiff->file, TIFFTAG_XRESOLUTION, &resolution);
    TIFFGetFieldDefaulted(tiff->file, TIFFTAG_RESOLUTIONUNIT, &unit);
    tiff_text_read(text, description ? description : "", (double)resolution, unit,
                   tiff->info.height * tiff->info.width);
    tiff->info.pixel_nm = text->pixel_nm;
    tiff->info.spacing_nm = text->spacing_nm;
    return TIFFLastDirectory(tiff->file) ? find_raw_stack(tiff, layout, text->images) : CEM_OK;
}

/* Takes the directory libtiff is at as a page, unless it is a smaller copy or a mask. */
static int32_t take_directory(struct tiff_text *text, struct tiff *tiff)
{
    struct layout layout;
    uint32_t kind = 0;
    int64_t page = tiff->info.pages;
    int32_t status;

    TIFFGetField(tiff->file, TIFFTAG_SUBFILETYPE, &kind);
    if (kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) return CEM_OK;
    if ((status = check_page(&layout, tiff, page)) != CEM_OK) return status;
    if ((status = add_directory(tiff)) != CEM_OK) return status;
    return page == 0 ? take_first(text, tiff, &layout) : CEM_OK;
}

static int32_t scan(struct tiff *tiff)
{
    struct tiff_text text = {.channels = 1};
    int32_t status;

    while ((status = take_directory(&text, tiff)) == CEM_OK && !TIFFLastDirectory(tiff->file)) {
        tiff_file_forget(tiff);
        if (!TIFFReadDirectory(tiff->file))
            return page_error(tiff, tiff->info.pages, "cannot be read");
    }
    if (status != CEM_OK) return status;
    if (tiff->info.pages == 0)
        return error_set(CEM_EFORMAT,
                         "'%s' has only reduced-resolution pages or masks; export the full image",
                         tiff->path);
    return check_channels(tiff, text.channels);
}

int32_t tiff_open(struct tiff **out, const char *path)
{
    struct tiff *tiff = NULL;
    int32_t status;

    if ((status = tiff_file_new(&tiff, path)) != CEM_OK) goto done;
    if ((status = open_file(tiff)) != CEM_OK) goto done;
    if ((status = attach(tiff)) != CEM_OK) goto done;
    if ((status = scan(tiff)) != CEM_OK) goto done;
    *out = tiff;
    tiff = NULL;
done:
    tiff_free(tiff);
    return status;
}

/* ==== Reading ==== */

/* Spreads a row of bits, the first in the highest, over bytes. */
static void spread_bits(uint8_t *out, const uint8_t *bits, int64_t count)
{
    for (int64_t i = 0; i < count; i++) out[i] = bits[i / 8] >> (7 - i % 8) & 1;
}

/* Puts a decoded strip or tile at (x, y) in its place; what reaches over the edge is dropped. */
static void place_block(char *pixels, const struct layout *layout, const char *block, int64_t x,
                        int64_t y)
{
    int64_t size = pixels_size(layout->type), stride = row_bytes(layout, layout->block_width);
    int64_t width = layout->width - x, height = layout->height - y;
    char *to;

    if (width > layout->block_width) width = layout->block_width;
    if (height > layout->block_height) height = layout->block_height;
    for (int64_t row = 0; row < height; row++) {
        to = pixels + ((y + row) * layout->width + x) * size;
        if (layout->bits == 1)
            spread_bits((uint8_t *)to, (const uint8_t *)block + row * stride, width);
        else memcpy(to, block + row * stride, (size_t)(width * size));
    }
}

static bool decode(TIFF *file, const struct layout *layout, void *out, int64_t x, int64_t y,
                   int64_t bytes)
{
    uint32_t column = (uint32_t)x, row = (uint32_t)y;

    if (layout->tiled)
        return TIFFReadEncodedTile(file, TIFFComputeTile(file, column, row, 0, 0), out, bytes) ==
               bytes;
    return TIFFReadEncodedStrip(file, TIFFComputeStrip(file, row, 0), out, bytes) == bytes;
}

static int32_t read_blocks(char *pixels, struct tiff *tiff, const struct layout *layout,
                           int64_t page)
{
    int64_t row = row_bytes(layout, layout->block_width), bytes, rows;
    char *block = NULL, *target;
    int32_t status = CEM_OK;

    if (layout->tiled || layout->bits == 1) {
        block = memory_new(layout->block_height, row);
        if (!block) return CEM_EMEMORY;
    }
    for (int64_t y = 0; y < layout->height && status == CEM_OK; y += layout->block_height)
        for (int64_t x = 0; x < layout->width && status == CEM_OK; x += layout->block_width) {
            rows = layout->block_height;
            if (!layout->tiled && rows > layout->height - y) rows = layout->height - y;
            bytes = rows * row;
            target = block ? block : pixels + y * row;
            if (!decode(tiff->file, layout, target, x, y, bytes))
                status = page_error(tiff, page, "cannot be decoded");
            else if (block) place_block(pixels, layout, block, x, y);
        }
    memory_free(block);
    return status;
}

static void swap_bytes(void *pixels, int64_t count, int64_t size)
{
    if (size == 2) TIFFSwabArrayOfShort(pixels, count);
    if (size == 4) TIFFSwabArrayOfLong(pixels, count);
    if (size == 8) TIFFSwabArrayOfLong8(pixels, count);
}

static int32_t read_raw(char *pixels, const struct tiff *tiff, int64_t page)
{
    int64_t start = tiff->raw_start + page * tiff->page_bytes, done = 0;
    int64_t size = pixels_size(tiff->info.type);
    ssize_t got;

    while (done < tiff->page_bytes) {
        got = pread(tiff->fd, pixels + done, (size_t)(tiff->page_bytes - done), start + done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return error_set(CEM_EFILE, "cannot read '%s': %s", tiff->path, strerror(errno));
        if (got == 0) return refuse(tiff, page, "is cut off; copy or export the file again");
        done += got;
    }
    if (TIFFIsByteSwapped(tiff->file)) swap_bytes(pixels, done / size, size);
    return CEM_OK;
}

/* Makes `page` libtiff's current directory and looks at it once more: the file may have changed,
 * and what is decoded must fit the caller's memory. */
static int32_t go_to(struct layout *layout, struct tiff *tiff, int64_t page)
{
    int32_t status;

    tiff_file_forget(tiff);
    if (tiff->current != page) {
        tiff->current = -1;
        if (!TIFFSetSubDirectory(tiff->file, tiff->directories[page]))
            return page_error(tiff, page, "cannot be read");
    }
    if ((status = check_page(layout, tiff, page)) != CEM_OK) return status;
    tiff->current = page;
    return CEM_OK;
}

int32_t tiff_read(void *pixels, struct tiff *tiff, int64_t page)
{
    struct layout layout;
    int32_t status;

    if (tiff->writing)
        return error_set(CEM_EARGUMENT, "'%s' is being written; open it for reading", tiff->path);
    if (page < 0 || page >= tiff->info.pages)
        return error_set(CEM_EARGUMENT, "page is %lld, must be 0..%lld", (long long)page,
                         (long long)tiff->info.pages - 1);
    if (tiff->raw) return read_raw(pixels, tiff, page);
    if ((status = go_to(&layout, tiff, page)) != CEM_OK) return status;
    return read_blocks(pixels, tiff, &layout, page);
}
