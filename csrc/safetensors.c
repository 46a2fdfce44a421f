/* The format is described at https://github.com/huggingface/safetensors.  The header is parsed by
 * jansson; nothing is believed of it before check_spans has seen that the tensors cover the data
 * exactly.  In memory each tensor is moved to a multiple of 8 bytes, in the file wider types come
 * first, so that readers which map the file find every tensor aligned too. */
#include "safetensors.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "memory.h"
#include "output.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are copied as they stand");

enum { PREFIX = 8, ALIGNMENT = 8, HEADER_LIMIT = 4 << 20 };

static const struct {
    const char *name;
    int32_t type;
    int32_t bytes; /* of a number */
} TYPES[] = {
    {"F32", SAFETENSORS_F32, 4},       {"I64", SAFETENSORS_I64, 8},
    {"U64", SAFETENSORS_U64, 8},       {"U8", SAFETENSORS_U8, 1},
    {"I8", SAFETENSORS_I8, 1},         {"F64", SAFETENSORS_OTHER, 8},
    {"I32", SAFETENSORS_OTHER, 4},     {"U32", SAFETENSORS_OTHER, 4},
    {"F16", SAFETENSORS_OTHER, 2},     {"BF16", SAFETENSORS_OTHER, 2},
    {"I16", SAFETENSORS_OTHER, 2},     {"U16", SAFETENSORS_OTHER, 2},
    {"BOOL", SAFETENSORS_OTHER, 1},    {"F8_E4M3", SAFETENSORS_OTHER, 1},
    {"F8_E5M2", SAFETENSORS_OTHER, 1}, {"C64", SAFETENSORS_OTHER, 8},
};
enum { TYPE_COUNT = sizeof TYPES / sizeof TYPES[0] };

struct safetensors {
    json_t *header; /* owns the names and the metadata */
    struct safetensors_entry *entries;
    int64_t count;
    uint8_t *data;
};

/* ---- reading ---- */

/* A file, or bytes in memory if `fd` is -1, read from front to back. */
struct source {
    const char *name;
    const uint8_t *bytes;
    int64_t size;
    int fd;
};

/* Where in the data entry `index` lies. */
struct span {
    int64_t begin, end;
    int64_t index;
};

static int32_t read_file(const struct source *source, char *to, int64_t bytes)
{
    while (bytes > 0) {
        ssize_t got = read(source->fd, to, (size_t)bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return error_set(CEM_EFILE, "cannot read '%s': %s", source->name, strerror(errno));
        if (got == 0)
            return error_set(CEM_EFILE, "'%s' became shorter while it was read; try again",
                             source->name);
        to += got;
        bytes -= got;
    }
    return CEM_OK;
}

/* Takes the next `bytes`, which the caller knows to be within source->size. */
static int32_t take(struct source *source, void *to, int64_t bytes)
{
    if (source->fd >= 0) return read_file(source, to, bytes);
    if (bytes > 0) memcpy(to, source->bytes, (size_t)bytes);
    source->bytes += bytes;
    return CEM_OK;
}

static int32_t take_length(int64_t *length, struct source *source)
{
    uint64_t value;
    int32_t status;

    if (source->size < PREFIX)
        return error_set(CEM_EFORMAT,
                         "'%s' is not a safetensors file, it has only %lld bytes; choose a model "
                         "or a weights file",
                         source->name, (long long)source->size);
    if ((status = take(source, &value, PREFIX)) != CEM_OK) return status;
    if (value < 2 || value > HEADER_LIMIT)
        return error_set(CEM_EFORMAT,
                         "'%s' is not a safetensors file; a PyTorch checkpoint must be converted "
                         "first, with `napari-cem weights import`",
                         source->name);
    if ((int64_t)value > source->size - PREFIX)
        return error_set(CEM_EFORMAT,
                         "'%s' is cut short: its header has %lld bytes of %lld; copy or download "
                         "it again",
                         source->name, (long long)(source->size - PREFIX), (long long)value);
    *length = (int64_t)value;
    return CEM_OK;
}

static int32_t parse_header(json_t **header, const char *text, int64_t length, const char *name)
{
    json_error_t error;

    if (text[0] != '{')
        return error_set(CEM_EFORMAT,
                         "'%s' is not a safetensors file, its header is not a JSON object; choose "
                         "a model or a weights file",
                         name);
    *header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (*header) return CEM_OK;
    if (!error.text[0] || json_error_code(&error) == json_error_out_of_memory)
        return error_memory(length);
    return error_set(CEM_EFORMAT, "the header of '%s' is damaged: %.120s; use an intact copy", name,
                     error.text);
}

static int32_t take_header(json_t **header, struct source *source)
{
    char *text = NULL;
    int64_t length = 0;
    int32_t status;

    if ((status = take_length(&length, source)) != CEM_OK) return status;
    source->size -= PREFIX + length;
    if (!(text = memory_raw(length, 1))) return CEM_EMEMORY;
    status = take(source, text, length);
    if (status == CEM_OK) status = parse_header(header, text, length, source->name);
    memory_free(text);
    return status;
}

static int32_t malformed(const char *file, const char *tensor, const char *what)
{
    return error_set(CEM_EFORMAT, "'%s' is damaged: tensor '%.80s' %s; use an intact copy", file,
                     tensor, what);
}

/* The index in TYPES of the type called `name`, or TYPE_COUNT. */
static int find_type(const char *name)
{
    int i = 0;

    while (i < TYPE_COUNT && strcmp(TYPES[i].name, name) != 0) i++;
    return i;
}

/* True if `value` is an integer of at least 0, which it then writes to `out`. */
static bool get_size(int64_t *out, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = json_integer_value(value);
    return true;
}

static int32_t parse_shape(struct safetensors_entry *entry, int64_t *numbers, const json_t *shape,
                           const char *file)
{
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_RANK)
        return malformed(file, entry->name, "has no shape of at most 8 sizes");
    entry->rank = (int32_t)json_array_size(shape);
    *numbers = 1;
    for (int32_t i = 0; i < entry->rank; i++) {
        if (!get_size(&entry->shape[i], json_array_get(shape, (size_t)i)))
            return malformed(file, entry->name, "has a size that is not a whole number");
        if (__builtin_mul_overflow(*numbers, entry->shape[i], numbers))
            return malformed(file, entry->name, "is too large");
    }
    return CEM_OK;
}

