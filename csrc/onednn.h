/* The one file that knows oneDNN: convolutions and their gradients, float32, nhwc.
 *
 * Everything here runs on one thread; it has to be one prepared by cpu_prepare_thread. */
#ifndef CEM_ONEDNN_H
#define CEM_ONEDNN_H

#include <stdbool.h>
#include <stdint.h>

enum { ONEDNN_FORWARD, ONEDNN_DATA, ONEDNN_WEIGHTS };

/* A convolution, or with `transposed` a deconvolution, named by its forward pass:
 * in (n, in_h, in_w, in), weights (out, in, kernel, kernel), out (n, out_h, out_w, out). */
struct onednn_shape {
    int pass;
    bool transposed;
    int64_t n, in, out;
    int64_t in_h, in_w, out_h, out_w;
    int64_t kernel, stride;
    int64_t top, bottom, left, right; /* padding */
    bool bias, sum, relu;             /* forward only; sum adds what is in `out` already */
};

struct onednn_conv;

/* `like`, or NULL: a convolution whose packed weights this one must be able to use.  An
 * implementation of oneDNN called "ref" is refused: it would be a thousand times slower. */
int32_t onednn_conv_new(struct onednn_conv **out, const struct onednn_shape *shape,
                        const struct onednn_conv *like);
void onednn_conv_free(struct onednn_conv *conv);

const char *onednn_conv_name(const struct onednn_conv *conv);
int64_t onednn_conv_packed(const struct onednn_conv *conv);    /* bytes of packed weights */
int64_t onednn_conv_workspace(const struct onednn_conv *conv); /* bytes a run needs */

/* Plain (out, in, kernel, kernel) weights to packed ones, and back. */
int32_t onednn_conv_pack(const struct onednn_conv *conv, void *packed, const float *plain);
int32_t onednn_conv_unpack(const struct onednn_conv *conv, float *plain, const void *packed);

/* Pass FORWARD writes out, DATA writes in, WEIGHTS writes weights; the others are read. */
int32_t onednn_conv_run(const struct onednn_conv *conv, float *in, void *weights, const float *bias,
                        float *out, void *workspace);

/* Instruction sets that this CPU has and ONEDNN_MAX_CPU_ISA, which users may set, allows. */
enum { ONEDNN_AVX2, ONEDNN_AVX512 };
bool onednn_has(int32_t instructions);

/* "oneDNN 3.2.0, AVX2" */
const char *onednn_name(void);

#endif
