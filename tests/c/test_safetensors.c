/* The container: what is written comes back, what is wrong is refused, and a file is never seen
 * half-written. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cem.h"
#include "check.h"
#include "error.h"
#include "memory.h"
#include "output.h"
#include "safetensors.h"
#include "scratch.h"

static const float FLOATS[6] = {1.5f, -0.0f, 3e-45f, 4, 5, 6};
static const int64_t COUNT = 7;
static const uint64_t WIDE[2] = {UINT64_MAX, 1};
static const uint8_t BYTES[3] = {1, 2, 255};

static const struct safetensors_entry ENTRIES[] = {
    {"bytes", SAFETENSORS_U8, 1, {3}, 3, BYTES},
    {"floats", SAFETENSORS_F32, 2, {2, 3}, 24, FLOATS},
    {"count", SAFETENSORS_I64, 0, {0}, 8, &COUNT},
    {"none", SAFETENSORS_F32, 2, {0, 4}, 0, FLOATS},
    {"wide \"\\\xc3\xa9\n", SAFETENSORS_U64, 1, {2}, 16, WIDE},
};
enum { ENTRY_COUNT = sizeof ENTRIES / sizeof ENTRIES[0] };

static int32_t write_entries(const char *name, const char *value, int32_t overwrite)
{
    return safetensors_write(scratch(name), ENTRIES, ENTRY_COUNT, "card", value, overwrite);
}

/* A file of `header` and `size` bytes of data, parsed. */
static int32_t parse(struct safetensors **out, const char *header, size_t size)
{
    char bytes[4096] = {0};
    const uint64_t length = strlen(header);

    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    return safetensors_parse(out, bytes, (int64_t)(8 + length + size), "x.safetensors");
}

static void what_is_written_is_read_back_bit_for_bit(void)
{
    struct safetensors *file;

    CHECK_EQ(write_entries("a", "{\"x\": \"\\u00e9\"}", 0), CEM_OK);
    CHECK_EQ(safetensors_read(&file, scratch("a")), CEM_OK);
    CHECK_EQ(safetensors_count(file), ENTRY_COUNT);
    for (int i = 0; i < ENTRY_COUNT; i++) {
        const struct safetensors_entry *have = safetensors_at(file, i), *want = &ENTRIES[i];
        CHECK(strcmp(have->name, want->name) == 0);
        CHECK(safetensors_find(file, want->name) == have);
        CHECK_EQ(have->type, want->type);
        CHECK_EQ(have->rank, want->rank);
        CHECK(memcmp(have->shape, want->shape, sizeof have->shape) == 0);
        CHECK_EQ(have->bytes, want->bytes);
        CHECK_EQ((uintptr_t)have->data % 8, 0);
        CHECK(memcmp(have->data, want->data, (size_t)want->bytes) == 0);
    }
    CHECK(!safetensors_find(file, "other"));
    CHECK(strcmp(safetensors_metadata(file, "card"), "{\"x\": \"\\u00e9\"}") == 0);
    CHECK(!safetensors_metadata(file, "other"));
    safetensors_free(file);
    CHECK_EQ(scratch_files(true), 1);
}

static void the_same_entries_give_the_same_bytes(void)
{
    size_t size;
    char *bytes;

    CHECK_EQ(write_entries("a", "v", 0), CEM_OK);
    CHECK_EQ(write_entries("b", "v", 0), CEM_OK);
    bytes = read_file(&size, scratch("a"));
    CHECK(file_is(scratch("b"), bytes, size));
    free(bytes);
    scratch_files(true);
}

static void every_tensor_is_aligned_in_the_file_too(void)
{
    size_t size;
    uint64_t length;
    char *bytes;
    const char *count;

    CHECK_EQ(write_entries("a", "v", 0), CEM_OK);
    bytes = read_file(&size, scratch("a"));
    memcpy(&length, bytes, 8);
    CHECK_EQ(length % 8, 0);
    count = strstr(bytes + 8, "\"count\":");
    CHECK(count && strstr(count, "\"data_offsets\":[0,8]") < strstr(count, "}"));
    CHECK(strstr(bytes + 8, "\"data_offsets\":[48,51]"));
    CHECK_EQ(size, 8 + length + 51);
    free(bytes);
    scratch_files(true);
}

