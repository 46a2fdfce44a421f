#include "op.h"

#include <math.h>
#include <string.h>

#include "error.h"
#include "memory.h"

static const double EPSILON = 1e-5; /* of the batch norms */

int32_t op_plan(struct op *op)
{
    int32_t status = CEM_OK;

    for (int slot = 0; slot < SLOTS && status == CEM_OK; slot++) {
        const struct kernel *kernel;
        if (!op->used[slot]) continue;
        if ((status = kernel_choose(&kernel, &op->shape, slot)) == CEM_OK)
            status = kernel->plan(&op->plans[slot], &op->shape, slot);
    }
    return status;
}

void op_free(struct op *op)
{
    for (int slot = 0; slot < SLOTS; slot++)
        if (op->plans[slot]) op->plans[slot]->kernel->free(op->plans[slot]);
}

/* The batch norm of `layer` as a factor and a bias by channel. */
static void fold(float *scale, float *bias, const struct layer *layer, const float *values)
{
    for (int c = 0; c < layer->out; c++) {
        double factor =
            (double)values[layer->gamma + c] / sqrt((double)values[layer->variance + c] + EPSILON);
        scale[c] = (float)factor;
        bias[c] = (float)(values[layer->beta + c] - values[layer->mean + c] * factor);
    }
}

int32_t op_pack(const struct op *op, char *packed, const struct parameters *parameters,
                const struct network *network)
{
    const struct layer *layer = &network->layers[op->layer];
    const float *values = parameters->values;
    float *scale = NULL, *folded = NULL;
    int32_t status = CEM_OK;

    if (op->folded && layer->norm[0]) {
        scale = memory_raw(2 * (int64_t)layer->out, sizeof *scale);
        if (!scale) return CEM_EMEMORY;
        folded = scale + layer->out;
        fold(scale, folded, layer, values);
    }
    if (op->shape.bias)
        memcpy(packed + op->bias, folded ? folded : values + layer->offset,
               (size_t)layer->out * sizeof(float));
    for (int slot = SLOT_FORWARD; slot <= SLOT_DATA && status == CEM_OK; slot++) {
        const struct plan *plan = op->plans[slot];
        if (plan && plan->kernel->pack)
            status =
                plan->kernel->pack(plan, packed + op->packed[slot], values + op->weight, scale);
    }
    memory_free(scale);
    return status;
}
