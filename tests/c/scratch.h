/* A folder for a test's files, and what is done with files there; and jansson's allocations,
 * counted and made to fail.  Included after check.h by a test's only file. */
#ifndef CEM_SCRATCH_H
#define CEM_SCRATCH_H

#include <dirent.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCRATCH_PATH = 512 };

static char scratch_folder[SCRATCH_PATH];

/* The path of `name` in the folder, which the first call makes.  Good for 8 further calls. */
static inline const char *scratch(const char *name)
{
    static char paths[8][2 * SCRATCH_PATH];
    static int next;
    const char *root = getenv("TMPDIR");
    char *path = paths[next++ % 8];

    if (!scratch_folder[0]) {
        snprintf(scratch_folder, sizeof scratch_folder, "%s/cem-test-XXXXXX", root ? root : "/tmp");
        if (!mkdtemp(scratch_folder)) abort();
    }
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

/* Files in the folder; those are removed if `remove` says so. */
static inline int scratch_files(bool remove)
{
    DIR *folder = opendir(scratch(""));
    struct dirent *entry;
    int count = 0;

    while ((entry = readdir(folder)))
        if (entry->d_name[0] != '.') {
            count++;
            if (remove) unlink(scratch(entry->d_name));
        }
    closedir(folder);
    return count;
}

/* Removes the folder and what is in it. */
static inline void scratch_end(void)
{
    scratch_files(true);
    rmdir(scratch_folder);
}

static inline void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) abort();
}

/* The bytes of a file, to be freed, or NULL. */
static inline char *read_file(size_t *size, const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;

    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    bytes = malloc(*size + 1);
    if (!bytes || fread(bytes, 1, *size, file) != *size) abort();
    bytes[*size] = 0;
    fclose(file);
    return bytes;
}

/* True if the file holds these bytes. */
static inline bool file_is(const char *path, const void *bytes, size_t size)
{
    size_t have_size = 0;
    char *have = read_file(&have_size, path);
    bool same = have && have_size == size && memcmp(have, bytes, size) == 0;

    free(have);
    return same;
}

static int64_t jansson_fail, jansson_live;

static inline void *jansson_malloc(size_t size)
{
    void *block = jansson_fail > 0 && --jansson_fail == 0 ? NULL : malloc(size);

    jansson_live += block != NULL;
    return block;
}

static inline void jansson_free(void *block)
{
    jansson_live -= block != NULL;
    free(block);
}

/* Counts jansson's blocks from now on; the k-th allocation fails, unless k is 0. */
static inline void jansson_fail_at(int64_t k)
{
    json_set_alloc_funcs(jansson_malloc, jansson_free);
    jansson_fail = k;
}

#endif
