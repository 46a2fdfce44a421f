/* Reading TIFF.  Input files are made here with libtiff. */
#include <sys/stat.h>

#include "memory.h"
#include "tiff_samples.h"

static void every_type_layout_byte_order_and_compression_is_read_alike(void)
{
    static const char *const MODES[] = {"wl", "wb", "wl8", "wb8"};
    static const int COMPRESSIONS[] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_PACKBITS,
                                       COMPRESSION_ADOBE_DEFLATE};
    static const int SIDES[][2] = {{1, 1}, {37, 23}, {16, 48}};

    for (int i = 0; i < 4 * 4 * TYPE_COUNT * 3 * 4; i++) {
        struct recipe r = {.mode = MODES[i % 4],
                           .compression = COMPRESSIONS[i / 4 % 4],
                           .type = i / 16 % TYPE_COUNT,
                           .width = SIDES[i / 16 / TYPE_COUNT % 3][0],
                           .height = SIDES[i / 16 / TYPE_COUNT % 3][1],
                           .tile = i / 48 / TYPE_COUNT % 2 * 16,
                           .planar = 1 + i / 96 / TYPE_COUNT,
                           .pages = 3};
        CHECK(file_holds_the_pages(make("a.tif", r), 3, TYPES[r.type].type));
    }
}

static void untyped_samples_are_unsigned(void)
{
    struct recipe r = {.width = 9, .height = 5, .type = 1, .format = SAMPLEFORMAT_VOID};

    CHECK(file_holds_the_pages(make("a.tif", r), 1, CEM_U16));
}

static void where_white_is_zero_values_stay_as_stored(void)
{
    struct recipe r = {.width = 9, .height = 5, .photometric_plus_1 = PHOTOMETRIC_MINISWHITE + 1};

    CHECK(file_holds_the_pages(make("a.tif", r), 1, CEM_U8));
}

static void one_bit_pages_are_zeros_and_ones(void)
{
    static const int COMPRESSIONS[] = {COMPRESSION_NONE, COMPRESSION_CCITTFAX4,
                                       COMPRESSION_ADOBE_DEFLATE};
    struct recipe r = {.width = 21, .height = 13, .bits = 1, .pages = 2};
    uint8_t pixels[13][21];
    struct tiff *tiff;

    for (int i = 0; i < 6; i++) {
        r.compression = COMPRESSIONS[i % 3];
        r.fill_order = 1 + i / 3;
        CHECK_EQ(tiff_open(&tiff, make("a.tif", r)), CEM_OK);
        CHECK_EQ(tiff_read(pixels, tiff, 1), CEM_OK);
        tiff_free(tiff);
        for (int y = 0; y < 13; y++)
            for (int x = 0; x < 21; x++)
                CHECK_EQ(pixels[y][x], (((y * 3 + x / 8) * 73 + 1) >> (7 - x % 8)) & 1);
    }
}

static void small_copies_and_masks_among_the_pages_are_skipped(void)
{
    struct recipe r = {.width = 30, .height = 20, .type = 1};
    struct recipe half = {.width = 15, .height = 10, .type = 1, .kind = FILETYPE_REDUCEDIMAGE};
    struct recipe mask = {.width = 30, .height = 20, .bits = 1, .kind = FILETYPE_MASK};
    const char *path = make("a.tif", r);

    mask.photometric_plus_1 = PHOTOMETRIC_MASK + 1;
    append(path, half);
    append(path, mask);
    append(path, r);
    CHECK(file_holds_the_pages(path, 2, CEM_U16));
    CHECK(refused(make("b.tif", half), "reduced-resolution", "export"));
}