/* Reads what the header says of one tensor.  A type that is not in TYPES may have any size. */
static int32_t parse_entry(struct safetensors_entry *entry, struct span *span, const char *name,
                           const json_t *value, const char *file)
{
    const char *type = json_string_value(json_object_get(value, "dtype"));
    const json_t *offsets = json_object_get(value, "data_offsets");
    int64_t numbers = 0, bytes;
    int known;
    int32_t status;

    entry->name = name;
    if (!type) return malformed(file, name, "has no dtype");
    if (json_array_size(offsets) != 2 || !get_size(&span->begin, json_array_get(offsets, 0)) ||
        !get_size(&span->end, json_array_get(offsets, 1)) || span->end < span->begin)
        return malformed(file, name, "has no valid data_offsets");
    if ((status = parse_shape(entry, &numbers, json_object_get(value, "shape"), file)) != CEM_OK)
        return status;
    entry->bytes = span->end - span->begin;
    known = find_type(type);
    entry->type = known < TYPE_COUNT ? TYPES[known].type : SAFETENSORS_OTHER;
    if (known < TYPE_COUNT &&
        (__builtin_mul_overflow(numbers, TYPES[known].bytes, &bytes) || bytes != entry->bytes))
        return malformed(file, name, "is not as long as its shape says");
    return CEM_OK;
}

static int32_t check_metadata(const json_t *metadata, const char *file)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return error_set(CEM_EFORMAT,
                         "'%s' is damaged: its metadata is no object; use an intact "
                         "copy",
                         file);
    json_object_foreach((json_t *)metadata, key, value)
    {
        if (!json_is_string(value))
            return error_set(CEM_EFORMAT,
                             "'%s' is damaged: metadata '%.80s' is no text; use an intact copy",
                             file, key);
    }
    return CEM_OK;
}

/* Fills the entries and one span for each. */
static int32_t parse_entries(struct safetensors *file, struct span *spans, const char *name)
{
    const char *key;
    json_t *value;
    int32_t status = CEM_OK;

    json_object_foreach(file->header, key, value)
    {
        if (strcmp(key, "__metadata__") == 0) {
            status = check_metadata(value, name);
        } else {
            spans[file->count].index = file->count;
            status =
                parse_entry(&file->entries[file->count], &spans[file->count], key, value, name);
            file->count++;
        }
        if (status != CEM_OK) break;
    }
    return status;
}

