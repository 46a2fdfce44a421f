/* An op: one record of a program, with three slots (forward, gradient of the data, gradient of the
 * weights), each done by a kernel chosen for its shape. */
#ifndef CEM_OP_H
#define CEM_OP_H

#include "kernel.h"
#include "model.h"

#define OP_NONE (-1)

struct op {
    struct shape shape;
    int layer;        /* in the network's table */
    int64_t weight;   /* where its weights begin in the parameter blob */
    bool used[SLOTS]; /* which slots the program runs */
    /* numbers of values, or OP_NONE */
    int in, out, add, in_gradient, out_gradient, add_gradient, saved, scratch[SLOTS];
    bool folded; /* the layer's batch norm is folded into weights and bias */
    bool trains; /* its weights, or gamma and beta for OP_NORM, train */
    struct plan *plans[SLOTS];
    int64_t packed[SLOTS]; /* byte offsets in the packed weights */
    int64_t bias;          /* byte offset of the bias there */
};

/* Chooses and plans the kernels of the slots used. */
int32_t op_plan(struct op *op);
void op_free(struct op *op);

/* Packs the weights, and the bias, of the slots used. */
int32_t op_pack(const struct op *op, char *packed, const struct parameters *parameters,
                const struct network *network);

#endif