/* The bytes of ImageJ's single directory followed by pages: `held` of them, after a header. */
static const char *make_raw_stack(const char *name, struct recipe r, int held)
{
    const char *path;
    int64_t size, page = (int64_t)r.width * r.height * pixels_size(TYPES[r.type].type);
    char *bytes, *pixels = calloc((size_t)page, 1);
    FILE *file;

    /* libtiff puts the pixels first: move them behind the directory, and let it point there */
    r.compression = COMPRESSION_NONE;
    path = make(name, r);
    bytes = read_bytes(&size, path);
    file = fopen(path, "wb");
    for (int64_t i = 0; i + 12 <= size; i++) /* the entry StripOffsets, one LONG */
        if (memcmp(bytes + i, "\x01\x11\x00\x04\x00\x00\x00\x01", 8) == 0) {
            bytes[i + 10] = (char)(size >> 8);
            bytes[i + 11] = (char)size;
        }
    fwrite(bytes, 1, (size_t)size, file);
    for (int p = 0; p < held; p++) {
        fill_page(pixels, TYPES[r.type].type, p, (int64_t)r.width * r.height);
        if (TYPES[r.type].bits == 16) TIFFSwabArrayOfShort((uint16_t *)(void *)pixels, page / 2);
        fwrite(pixels, 1, (size_t)page, file);
    }
    fclose(file);
    free(bytes);
    free(pixels);
    return path;
}

static void an_imagej_stack_with_one_directory_is_read_whole(void)
{
    struct recipe r = {.mode = "wb",
                       .width = 10,
                       .height = 4,
                       .type = 1,
                       .description = "ImageJ=1.54p\nimages=5\nslices=5\nloop=false\n"};

    CHECK(file_holds_the_pages(make_raw_stack("a.tif", r, 5), 5, CEM_U16));
    CHECK(refused(make_raw_stack("a.tif", r, 4), "5 images", "cut off"));
    CHECK(file_holds_the_pages(make_raw_stack("a.tif", r, 1), 1, CEM_U16));
    r.description = "{\"shape\": [5, 4, 10], \"truncated\": true}";
    CHECK(file_holds_the_pages(make_raw_stack("a.tif", r, 5), 5, CEM_U16));
    r.description = "{\"shape\": [5, 4, 10]}";
    CHECK(file_holds_the_pages(make_raw_stack("a.tif", r, 5), 1, CEM_U16));
}

static void pixel_sizes_come_from_text_and_tags(void)
{
    static const struct {
        const char *text;
        double resolution;
        int unit;
        double pixel, spacing;
    } CASES[] = {
        {"ImageJ=1.54p\nunit=nm\nspacing=40.0\n", 0.125, RESUNIT_NONE, 8, 40},
        {"ImageJ=1.54p\nunit=micron\nspacing=0.03\n", 250, RESUNIT_NONE, 4, 30},
        {"ImageJ=1.54p\nunit=\\u00B5m\nspacing=0.03", 250, RESUNIT_NONE, 4, 30},
        {"ImageJ=1.54p\nunit=\xc2\xb5m\r\nspacing=3e-2\r\n", 250, RESUNIT_NONE, 4, 30},
        {"ImageJ=1.54p\nunit=\xb5m\nzunit=nm\nspacing=30\n", 250, RESUNIT_NONE, 4, 30},
        {"ImageJ=1.54p\nunit=um\nspacing=0.03\n", 2500000, RESUNIT_CENTIMETER, 4, 30},
        {"ImageJ=1.54p\nspacing=40.0\n", 1, RESUNIT_NONE, 0, 0},
        {"ImageJ=1.54p\nunit=pixel\nspacing=40.0\n", 1, RESUNIT_NONE, 0, 0},
        {"ImageJ=1.54p\nunit=inch\n", 72, RESUNIT_INCH, 0, 0},
        {"", 1, RESUNIT_NONE, 0, 0},
        {"", 72, RESUNIT_INCH, 0, 0},
        {"", 300, RESUNIT_INCH, 0, 0},
        {"", 28.346, RESUNIT_CENTIMETER, 0, 0},
        {"", 2702702.7f, RESUNIT_CENTIMETER, 3.7, 0},
        {"", 6350000, RESUNIT_INCH, 4, 0},
        {"{\"spacing\": \xff\xfe", 2500000, RESUNIT_CENTIMETER, 4, 0},
        {"<?xml version=\"1.0\"?><OME xmlns=\"x\"><Image><Pixels SizeZ=\"2\" "
         "PhysicalSizeXUnit=\"nm\" PhysicalSizeX=\"4.5\" PhysicalSizeZ = '0.05'/></Image></OME>",
         1, RESUNIT_NONE, 4.5, 50},
        {"<OME><Pixels PhysicalSizeX=\"0.0040000001\" PhysicalSizeXUnit=\"&#181;m\"/></OME>", 0, 0,
         4, 0},
        {"<OME><Pixels PhysicalSizeX=\"4\" PhysicalSizeXUnit=\"pixel\"/></OME>", 0, 0, 0, 0},
        {"<OME><Pixels PhysicalSizeX=", 0, 0, 0, 0},
        {"<OME><Pixels PhysicalSizeX=\"1e99999999999\"", 0, 0, 0, 0},
        {"ImageJ=\nunit=nm\nspacing=-3\nimages=99999999999999999999999\n", 1, 0, 1, 0},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct recipe r = {.width = 5,
                           .height = 4,
                           .description = CASES[i].text,
                           .resolution = (float)CASES[i].resolution,
                           .unit = CASES[i].unit};
        cem_tiff_info info = describe(make("a.tif", r));
        if (info.pages != 1 || info.pixel_nm != CASES[i].pixel ||
            info.spacing_nm != CASES[i].spacing)
            printf("case %zu: %g %g\n", i, info.pixel_nm, info.spacing_nm);
        CHECK_EQ(info.pages, 1);
        CHECK(info.pixel_nm == CASES[i].pixel);
        CHECK(info.spacing_nm == CASES[i].spacing);
    }
}

