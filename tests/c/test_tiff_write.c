/* Writing TIFF: what is in the file, and when there is one. */
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include "memory.h"
#include "tiff_samples.h"
#include "tiff_text.h"

static void what_is_written_is_read_back(void)
{
    static const int64_t SIDES[][2] = {{1, 1}, {3, 1000}, {1000, 3}, {301, 257}, {2, 70001}};

    for (int i = 0; i < TYPE_COUNT; i++)
        for (int k = 0; k < 5; k++) {
            cem_tiff_info info = stack(2, SIDES[k][0], SIDES[k][1], TYPES[i].type), back;
            info.pixel_nm = 3.7;
            info.spacing_nm = 100.0 / 3;
            CHECK_EQ(save(in_folder("a.tif"), info, k % 2 * 9, 1), CEM_OK);
            CHECK(file_holds_the_pages(in_folder("a.tif"), 2, info.type));
            back = describe(in_folder("a.tif"));
            CHECK_EQ(back.height, info.height);
            CHECK_EQ(back.width, info.width);
            CHECK(back.pixel_nm == 3.7 && back.spacing_nm == 33.3333);
        }
}

static void the_text_is_what_imagej_reads(void)
{
    cem_tiff_info info = stack(3, 4, 5, CEM_U16);
    char *text = NULL;
    float resolution = 0;
    uint16_t unit = 0;
    TIFF *file;

    info.pixel_nm = 8;
    info.spacing_nm = 40.25;
    CHECK_EQ(save(in_folder("a.tif"), info, 7, 1), CEM_OK);
    file = TIFFOpen(in_folder("a.tif"), "r");
    TIFFGetField(file, TIFFTAG_IMAGEDESCRIPTION, &text);
    CHECK(strcmp(text, "ImageJ=1.54p\nimages=3\nslices=3\nunit=nm\nspacing=40.25\nloop=false\n"
                       "min=0.0\nmax=7.0\n") == 0);
    TIFFGetField(file, TIFFTAG_XRESOLUTION, &resolution);
    TIFFGetField(file, TIFFTAG_RESOLUTIONUNIT, &unit);
    CHECK(resolution == 0.125f);
    CHECK_EQ(unit, RESUNIT_NONE);
    TIFFClose(file);
}

static void spacings_are_written_without_needless_digits(void)
{
    static const struct {
        double nm;
        const char *line;
    } CASES[] = {{40, "\nspacing=40.0\n"},
                 {0.25, "\nspacing=0.25\n"},
                 {100.0 / 3, "\nspacing=33.333333333\n"},
                 {0.99999999996, "\nspacing=1.0\n"},
                 {12.000000001, "\nspacing=12.000000001\n"}};
    char text[TIFF_TEXT_ROOM];
    cem_tiff_info info = stack(2, 4, 5, CEM_U8);

    info.pixel_nm = 8;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        info.spacing_nm = CASES[i].nm;
        tiff_text_write(text, &info, 0);
        CHECK(strstr(text, CASES[i].line));
    }
    info.pixel_nm = 0; /* ImageJ would take a pixel for one nanometre */
    tiff_text_write(text, &info, 0);
    CHECK(!strstr(text, "spacing") && !strstr(text, "unit"));
}

static void a_file_is_there_when_it_is_finished_and_not_before(void)
{
    const char *path = in_folder("new.tif");
    cem_tiff_info info = stack(2, 4, 5, CEM_U8);
    uint8_t page[20] = {0};
    struct tiff *tiff;

    empty_folder();
    CHECK_EQ(tiff_new(&tiff, path, &info, 0, 0), CEM_OK);
    CHECK_EQ(tiff_write(tiff, page), CEM_OK);
    CHECK_EQ(tiff_finish(tiff), CEM_EARGUMENT);
    CHECK(strstr(error_line(), "1 of its 2 pages"));
    CHECK_EQ(tiff_read(page, tiff, 0), CEM_EARGUMENT);
    CHECK_EQ(access(path, F_OK), -1);
    CHECK_EQ(tiff_write(tiff, page), CEM_OK);
    CHECK_EQ(tiff_write(tiff, page), CEM_EARGUMENT);
    CHECK_EQ(tiff_finish(tiff), CEM_OK);
    CHECK_EQ(tiff_write(tiff, page), CEM_EARGUMENT);
    CHECK_EQ(tiff_finish(tiff), CEM_EARGUMENT);
    tiff_free(tiff);
    CHECK_EQ(describe(path).pages, 2);
    CHECK_EQ(files_in_folder(), 1);
}

