/* The text in a TIFF's first page: what ImageJ, OME and tifffile say there about pixel size and
 * pages, and what we say there ourselves.  Numbers do not depend on the locale. */
#ifndef CEM_TIFF_TEXT_H
#define CEM_TIFF_TEXT_H

#include <stdint.h>

#include "cem.h"

enum { TIFF_TEXT_NO_UNIT = 1, TIFF_TEXT_INCH = 2, TIFF_TEXT_CENTIMETRE = 3 };
enum { TIFF_TEXT_ROOM = 256 };

struct tiff_text {
    double pixel_nm;   /* 0 where nothing believable is said */
    double spacing_nm; /* likewise */
    int64_t images;    /* that the file says follow its only directory, or 0 */
    int64_t channels;  /* interleaved as pages, at least 1 */
};

/* `description` may be any text, `resolution` is in pixels a `unit` (TIFF's ResolutionUnit), 0 if
 * the file has none.  `plane` is the number of pixels of a page. */
void tiff_text_read(struct tiff_text *out, const char *description, double resolution, int unit,
                    int64_t plane);

/* Writes ImageJ's text for a stack of info->pages slices into `out` (TIFF_TEXT_ROOM bytes). */
void tiff_text_write(char *out, const cem_tiff_info *info, int32_t labels);

/* Nanometres of a `length` in `unit`, six digits, or 0 if that is no believable pixel. */
double tiff_text_length(double length, const char *unit);

#endif