static void interleaved_channels_are_refused_unless_every_page_is_one(void)
{
    struct recipe r = {.width = 5,
                       .height = 4,
                       .pages = 6,
                       .description = "ImageJ=1.54p\nimages=6\nchannels=2\nslices=3\n"};

    CHECK(refused(make("a.tif", r), "2 channels", "Split Channels"));
    r.description = "<OME><Pixels SizeC=\"3\" SizeZ=\"2\"/></OME>";
    CHECK(refused(make("a.tif", r), "3 channels", "Split Channels"));
    r.description = "ImageJ=1.11a\nimages=6\nchannels=6\n";
    CHECK(file_holds_the_pages(make("a.tif", r), 6, CEM_U8));
}

static void what_is_not_grey_is_refused_with_the_page(void)
{
    struct recipe grey = {.width = 5, .height = 4}, r = grey;

    r.samples = 3;
    r.photometric_plus_1 = PHOTOMETRIC_RGB + 1;
    CHECK(refused(make("a.tif", r), "page 0", "3 values a pixel"));
    append(make("a.tif", grey), r);
    CHECK(refused(in_folder("a.tif"), "page 1", "convert it to grey"));
    r = grey;
    r.samples = 2;
    CHECK(refused(make("a.tif", r), "page 0", "2 values a pixel"));
    r = grey;
    r.photometric_plus_1 = PHOTOMETRIC_PALETTE + 1;
    CHECK(refused(make("a.tif", r), "palette", "Grays"));
    r = (struct recipe){.width = 5, .height = 4, .type = 1, .format = SAMPLEFORMAT_IEEEFP};
    CHECK(refused(make("a.tif", r), "16-bit float", "convert"));
    r = (struct recipe){.width = 5, .height = 4, .type = 7, .format = SAMPLEFORMAT_UINT};
    CHECK(refused(make("a.tif", r), "64-bit unsigned", "convert"));
    r = (struct recipe){.width = 5, .height = 4, .bits = 4};
    CHECK(refused(make("a.tif", r), "4-bit", "convert"));
}

static void pages_of_another_shape_or_type_are_refused_by_number(void)
{
    struct recipe first = {.width = 5, .height = 4, .pages = 1}, other = first;

    other.width = 6;
    append(make("a.tif", first), first);
    append(in_folder("a.tif"), other);
    CHECK(refused(in_folder("a.tif"), "page 2", "4 x 6"));
    other = first;
    other.type = 1;
    append(make("a.tif", first), other);
    CHECK(refused(in_folder("a.tif"), "page 1", "16-bit unsigned"));
    other = first;
    other.bits = 1;
    append(make("a.tif", first), other);
    CHECK(refused(in_folder("a.tif"), "page 1", "1-bit"));
}

