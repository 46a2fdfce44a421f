/* A file that appears whole or not at all: written beside its place under another name, flushed to
 * disk and renamed.  A process killed at any moment leaves the old file as it was. */
#ifndef CEM_OUTPUT_H
#define CEM_OUTPUT_H

#include <stdint.h>

struct output {
    int fd;          /* of the temporary file, or -1 */
    char *path;      /* where the file will be */
    char *temporary; /* where it is written: "path.PID-N.tmp" */
    int32_t overwrite;
};

/* What an output is before output_open, and after output_free. */
#define OUTPUT_NONE ((struct output){.fd = -1})

/* Creates the temporary file.  With `overwrite` 0 an existing file is refused; what is not an
 * ordinary file is refused always.  A symbolic link would be replaced, not followed. */
int32_t output_open(struct output *out, const char *path, int32_t overwrite);

int32_t output_write(struct output *output, const void *bytes, int64_t size);

/* Flushes, closes and renames.  With `overwrite` 0, also a file that appeared meanwhile is refused.
 */
int32_t output_finish(struct output *output);

/* Removes the temporary file, unless it was finished. */
void output_free(struct output *output);

#endif