static int compare_spans(const void *one, const void *other)
{
    const struct span *a = one, *b = other;

    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end) return a->end < b->end ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Sorts the spans and sees that they cover the data, `size` bytes, without gap or overlap. */
static int32_t check_spans(const struct safetensors *file, struct span *spans, int64_t size,
                           const char *name)
{
    int64_t at = 0;

    qsort(spans, (size_t)file->count, sizeof *spans, compare_spans);
    for (int64_t i = 0; i < file->count; i++) {
        if (spans[i].begin != at)
            return malformed(name, file->entries[spans[i].index].name,
                             spans[i].begin < at ? "overlaps another" : "leaves a gap before it");
        at = spans[i].end;
    }
    if (at > size)
        return error_set(CEM_EFORMAT,
                         "'%s' is cut short: it has %lld bytes of tensors, must have %lld; copy or "
                         "download it again",
                         name, (long long)size, (long long)at);
    if (at < size)
        return error_set(CEM_EFORMAT,
                         "'%s' is damaged: %lld bytes follow its last tensor; use an intact copy",
                         name, (long long)(size - at));
    return CEM_OK;
}

static int64_t round_up(int64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int32_t take_data(struct safetensors *file, const struct span *spans, struct source *source)
{
    int64_t total = 0, place = 0;
    int32_t status = CEM_OK;

    for (int64_t i = 0; i < file->count; i++) total += round_up(file->entries[i].bytes);
    if (!(file->data = memory_raw(total, 1))) return CEM_EMEMORY;
    for (int64_t i = 0; i < file->count && status == CEM_OK; i++) {
        struct safetensors_entry *entry = &file->entries[spans[i].index];
        entry->data = file->data + place;
        status = take(source, file->data + place, entry->bytes);
        place += round_up(entry->bytes);
    }
    return status;
}

static int32_t take_all(struct safetensors *file, struct source *source)
{
    struct span *spans = NULL;
    int64_t room;
    int32_t status;

    if ((status = take_header(&file->header, source)) != CEM_OK) goto done;
    room = (int64_t)json_object_size(file->header);
    status = CEM_EMEMORY;
    if (!(file->entries = memory_new(room, sizeof *file->entries))) goto done;
    if (!(spans = memory_new(room, sizeof *spans))) goto done;
    if ((status = parse_entries(file, spans, source->name)) != CEM_OK) goto done;
    if ((status = check_spans(file, spans, source->size, source->name)) != CEM_OK) goto done;
    status = take_data(file, spans, source);
done:
    memory_free(spans);
    return status;
}

static int32_t take_new(struct safetensors **out, struct source *source)
{
    struct safetensors *file = memory_new(1, sizeof *file);
    int32_t status = file ? take_all(file, source) : CEM_EMEMORY;

    if (status == CEM_OK) *out = file;
    else safetensors_free(file);
    return status;
}

static int32_t check_file(int64_t *size, int fd, const char *path)
{
    const int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    struct stat info;

    if (fstat(fd, &info) != 0)
        return error_set(CEM_EFILE, "cannot read '%s': %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return error_set(CEM_EFILE, "'%s' is not a file; choose a model or a weights file", path);
    if (info.st_size > memory)
        return error_set(CEM_EMEMORY,
                         "'%s' has %lld bytes, more than this computer's memory; check that it is "
                         "the right file",
                         path, (long long)info.st_size);
    *size = info.st_size;
    return CEM_OK;
}

int32_t safetensors_read(struct safetensors **out, const char *path)
{
    /* not to wait for a pipe's other end */
    struct source source = {.name = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    int32_t status;

    if (source.fd < 0) return error_set(CEM_EFILE, "cannot open '%s': %s", path, strerror(errno));
    if ((status = check_file(&source.size, source.fd, path)) == CEM_OK)
        status = take_new(out, &source);
    close(source.fd);
    return status;
}

int32_t safetensors_parse(struct safetensors **out, const void *bytes, int64_t size,
                          const char *name)
{
    struct source source = {.name = name, .bytes = bytes, .size = size, .fd = -1};

    return take_new(out, &source);
}

void safetensors_free(struct safetensors *file)
{
    if (!file) return;
    json_decref(file->header);
    memory_free(file->entries);
    memory_free(file->data);
    memory_free(file);
}

const struct safetensors_entry *safetensors_find(const struct safetensors *file, const char *name)
{
    for (int64_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].name, name) == 0) return &file->entries[i];
    return NULL;
}

int64_t safetensors_count(const struct safetensors *file)
{
    return file->count;
}

const struct safetensors_entry *safetensors_at(const struct safetensors *file, int64_t index)
{
    assert(index >= 0 && index < file->count);
    return &file->entries[index];
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

/* ---- writing ---- */

/* Bytes of a number, the widest first: the order of tensors in the data. */
static const int32_t WIDTHS[] = {8, 4, 1};
enum { WIDTH_COUNT = sizeof WIDTHS / sizeof WIDTHS[0] };

/* TYPES begins with the types that are written, in the order of their constants. */
static int32_t width_of(const struct safetensors_entry *entry)
{
    assert(entry->type >= 0 && entry->type < SAFETENSORS_OTHER);
    return TYPES[entry->type].bytes;
}

static json_t *describe(const struct safetensors_entry *entry, int64_t begin)
{
    json_t *shape = json_array();

    for (int32_t i = 0; i < entry->rank; i++)
        if (json_array_append_new(shape, json_integer(entry->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", TYPES[entry->type].name, "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)(begin + entry->bytes));
}

/* Where in the data each entry begins. */
static void place_entries(int64_t *begins, const struct safetensors_entry *entries, int64_t count)
{
    int64_t at = 0;

    for (int width = 0; width < WIDTH_COUNT; width++)
        for (int64_t i = 0; i < count; i++)
            if (width_of(&entries[i]) == WIDTHS[width]) {
                begins[i] = at;
                at += entries[i].bytes;
            }
}

/* The header as a JSON value, or NULL if there is no memory. */
static json_t *build_header(const struct safetensors_entry *entries, int64_t count,
                            const int64_t *begins, const char *key, const char *value)
{
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", key, value);

    for (int64_t i = 0; header && i < count; i++)
        if (json_object_set_new(header, entries[i].name, describe(&entries[i], begins[i])) != 0) {
            json_decref(header);
            header = NULL;
        }
    return header;
}

/* Writes the length and the header, padded with spaces to a multiple of ALIGNMENT. */
static int32_t write_header(struct output *output, const json_t *header)
{
    const int64_t length = (int64_t)json_dumpb(header, NULL, 0, JSON_COMPACT);
    const int64_t padded = round_up(length);
    char *text = NULL;
    int32_t status;

    if (length == 0) return error_memory(HEADER_LIMIT);
    if (padded > HEADER_LIMIT)
        return error_set(CEM_EARGUMENT,
                         "the header of '%s' would have %lld bytes, must have at most %d; shorten "
                         "the model's card",
                         output->path, (long long)padded, HEADER_LIMIT);
    if (!(text = memory_raw(PREFIX + padded, 1))) return CEM_EMEMORY;
    memcpy(text, &padded, PREFIX);
    memset(text + PREFIX, ' ', (size_t)padded);
    if ((int64_t)json_dumpb(header, text + PREFIX, (size_t)length, JSON_COMPACT) != length)
        status = error_memory(length);
    else status = output_write(output, text, PREFIX + padded);
    memory_free(text);
    return status;
}

static int32_t write_data(struct output *output, const struct safetensors_entry *entries,
                          int64_t count)
{
    int32_t status = CEM_OK;

    for (int width = 0; width < WIDTH_COUNT; width++)
        for (int64_t i = 0; i < count && status == CEM_OK; i++)
            if (width_of(&entries[i]) == WIDTHS[width])
                status = output_write(output, entries[i].data, entries[i].bytes);
    return status;
}

int32_t safetensors_write(const char *path, const struct safetensors_entry *entries, int64_t count,
                          const char *key, const char *value, int32_t overwrite)
{
    struct output output = OUTPUT_NONE;
    json_t *header = NULL;
    int64_t *begins = NULL;
    int32_t status;

    if ((status = output_open(&output, path, overwrite)) != CEM_OK) goto done;
    status = CEM_EMEMORY;
    if (!(begins = memory_new(count, sizeof *begins))) goto done;
    place_entries(begins, entries, count);
    if (!(header = build_header(entries, count, begins, key, value))) {
        status = error_memory(HEADER_LIMIT);
        goto done;
    }
    if ((status = write_header(&output, header)) != CEM_OK) goto done;
    if ((status = write_data(&output, entries, count)) != CEM_OK) goto done;
    status = output_finish(&output);
done:
    output_free(&output);
    json_decref(header);
    memory_free(begins);
    return status;
}
