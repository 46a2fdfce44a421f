/* What the reader and the writer of TIFF share: the handle, and libtiff on a descriptor of ours,
 * with its complaints kept instead of printed. */
#ifndef CEM_TIFF_FILE_H
#define CEM_TIFF_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <tiffio.h>

#include "output.h"
#include "tiff.h"

struct tiff {
    TIFF *file;
    int fd; /* being read, or the output's */
    char *path;
    cem_tiff_info info;
    int64_t page_bytes;

    char complaint[256]; /* libtiff's first error since tiff_file_forget, else its last warning */
    bool serious;        /* it is an error */
    int32_t status;      /* of our own input or output below libtiff */

    /* of a reader */
    int64_t file_bytes;
    uint64_t *directories; /* (pages) where the pages' directories stand; NULL for a writer */
    int64_t current;       /* page whose directory is loaded, -1 if unknown */
    bool bilevel;          /* pages of 1 bit */
    bool raw;              /* one directory for all pages, which follow each other... */
    int64_t raw_start;     /* ...from here on */

    /* of a writer */
    bool writing;
    bool ended; /* finished, or a page could not be written: nothing more is */
    struct output output;
    int64_t written; /* pages */
    int64_t strip_rows;
    int32_t labels;
};

/* An empty handle for `path`. */
int32_t tiff_file_new(struct tiff **out, const char *path);

/* Opens libtiff on tiff->fd.  False: see tiff_file_error.  `memory_limit` is the most libtiff may
 * take at once, 0 for no limit. */
bool tiff_file_attach(struct tiff *tiff, const char *mode, int64_t memory_limit);

void tiff_file_forget(struct tiff *tiff);

/* The status and line for a call of libtiff that failed: `what` could not be done. */
int32_t tiff_file_error(const struct tiff *tiff, const char *what);

/* Bytes of a page of `info`, or -1 if they cannot be counted. */
int64_t tiff_file_page_bytes(const cem_tiff_info *info);

#endif
