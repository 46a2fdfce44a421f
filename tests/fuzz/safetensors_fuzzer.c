/* Any bytes at all as a safetensors file: refused, or all of it can be read.  The same bytes are
 * tried once more with the length of the header put right, as far as the first zero: few changes of
 * a file would keep it so by chance. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cem.h"
#include "error.h"
#include "memory.h"
#include "safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
    if (!condition) abort();
}

/* Reads every byte, so that a sanitizer sees each that is not there. */
static int64_t sum(const void *data, int64_t bytes)
{
    int64_t total = 0;

    for (int64_t i = 0; i < bytes; i++) total += ((const uint8_t *)data)[i];
    return total;
}

static void read_entry(const struct safetensors *file, int64_t index)
{
    const struct safetensors_entry *entry = safetensors_at(file, index);

    must(entry->rank >= 0 && entry->rank <= SAFETENSORS_RANK);
    must(entry->bytes >= 0 && (uintptr_t)entry->data % 8 == 0);
    must(safetensors_find(file, entry->name) == entry);
    must(sum(entry->data, entry->bytes) <= entry->bytes * UINT8_MAX);
}

static void parse(const uint8_t *data, size_t size)
{
    struct safetensors *file = NULL;
    int32_t status = safetensors_parse(&file, data, (int64_t)size, "fuzz");

    if (status == CEM_OK) {
        const char *card = safetensors_metadata(file, "card");
        must(!card || strlen(card) < size);
        for (int64_t i = 0; i < safetensors_count(file); i++) read_entry(file, i);
        safetensors_free(file);
    } else {
        must(status == CEM_EFORMAT && !file && error_line()[0]);
    }
}

static void parse_framed(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 8 ? memchr(data + 8, 0, size - 8) : NULL;
    const uint64_t length = size <= 8 ? 0 : zero ? (uint64_t)(zero - data - 8) : size - 8;
    uint8_t *framed = size > 8 ? malloc(size) : NULL;

    if (!framed) return;
    memcpy(framed, &length, 8);
    memcpy(framed + 8, data + 8, size - 8);
    parse(framed, size);
    free(framed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t live = memory_live();

    parse(data, size);
    parse_framed(data, size);
    must(memory_live() == live);
    return 0;
}