static void an_abandoned_file_leaves_nothing(void)
{
    cem_tiff_info info = stack(2, 300, 500, CEM_U8);
    uint8_t *page = calloc(300, 500);
    struct tiff *tiff;

    empty_folder();
    CHECK_EQ(tiff_new(&tiff, in_folder("new.tif"), &info, 0, 0), CEM_OK);
    CHECK_EQ(tiff_write(tiff, page), CEM_OK);
    tiff_free(tiff);
    CHECK_EQ(files_in_folder(), 0);
    free(page);
}

static void an_existing_file_is_replaced_only_on_request(void)
{
    const char *path = in_folder("old.tif");
    cem_tiff_info one = stack(1, 4, 5, CEM_U8), two = stack(2, 4, 5, CEM_U8);
    uint8_t page[20] = {0};
    struct tiff *tiff;

    empty_folder();
    CHECK_EQ(tiff_new(&tiff, path, &two, 0, 0), CEM_OK);
    CHECK_EQ(save(path, one, 0, 0), CEM_OK);
    CHECK_EQ(tiff_write(tiff, page), CEM_OK);
    CHECK_EQ(tiff_write(tiff, page), CEM_OK);
    CHECK_EQ(tiff_finish(tiff), CEM_EFILE); /* the file appeared meanwhile */
    CHECK(strstr(error_line(), "exists already"));
    tiff_free(tiff);
    CHECK_EQ(save(path, two, 0, 0), CEM_EFILE);
    CHECK_EQ(describe(path).pages, 1);
    CHECK_EQ(save(path, two, 0, 1), CEM_OK);
    CHECK_EQ(describe(path).pages, 2);
    CHECK_EQ(files_in_folder(), 1);
}

static void a_full_disk_is_said_and_leaves_nothing(void)
{
    cem_tiff_info info = stack(3, 200, 300, CEM_U32);
    uint32_t *page = calloc(200 * 300, sizeof *page);
    struct rlimit old, small;
    struct tiff *tiff;
    int32_t status;

    empty_folder();
    for (uint32_t i = 0; i < 200 * 300; i++) page[i] = i * 2654435761u ^ i * i;
    CHECK_EQ(tiff_new(&tiff, in_folder("big.tif"), &info, 0, 0), CEM_OK);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){.rlim_cur = 5000, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    status = tiff_write(tiff, page);
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK_EQ(status, CEM_EFILE);
    CHECK(strstr(error_line(), "big.tif") && strstr(error_line(), "too large"));
    CHECK_EQ(tiff_write(tiff, page), CEM_EARGUMENT);
    CHECK(strstr(error_line(), "could not be written"));
    CHECK_EQ(tiff_finish(tiff), CEM_EARGUMENT);
    tiff_free(tiff);
    CHECK_EQ(files_in_folder(), 0);
    free(page);
}

static void arguments_out_of_range_are_refused(void)
{
    cem_tiff_info bad[] = {stack(0, 4, 5, CEM_U8), stack(1, 0, 5, CEM_U8), stack(1, 4, -5, CEM_U8),
                           stack(1, 4, 5, 9),      stack(1, 4, 5, CEM_U8), stack(1, 4, 5, CEM_U8)};
    struct tiff *tiff = NULL;

    empty_folder();
    bad[4].pixel_nm = (double)NAN;
    bad[5].spacing_nm = -1;
    for (int i = 0; i < 6; i++)
        CHECK_EQ(tiff_new(&tiff, in_folder("a.tif"), &bad[i], 0, 1), CEM_EARGUMENT);
    bad[0].pages = 1;
    CHECK_EQ(tiff_new(&tiff, in_folder("a.tif"), &bad[0], -1, 1), CEM_EARGUMENT);
    CHECK_EQ(tiff_new(&tiff, in_folder("no/a.tif"), &bad[0], 0, 1), CEM_EFILE);
    CHECK_EQ(files_in_folder(), 0);
}