static void what_is_not_a_tiff_is_refused(void)
{
    struct tiff *tiff = NULL;

    write_bytes(in_folder("empty.tif"), "", 0);
    CHECK(refused(in_folder("empty.tif"), "is empty", "again"));
    write_bytes(in_folder("png.tif"), "\x89PNG\r\n\x1a\n", 8);
    CHECK(refused(in_folder("png.tif"), "not a TIFF", "export"));
    write_bytes(in_folder("short.tif"), "II*", 3);
    CHECK(refused(in_folder("short.tif"), "first page", "again"));
    CHECK_EQ(tiff_open(&tiff, in_folder("none.tif")), CEM_EFILE);
    CHECK(strstr(error_line(), "No such file"));
    CHECK_EQ(tiff_open(&tiff, folder), CEM_EFILE);
    CHECK(strstr(error_line(), "not an ordinary file"));
}

static void a_file_cut_off_anywhere_is_refused_or_still_whole(void)
{
    cem_tiff_info info = stack(3, 17, 19, CEM_U16);
    const char *path = in_folder("a.tif"), *part = in_folder("part.tif");
    struct tiff *tiff;
    char *bytes;
    int64_t size, opened = 0;

    CHECK_EQ(save(path, info, 0, 1), CEM_OK);
    bytes = read_bytes(&size, path);
    for (int64_t length = 0; length < size; length++) {
        write_bytes(part, bytes, length);
        if (tiff_open(&tiff, part) != CEM_OK) continue;
        opened++;
        CHECK(holds_the_pages(tiff));
        tiff_free(tiff);
    }
    CHECK(opened < 20); /* all but the end of the last directory matters */
    free(bytes);
}

static void pixels_cut_off_are_noticed_when_the_file_is_opened(void)
{
    struct recipe r = {.mode = "wb", .width = 3000, .height = 3};
    const char *path = make_raw_stack("a.tif", r, 1);
    struct stat info;

    stat(path, &info);
    CHECK_EQ(truncate(path, info.st_size - 1), 0);
    CHECK(refused(path, "page 0", "end of the file"));
}

static void directories_that_go_round_in_circles_are_refused(void)
{
    struct recipe r = {.mode = "wl", .width = 5, .height = 4, .pages = 2};
    const char *path = make("a.tif", r);
    int64_t size;
    char *bytes = read_bytes(&size, path);
    uint32_t first, next = 0;
    uint16_t entries;

    memcpy(&first, bytes + 4, 4);
    for (uint32_t at = first; at; at = next) { /* the last link leads to the first directory */
        memcpy(&entries, bytes + at, 2);
        memcpy(&next, bytes + at + 2 + entries * 12, 4);
        if (!next) memcpy(bytes + at + 2 + entries * 12, &first, 4);
    }
    write_bytes(path, bytes, size);
    free(bytes);
    CHECK(refused(path, "page 2", "loop"));
}

static void sizes_the_file_cannot_hold_are_refused_before_memory_is_taken(void)
{
    static const int WIDTH = 0x100, LENGTH = 0x101; /* tags; as LONGs in a big-endian file */
    struct recipe r = {.mode = "wb", .width = 70000, .height = 1, .compression = COMPRESSION_LZW};
    const char *path = make("a.tif", r);
    int64_t size, live = memory_live();
    char *bytes = read_bytes(&size, path);

    for (int64_t i = 0; i + 12 <= size; i++) {
        bool entry = bytes[i] == 1 && bytes[i + 2] == 0 && (bytes[i + 3] == 3 || bytes[i + 3] == 4);
        int tag = ((unsigned char)bytes[i] << 8) | (unsigned char)bytes[i + 1];
        if (!entry || (tag != WIDTH && tag != LENGTH && tag != TIFFTAG_ROWSPERSTRIP)) continue;
        memcpy(bytes + i, (char[]){1, (char)tag, 0, 4, 0, 0, 0, 1, 0x7f, -1, -1, -1}, 12);
    }
    write_bytes(path, bytes, size);
    free(bytes);
    CHECK(refused(path, "page 0", "can hold"));
    CHECK_EQ(memory_live(), live);
}