static void a_file_cut_at_any_byte_is_refused(void)
{
    struct safetensors *file = NULL;
    const int64_t live = memory_live();
    size_t size;
    char *bytes;

    CHECK_EQ(write_entries("a", "v", 0), CEM_OK);
    bytes = read_file(&size, scratch("a"));
    for (size_t cut = 0; cut < size; cut++) {
        char *exact = malloc(cut + 1); /* so that a sanitizer sees a read beyond */
        memcpy(exact, bytes, cut);
        CHECK_EQ(safetensors_parse(&file, exact, (int64_t)cut, "cut"), CEM_EFORMAT);
        CHECK(strstr(error_line(), "'cut'"));
        write_file(scratch("cut"), exact, cut);
        CHECK_EQ(safetensors_read(&file, scratch("cut")), CEM_EFORMAT);
        free(exact);
    }
    CHECK(!file);
    CHECK_EQ(memory_live(), live);
    free(bytes);
    scratch_files(true);
}

static void a_damaged_header_is_refused_with_the_reason(void)
{
    static const struct {
        const char *header;
        size_t size;
        const char *reason;
    } cases[] = {
        {"[]", 0, "not a JSON object"},
        {" {}", 0, "not a JSON object"},
        {"{} {}", 0, "damaged"},
        {"{\"a\":1}", 0, "'a' has no dtype"},
        {"{\"a\":{\"dtype\":5,\"shape\":[],\"data_offsets\":[0,0]}}", 0, "no dtype"},
        {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", 1, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]}}", 1, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0.0,1]}}", 1, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1, "whole number"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1.5],\"data_offsets\":[0,1]}}", 1, "whole number"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
         "at most 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "as its shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         "too large"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
         "as its shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[99999999999999999999],\"data_offsets\":[0,1]}}", 1,
         "too big integer"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "duplicate"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, "'b' overlaps"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
         5, "'a' leaves a gap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 3, "2 bytes follow"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}", 3,
         "3 bytes of tensors, must have 9"},
        {"{\"__metadata__\":[]}", 0, "metadata is no object"},
        {"{\"__metadata__\":{\"card\":{}}}", 0, "metadata 'card' is no text"},
        {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "damaged"},
    };
    struct safetensors *file = NULL;
    const int64_t live = memory_live();

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(parse(&file, cases[i].header, cases[i].size), CEM_EFORMAT);
        if (!strstr(error_line(), cases[i].reason)) printf("%s\n", error_line());
        CHECK(strstr(error_line(), cases[i].reason));
        CHECK(strstr(error_line(), "'x.safetensors'"));
    }
    CHECK(!file);
    CHECK_EQ(memory_live(), live);
}

static void the_message_is_one_line_of_utf8_whatever_the_name_is(void)
{
    char header[512] = "{\"\\u001b[2J\\n", *end = header + strlen(header);
    struct safetensors *file = NULL;

    for (int i = 0; i < 60; i++) end += sprintf(end, "\xc3\xa9");
    strcpy(end, "\":1}");
    CHECK_EQ(parse(&file, header, 0), CEM_EFORMAT);
    CHECK(strstr(error_line(), "'?[2J \xc3\xa9\xc3\xa9"));
    for (const char *c = error_line(); *c; c++) {
        CHECK((unsigned char)*c >= ' ');
        if (*c == '\xc3') CHECK(*++c == '\xa9');
        else CHECK((unsigned char)*c < 0x7f);
    }
    CHECK_EQ(error_set(CEM_EFILE, "%s", "a\xc3\xa9 \xff\xed\xa0\x80 \xf0\x9f\x94\xac \xe2\x82"),
             CEM_EFILE);
    CHECK(strcmp(error_line(), "a\xc3\xa9 ???? \xf0\x9f\x94\xac ??") == 0);
}

static void a_deeply_nested_header_is_refused(void)
{
    enum { DEPTH = 1 << 20 };
    struct safetensors *file = NULL;
    const uint64_t length = DEPTH;
    char *bytes = malloc(8 + DEPTH);

    memcpy(bytes, &length, 8);
    memset(bytes + 8, '[', DEPTH);
    memcpy(bytes + 8, "{\"a\":", 5);
    CHECK_EQ(safetensors_parse(&file, bytes, 8 + DEPTH, "deep"), CEM_EFORMAT);
    free(bytes);
}

static void other_types_are_kept_with_their_size(void)
{
    struct safetensors *file;

    CHECK_EQ(parse(&file,
                   "{\"h\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[0,6]},"
                   "\"new\":{\"dtype\":\"F4\",\"shape\":[9],\"data_offsets\":[6,11]}}",
                   11),
             CEM_OK);
    CHECK_EQ(safetensors_find(file, "h")->type, SAFETENSORS_OTHER);
    CHECK_EQ(safetensors_find(file, "h")->bytes, 6);
    CHECK_EQ(safetensors_find(file, "new")->type, SAFETENSORS_OTHER);
    CHECK_EQ(safetensors_find(file, "new")->bytes, 5);
    safetensors_free(file);
}

