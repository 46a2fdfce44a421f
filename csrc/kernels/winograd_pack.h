/* What the kernels of Winograd's F(4x4, 3x3) share: their weights.
 *
 * The points are those of simd_winograd.h.  Packed weights are (position, panel, in, 2 vectors of
 * out). */
#ifndef CEM_WINOGRAD_H
#define CEM_WINOGRAD_H

#include "kernel.h"
#include "simd.h"

enum { WINOGRAD_SIDE = 6, WINOGRAD_POSITIONS = WINOGRAD_SIDE * WINOGRAD_SIDE };

bool winograd_supports(const struct shape *shape);

/* Floats from one position's weights to the next one's, from `in` to `out` channels; bytes of all.
 */
int64_t winograd_position(const struct simd *simd, int64_t in, int64_t out);
int64_t winograd_packed(const struct simd *simd, int64_t in, int64_t out);

/* G w G^T of plain weights, see kernel.h's pack; for SLOT_DATA of the weights turned round. */
void winograd_pack_weights(float *packed, const struct simd *simd, const struct shape *shape,
                           int slot, const float *weights, const float *scale);

/* G^T u G: plain[o * row + i * 9 + tap] for all of `in` and `out` channels from
 * gradient[p * position + i * out + o]. */
void winograd_plain_gradient(float *plain, int64_t row, const float *gradient, int64_t position,
                             int64_t in, int64_t out);

#endif
