/* What the kernels of nearest doubling with a 3x3 convolution by differences share.
 *
 * Along an axis, with W = w0 + w1 + w2, the doubled and convolved signal is
 *     y[2i] = W x[i] - w0 (x[i] - x[i-1]),    y[2i+1] = W x[i] + w2 (x[i+1] - x[i]):
 * exact, and in two dimensions 9 products an input pixel in place of the 16 of a deconvolution or
 * the 36 as written.  With rows r, columns c and corners of w the nine weights are
 *     W, -r0, r2, -c0, c2, w00, -w02, -w20, w22
 * and they meet x (the first), its differences down (2), across (2) and both (4).  The gradients
 * are the transposes of that. */
#ifndef CEM_DOUBLING_PACK_H
#define CEM_DOUBLING_PACK_H

#include "kernel.h"
#include "simd.h"

/* Which map each product reads, moved how far down and right. */
extern const struct doubling_product {
    int map, down, right;
} DOUBLING[DOUBLED_PRODUCTS];

bool doubling_supports(const struct shape *shape);

/* Forward: (product, panel of out, in, 2 vectors); SLOT_DATA: (panel of in, product, out,
 * 2 vectors).  Floats from one product's weights to the next one's, and bytes of all. */
int64_t doubling_product(const struct simd *simd, int64_t in, int64_t out);
int64_t doubling_packed(const struct simd *simd, const struct shape *shape, int slot);

void doubling_pack_weights(float *packed, const struct simd *simd, const struct shape *shape,
                           int slot, const float *weights, const float *scale);

/* Plain (3, 3) gradient from the gradients of a pair of channels' nine weights, `stride` floats
 * apart. */
void doubling_plain_gradient(float *plain, const float *gradient, int64_t stride);

#endif