static void a_tensor_that_lies_askew_in_the_file_is_aligned_in_memory(void)
{
    struct safetensors *file;

    CHECK_EQ(parse(&file,
                   "{\"f\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]},"
                   "\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                   5),
             CEM_OK);
    CHECK(strcmp(safetensors_at(file, 0)->name, "f") == 0);
    CHECK_EQ((uintptr_t)safetensors_find(file, "f")->data % 8, 0);
    safetensors_free(file);
}

static void a_file_without_tensors_is_a_file(void)
{
    struct safetensors *file;

    CHECK_EQ(parse(&file, "{}", 0), CEM_OK);
    CHECK_EQ(safetensors_count(file), 0);
    CHECK(!safetensors_metadata(file, "card"));
    safetensors_free(file);
}

static void a_pytorch_checkpoint_is_told_how_to_be_converted(void)
{
    struct safetensors *file = NULL;

    write_file(scratch("a.pth"), "PK\003\004\0\0\0\0\0\0\0\0", 12);
    CHECK_EQ(safetensors_read(&file, scratch("a.pth")), CEM_EFORMAT);
    CHECK(strstr(error_line(), "napari-cem weights import"));
    scratch_files(true);
}

static void what_is_no_file_is_refused_at_once(void)
{
    struct safetensors *file = NULL;

    CHECK_EQ(safetensors_read(&file, scratch("missing")), CEM_EFILE);
    CHECK(strstr(error_line(), "missing"));
    CHECK_EQ(safetensors_read(&file, scratch("")), CEM_EFILE);
    CHECK_EQ(mkfifo(scratch("pipe"), 0600), 0);
    CHECK_EQ(safetensors_read(&file, scratch("pipe")), CEM_EFILE);
    CHECK_EQ(write_entries("pipe", "v", 1), CEM_EFILE);
    CHECK_EQ(write_entries("", "v", 1), CEM_EFILE);
    CHECK_EQ(write_entries("no/folder", "v", 1), CEM_EFILE);
    CHECK_EQ(scratch_files(true), 1);
}

static void a_file_larger_than_memory_is_refused(void)
{
    const int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    struct safetensors *file = NULL;

    write_file(scratch("large"), "", 0);
    CHECK_EQ(truncate(scratch("large"), memory + 1), 0);
    CHECK_EQ(safetensors_read(&file, scratch("large")), CEM_EMEMORY);
    CHECK(strstr(error_line(), "large"));
    scratch_files(true);
}

static void an_existing_file_is_refused_and_unchanged(void)
{
    write_file(scratch("a"), "precious", 8);
    CHECK_EQ(write_entries("a", "v", 0), CEM_EFILE);
    CHECK(strstr(error_line(), "exists already"));
    CHECK(file_is(scratch("a"), "precious", 8));
    CHECK_EQ(scratch_files(false), 1);
    CHECK_EQ(write_entries("a", "v", 1), CEM_OK);
    CHECK(!file_is(scratch("a"), "precious", 8));
    CHECK_EQ(scratch_files(true), 1);
}

static void a_file_that_appears_meanwhile_is_refused_and_unchanged(void)
{
    struct output output;

    CHECK_EQ(output_open(&output, scratch("a"), 0), CEM_OK);
    CHECK_EQ(output_write(&output, "new", 3), CEM_OK);
    CHECK(access(scratch("a"), F_OK) != 0);
    write_file(scratch("a"), "precious", 8);
    CHECK_EQ(output_finish(&output), CEM_EFILE);
    CHECK(strstr(error_line(), "exists already"));
    output_free(&output);
    CHECK(file_is(scratch("a"), "precious", 8));
    CHECK_EQ(scratch_files(true), 1);
}

static void a_dangling_link_is_not_written_through(void)
{
    CHECK_EQ(symlink(scratch("elsewhere"), scratch("link")), 0);
    CHECK_EQ(write_entries("link", "v", 0), CEM_EFILE);
    CHECK(access(scratch("elsewhere"), F_OK) != 0);
    CHECK_EQ(scratch_files(true), 1);
}

/* A limit on the size of files stands in for a full disk. */
static void a_write_that_fails_leaves_the_old_file_and_nothing_else(void)
{
    struct rlimit old, small;

    write_file(scratch("a"), "precious", 8);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    small = (struct rlimit){.rlim_cur = 100, .rlim_max = old.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    int32_t status = write_entries("a", "v", 1);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    CHECK_EQ(status, CEM_EFILE);
    CHECK(strstr(error_line(), "cannot write"));
    CHECK(file_is(scratch("a"), "precious", 8));
    CHECK_EQ(scratch_files(true), 1);
}

static void a_header_that_could_not_be_read_is_not_written(void)
{
    enum { LENGTH = 5 << 20 };
    char *value = malloc(LENGTH + 1);

    memset(value, 'x', LENGTH);
    value[LENGTH] = 0;
    CHECK_EQ(write_entries("a", value, 0), CEM_EARGUMENT);
    CHECK(strstr(error_line(), "shorten"));
    CHECK_EQ(scratch_files(false), 0);
    free(value);
}

static void a_killed_writer_leaves_the_old_file_or_the_new_one(void)
{
    struct safetensors *file;

    CHECK_EQ(write_entries("a", "0", 0), CEM_OK);
    for (int round = 0; round < 5; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            for (;;) (void)write_entries("a", round % 2 ? "1" : "0", 1);
        for (int i = 0; i < 20 * (round + 1); i++) {
            CHECK_EQ(safetensors_read(&file, scratch("a")), CEM_OK);
            safetensors_free(file);
        }
        CHECK_EQ(kill(child, SIGKILL), 0);
        CHECK_EQ(waitpid(child, NULL, 0), child);
        CHECK_EQ(safetensors_read(&file, scratch("a")), CEM_OK);
        CHECK(strlen(safetensors_metadata(file, "card")) == 1);
        safetensors_free(file);
    }
    scratch_files(true);
}

static void a_failed_allocation_is_a_status_and_leaks_nothing(void)
{
    struct safetensors *file = NULL;
    const int64_t live = memory_live();
    int32_t status = CEM_EMEMORY;
    int k = 0;

    while (status != CEM_OK) {
        memory_fail_at(++k);
        status = write_entries("a", "v", 0);
        memory_fail_at(0);
        CHECK(status == CEM_OK || status == CEM_EMEMORY);
        CHECK_EQ(scratch_files(false), status == CEM_OK);
        CHECK_EQ(memory_live(), live);
    }
    CHECK(k > 3);
    for (k = 0, status = CEM_EMEMORY; status != CEM_OK;) {
        memory_fail_at(++k);
        status = safetensors_read(&file, scratch("a"));
        memory_fail_at(0);
        CHECK(status == CEM_OK || (status == CEM_EMEMORY && memory_live() == live));
    }
    CHECK(k > 3);
    safetensors_free(file);
    CHECK_EQ(memory_live(), live);
    scratch_files(true);
}

static void a_failed_allocation_of_the_json_library_is_a_status_too(void)
{
    struct safetensors *file = NULL;
    int32_t status = CEM_EMEMORY;
    int k = 0;

    while (status != CEM_OK) {
        jansson_fail_at(++k);
        status = write_entries("a", "v", 0);
        CHECK(status == CEM_OK || status == CEM_EMEMORY);
        CHECK_EQ(scratch_files(false), status == CEM_OK);
        CHECK_EQ(jansson_live, 0);
    }
    CHECK(k > 10);
    for (k = 0, status = CEM_EMEMORY; status != CEM_OK;) {
        jansson_fail_at(++k);
        status = safetensors_read(&file, scratch("a"));
        CHECK(status == CEM_OK || status == CEM_EMEMORY || status == CEM_EFORMAT);
        CHECK(status == CEM_OK || jansson_live == 0);
    }
    CHECK(k > 10);
    safetensors_free(file);
    CHECK_EQ(jansson_live, 0);
    scratch_files(true);
}

int main(void)
{
    RUN(what_is_written_is_read_back_bit_for_bit);
    RUN(the_same_entries_give_the_same_bytes);
    RUN(every_tensor_is_aligned_in_the_file_too);
    RUN(a_file_cut_at_any_byte_is_refused);
    RUN(a_damaged_header_is_refused_with_the_reason);
    RUN(the_message_is_one_line_of_utf8_whatever_the_name_is);
    RUN(a_deeply_nested_header_is_refused);
    RUN(other_types_are_kept_with_their_size);
    RUN(a_tensor_that_lies_askew_in_the_file_is_aligned_in_memory);
    RUN(a_file_without_tensors_is_a_file);
    RUN(a_pytorch_checkpoint_is_told_how_to_be_converted);
    RUN(what_is_no_file_is_refused_at_once);
    RUN(a_file_larger_than_memory_is_refused);
    RUN(an_existing_file_is_refused_and_unchanged);
    RUN(a_file_that_appears_meanwhile_is_refused_and_unchanged);
    RUN(a_dangling_link_is_not_written_through);
    RUN(a_write_that_fails_leaves_the_old_file_and_nothing_else);
    RUN(a_header_that_could_not_be_read_is_not_written);
    RUN(a_killed_writer_leaves_the_old_file_or_the_new_one);
    RUN(a_failed_allocation_is_a_status_and_leaks_nothing);
    RUN(a_failed_allocation_of_the_json_library_is_a_status_too);
    scratch_end();
    return CHECK_DONE();
}
