/* The safetensors container: 8 bytes of length, a JSON header, the data.  Untrusted bytes: a file
 * is taken only if its tensors lie in it end to end, each as long as its shape says. */
#ifndef CEM_SAFETENSORS_H
#define CEM_SAFETENSORS_H

#include <stdint.h>

enum {
    SAFETENSORS_F32,
    SAFETENSORS_I64,
    SAFETENSORS_U64,
    SAFETENSORS_U8,
    SAFETENSORS_I8,
    SAFETENSORS_OTHER
};
enum { SAFETENSORS_RANK = 8 };

struct safetensors_entry {
    const char *name;
    int32_t type;
    int32_t rank;
    int64_t shape[SAFETENSORS_RANK]; /* unused sizes are 0 */
    int64_t bytes;
    const void *data; /* little-endian, row-major, aligned to 8 bytes at least */
};

struct safetensors; /* a file read whole */

/* A file larger than the machine's memory is refused. */
int32_t safetensors_read(struct safetensors **out, const char *path);

/* The same from `size` bytes in memory, which are copied. `name` stands for the file in messages.
 */
int32_t safetensors_parse(struct safetensors **out, const void *bytes, int64_t size,
                          const char *name);
void safetensors_free(struct safetensors *file);

/* The entry called `name`, or NULL. */
const struct safetensors_entry *safetensors_find(const struct safetensors *file, const char *name);

/* Entries stand in the order of the header. */
int64_t safetensors_count(const struct safetensors *file);
const struct safetensors_entry *safetensors_at(const struct safetensors *file, int64_t index);

/* The text under `key` in "__metadata__", or NULL. */
const char *safetensors_metadata(const struct safetensors *file, const char *key);

/* Writes `count` entries, none of them SAFETENSORS_OTHER, and one metadata pair to `path`: a
 * temporary file beside it, flushed to disk, renamed.  With overwrite 0 an existing file is refused
 * (also one that appears meanwhile).  Same entries, same bytes. */
int32_t safetensors_write(const char *path, const struct safetensors_entry *entries, int64_t count,
                          const char *key, const char *value, int32_t overwrite);

#endif
