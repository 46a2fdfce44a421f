/* The gradient of a convolution's weights, summed over the samples of a batch in lanes: a lane is a
 * fixed run of samples that oneDNN sums in order; the lanes are then summed in order. */
#ifndef CEM_LANES_H
#define CEM_LANES_H

#include "cem.h"
#include "kernel.h"
#include "onednn.h"

struct lanes {
    int64_t count;
    int64_t samples;
    struct onednn_conv *longer, *shorter; /* the first samples % count lanes have one more */
    int64_t in_floats, out_floats;        /* of a sample */
    int64_t packed;                       /* bytes of a lane's gradient */
    int64_t plain;                        /* bytes of the plain gradient */
};

/* `sample`: the convolution of one sample. */
int32_t lanes_new(struct lanes *lanes, const struct onednn_shape *sample, int64_t samples);
void lanes_free(struct lanes *lanes);

/* Fills the phases, parts, scratch and workspace of `plan`; the last phase, with `parts` parts over
 * the plain gradient, is the kernel's own. */
void lanes_plan(const struct lanes *lanes, struct plan *plan, int64_t parts);

/* Does the phases before the last one. */
int32_t lanes_run(const struct lanes *lanes, const struct operands *operands, int phase,
                  int64_t part);

/* Where the plain gradient, (out, in, kernel, kernel), lies for the last phase. */
float *lanes_plain(const struct lanes *lanes, const struct operands *operands);

#endif
