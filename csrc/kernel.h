/* What an op is made of: a shape, and for each of its three slots a kernel with its plan.
 *
 * A kernel is one algorithm, one file in kernels/.  Its work is cut into phases, and a phase into
 * parts whose number depends on the shape alone: any worker may do any part, so the bits do not
 * depend on the number of workers.  All tensors are float32, (samples, height, width, channels). */
#ifndef CEM_KERNEL_H
#define CEM_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

enum slot { SLOT_FORWARD, SLOT_DATA, SLOT_WEIGHTS, SLOTS };

enum op_kind {
    OP_CONV,    /* convolution, square kernel, padded by kernel / 2 */
    OP_UPCONV,  /* nearest doubling, then a 3x3 convolution padded by 1 */
    OP_MAXPOOL, /* 3x3, stride 2, padded by 1 */
    OP_NORM,    /* batch norm by the batch's statistics, then residual sum, then ReLU */
    OP_ADD      /* out += in */
};

struct shape {
    int kind;
    int64_t samples;
    int64_t in_h, in_w, in;
    int64_t out_h, out_w, out;
    int64_t kernel, stride;
    int64_t row;   /* convolutions: floats from one output channel's weights to the next one's */
    bool bias;     /* convolutions, forward: adds a bias */
    bool sum;      /* convolutions, forward: adds what is in `out`; OP_NORM: adds `add` */
    bool relu;     /* forward: then a ReLU */
    bool keep;     /* OP_MAXPOOL: remembers the places of the maxima for the gradient */
    bool add_more; /* OP_NORM, gradient: adds to what is in `add_gradient` */
};

/* The arrays a run works on; what a kernel does not use is NULL. */
struct operands {
    float *in, *out, *add;                            /* values */
    float *in_gradient, *out_gradient, *add_gradient; /* their gradients */
    const void *packed;                               /* weights, as the kernel packed them */
    const float *bias;                                /* (out) */
    float *weight_gradient;                           /* (out, row) plain, its own channels only */
    float *bias_gradient;                             /* (out) */
    const float *gamma, *beta;                        /* (out) */
    float *gamma_gradient, *beta_gradient;            /* (out), or NULL */
    float *mean, *variance;                           /* (out) of the batch, variance unbiased */
    void *saved;                                      /* from the forward run to the gradient's */
    void *scratch;                                    /* shared by the parts of a run */
    void *workspace;                                  /* of this worker */
};

enum { KERNEL_PHASES = 24 };

struct kernel;

/* How a kernel does one op.  Kernels put this first in a struct of their own. */
struct plan {
    const struct kernel *kernel;
    struct shape shape;
    int slot;
    int phases;
    int64_t parts[KERNEL_PHASES];
    int64_t packed;    /* bytes of packed weights */
    int64_t saved;     /* bytes kept from the forward run to the gradient's */
    int64_t scratch;   /* bytes shared by the parts of a run */
    int64_t workspace; /* bytes of each worker */
};

struct kernel {
    const char *name;
    bool (*supports)(const struct shape *shape, int slot);
    int32_t (*plan)(struct plan **out, const struct shape *shape, int slot);
    void (*free)(struct plan *plan);
    /* plain weights, (out, row) with this op's (in, kernel, kernel) at the front of each row, each
     * output channel times scale[channel] unless that is NULL; NULL for kernels without weights */
    int32_t (*pack)(const struct plan *plan, void *packed, const float *weights,
                    const float *scale);
    int32_t (*run)(const struct plan *plan, const struct operands *operands, int phase,
                   int64_t part);
};

extern const struct kernel kernel_winograd, kernel_winograd_weights;
extern const struct kernel kernel_doubling, kernel_doubling_data, kernel_doubling_weights;
extern const struct kernel kernel_conv_onednn;
extern const struct kernel kernel_upconv_onednn;
extern const struct kernel kernel_maxpool;
extern const struct kernel kernel_norm;
extern const struct kernel kernel_add;

/* The first kernel of the table that supports `shape` in `slot`.  Kernels of our own are used only
 * where they have agreed with oneDNN's once in this process on a small case. */
int32_t kernel_choose(const struct kernel **out, const struct shape *shape, int slot);

/* Sets `agrees`: on a small case like `shape` both kernels give the same, to rounding. */
int32_t kernel_prove(bool *agrees, const struct kernel *kernel, const struct kernel *peer,
                     const struct shape *shape, int slot);

/* In how many strips of rows a run over `shape` is cut, and the rows [first, last) of a strip. */
int64_t kernel_strips(const struct shape *shape, int64_t rows);
void kernel_strip(int64_t *first, int64_t *last, int64_t rows, int64_t strips, int64_t strip);

#endif