static void a_damaged_page_is_reported_and_the_others_are_read(void)
{
    struct recipe r = {.width = 64, .height = 64, .pages = 3, .compression = COMPRESSION_LZW};
    const char *path = make("a.tif", r);
    uint8_t pixels[64 * 64], want[64 * 64];
    struct tiff *tiff;
    int64_t size;
    char *bytes = read_bytes(&size, path);

    memset(bytes + 40, -1, 200); /* in the first page's first strip */
    write_bytes(path, bytes, size);
    free(bytes);
    CHECK_EQ(tiff_open(&tiff, path), CEM_OK);
    CHECK_EQ(tiff_read(pixels, tiff, 0), CEM_EFORMAT);
    CHECK(strstr(error_line(), "page 0") && strstr(error_line(), "decoded"));
    CHECK_EQ(tiff_read(pixels, tiff, 2), CEM_OK);
    fill_page(want, CEM_U8, 2, 64 * 64);
    CHECK_EQ(memcmp(pixels, want, sizeof want), 0);
    CHECK_EQ(tiff_read(pixels, tiff, 3), CEM_EARGUMENT);
    CHECK_EQ(tiff_read(pixels, tiff, -1), CEM_EARGUMENT);
    CHECK_EQ(tiff_write(tiff, pixels), CEM_EARGUMENT);
    CHECK_EQ(tiff_finish(tiff), CEM_EARGUMENT);
    tiff_free(tiff);
}

static int complaints;

static void count_complaint(const char *module, const char *format, va_list arguments)
{
    (void)module;
    (void)format;
    (void)arguments;
    complaints++;
}

static void the_host_s_own_libtiff_handlers_hear_nothing_of_us(void)
{
    TIFFErrorHandler error = TIFFSetErrorHandler(count_complaint);
    TIFFErrorHandler warning = TIFFSetWarningHandler(count_complaint);

    a_damaged_page_is_reported_and_the_others_are_read();
    directories_that_go_round_in_circles_are_refused();
    a_file_cut_off_anywhere_is_refused_or_still_whole();
    CHECK_EQ(complaints, 0);
    CHECK(TIFFSetErrorHandler(error) == count_complaint);
    CHECK(TIFFSetWarningHandler(warning) == count_complaint);
}

int main(void)
{
    if (!mkdtemp(folder)) return 1;
    RUN(every_type_layout_byte_order_and_compression_is_read_alike);
    RUN(untyped_samples_are_unsigned);
    RUN(where_white_is_zero_values_stay_as_stored);
    RUN(one_bit_pages_are_zeros_and_ones);
    RUN(small_copies_and_masks_among_the_pages_are_skipped);
    RUN(an_imagej_stack_with_one_directory_is_read_whole);
    RUN(pixel_sizes_come_from_text_and_tags);
    RUN(interleaved_channels_are_refused_unless_every_page_is_one);
    RUN(what_is_not_grey_is_refused_with_the_page);
    RUN(pages_of_another_shape_or_type_are_refused_by_number);
    RUN(what_is_not_a_tiff_is_refused);
    RUN(a_file_cut_off_anywhere_is_refused_or_still_whole);
    RUN(pixels_cut_off_are_noticed_when_the_file_is_opened);
    RUN(directories_that_go_round_in_circles_are_refused);
    RUN(sizes_the_file_cannot_hold_are_refused_before_memory_is_taken);
    RUN(a_damaged_page_is_reported_and_the_others_are_read);
    RUN(the_host_s_own_libtiff_handlers_hear_nothing_of_us);
    empty_folder();
    rmdir(folder);
    return CHECK_DONE();
}
