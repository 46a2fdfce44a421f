/* TIFF files through libtiff, page by page: what stands behind cem_tiff.
 *
 * Reading.  Grey values come as they are stored: MinIsWhite is not inverted, and a 1-bit page is
 * 0 and 1 in uint8.  Reduced-resolution copies and transparency masks among the pages are skipped.
 * Stacks without a directory a page, as ImageJ writes them above 4 GB, are read whole.  Where pages
 * are interleaved channels the file is refused.
 *
 * Pixel size.  From the OME-XML or the ImageJ text of the first page, else from its resolution in
 * inches or centimetres.  What lies outside 0.1 nm to 10 um (the 72 dpi of a print default) counts
 * as not said. */
#ifndef CEM_TIFF_H
#define CEM_TIFF_H

#include "cem.h"

struct tiff;

int32_t tiff_open(struct tiff **out, const char *path);
void tiff_describe(cem_tiff_info *info, const struct tiff *tiff);

/* When it fails `pixels` holds anything. */
int32_t tiff_read(void *pixels, struct tiff *tiff, int64_t page);

/* `info->spacing_nm` is written only together with `info->pixel_nm`: ImageJ would take the pixel
 * for 1 nm otherwise. */
int32_t tiff_new(struct tiff **out, const char *path, const cem_tiff_info *info, int32_t labels,
                 int32_t overwrite);
int32_t tiff_write(struct tiff *tiff, const void *pixels);
int32_t tiff_finish(struct tiff *tiff);

void tiff_free(struct tiff *tiff);

#endif