/* The fourth byte of the one file there is: 42 in a classic TIFF, 43 in a BigTIFF. */
static int version_in_folder(void)
{
    DIR *open = opendir(folder);
    char start[4] = {0};
    FILE *file;

    for (struct dirent *entry; (entry = readdir(open));)
        if (entry->d_name[0] != '.' && (file = fopen(in_folder(entry->d_name), "rb"))) {
            if (fread(start, 1, 4, file) != 4) start[2] = 0;
            fclose(file);
        }
    closedir(open);
    return start[2] + start[3];
}

static void what_could_pass_four_gigabytes_is_a_bigtiff(void)
{
    cem_tiff_info small = stack(900, 2048, 2048, CEM_U8), large = small;
    struct tiff *tiff;

    empty_folder();
    CHECK_EQ(tiff_new(&tiff, in_folder("a.tif"), &small, 0, 0), CEM_OK);
    CHECK_EQ(version_in_folder(), 42);
    tiff_free(tiff);
    large.pages = 1024;
    CHECK_EQ(tiff_new(&tiff, in_folder("a.tif"), &large, 0, 0), CEM_OK);
    CHECK_EQ(version_in_folder(), 43);
    tiff_free(tiff);
}

static void a_failed_allocation_is_a_status_and_no_leak(void)
{
    struct recipe r = {.width = 40, .height = 40, .tile = 16, .pages = 5};
    const char *path = make("a.tif", r);
    int64_t live = memory_live();
    uint8_t pixels[1600];
    struct tiff *tiff;
    int32_t status = CEM_EMEMORY;
    int failures = 0;

    for (int k = 1; status != CEM_OK; k++) {
        tiff = NULL;
        memory_fail_at(k);
        status = tiff_open(&tiff, path);
        if (status == CEM_OK) status = tiff_read(pixels, tiff, 4);
        memory_fail_at(0);
        CHECK(status == CEM_OK || status == CEM_EMEMORY);
        failures += status == CEM_EMEMORY;
        if (tiff) CHECK_EQ(tiff_read(pixels, tiff, 4), CEM_OK); /* still usable */
        tiff_free(tiff);
        CHECK_EQ(memory_live(), live);
    }
    CHECK(failures >= 5);
    empty_folder();
    for (int k = 1; k < 10; k++) {
        memory_fail_at(k);
        status = save(in_folder("b.tif"), stack(2, 4, 5, CEM_U8), 0, 1);
        memory_fail_at(0);
        CHECK(status == CEM_OK || status == CEM_EMEMORY);
        CHECK_EQ(files_in_folder(), status == CEM_OK);
        CHECK_EQ(memory_live(), live);
    }
}

static void thousands_of_pages_take_no_time(void)
{
    CHECK_EQ(save(in_folder("a.tif"), stack(20000, 2, 3, CEM_U8), 0, 1), CEM_OK);
    CHECK(file_holds_the_pages(in_folder("a.tif"), 20000, CEM_U8));
}

int main(void)
{
    if (!mkdtemp(folder)) return 1;
    RUN(what_is_written_is_read_back);
    RUN(the_text_is_what_imagej_reads);
    RUN(spacings_are_written_without_needless_digits);
    RUN(a_file_is_there_when_it_is_finished_and_not_before);
    RUN(an_abandoned_file_leaves_nothing);
    RUN(an_existing_file_is_replaced_only_on_request);
    RUN(a_full_disk_is_said_and_leaves_nothing);
    RUN(arguments_out_of_range_are_refused);
    RUN(what_could_pass_four_gigabytes_is_a_bigtiff);
    RUN(a_failed_allocation_is_a_status_and_no_leak);
    RUN(thousands_of_pages_take_no_time);
    empty_folder();
    rmdir(folder);
    return CHECK_DONE();
}
