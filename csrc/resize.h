/* Resizing 8-bit images to the bit as Pillow does: two passes of weighted sums in fixed point, each
 * rounded to 8 bits. */
#ifndef CEM_RESIZE_H
#define CEM_RESIZE_H

#include <stdint.h>

enum resize_filter { RESIZE_BILINEAR, RESIZE_LANCZOS };

/* Weights of one axis: output i is the sum over weight k of input first[i] + k. */
struct resize_taps {
    int64_t in, out;
    int64_t most;        /* room for an output's weights */
    int64_t *first;      /* (out) */
    int64_t *count;      /* (out), zeros at the end included that make it a multiple of a run */
    int16_t *high, *low; /* (out, most): weight = high * 256 + low, in units of 2^-22 */
};

enum { RESIZE_PLAIN, RESIZE_AVX512 };

struct resize {
    struct resize_taps columns, rows;
    int32_t kernel; /* the best this CPU can run; all give the same result */
};

int32_t resize_new(struct resize *resize, enum resize_filter filter, int64_t in_height,
                   int64_t in_width, int64_t out_height, int64_t out_width);
void resize_free(struct resize *resize);

/* Bytes that resize_run wants as `workspace`. */
int64_t resize_workspace(const struct resize *resize);

/* out (out_height, out_width), in (in_height, in_width) */
void resize_run(const struct resize *resize, uint8_t *out, const uint8_t *in, void *workspace);

#endif
