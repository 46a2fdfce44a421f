/* Convolutions by oneDNN.  Forward: strips of rows.  Gradient of the data: a sample a part.
 * Gradient of the weights: lanes of samples. */
#include <string.h>

#include "error.h"
#include "kernel.h"
#include "lanes.h"
#include "memory.h"
#include "onednn.h"

enum { STRIP_FIRST, STRIP_MIDDLE, STRIP_LAST, STRIP_SHAPES };
enum { SCATTER_PARTS = 16 };

struct conv_plan {
    struct plan base;
    int64_t strips;
    struct onednn_conv *conv[STRIP_SHAPES]; /* DATA has the first only, a whole sample */
    struct lanes lanes;                     /* WEIGHTS only */
};

static bool supports(const struct shape *shape, int slot)
{
    (void)slot;
    return shape->kind == OP_CONV;
}

/* The rows [in_first, in_last) of the input that output rows [first, last) read; the last strip has
 * all that are left, read or not. */
struct rows {
    int64_t first, last, in_first, in_last, top, bottom;
};

static struct rows strip_rows(const struct shape *s, int64_t strips, int64_t strip)
{
    struct rows rows;
    int64_t from, to, pad = s->kernel / 2;

    kernel_strip(&rows.first, &rows.last, s->out_h, strips, strip);
    from = rows.first * s->stride - pad;
    to = (rows.last - 1) * s->stride - pad + s->kernel;
    rows.in_first = from > 0 ? from : 0;
    rows.in_last = to < s->in_h && rows.last < s->out_h ? to : s->in_h;
    rows.top = rows.in_first - from;
    rows.bottom = to > rows.in_last ? to - rows.in_last : 0;
    return rows;
}

static struct onednn_shape conv_shape(const struct shape *s, int pass, const struct rows *rows)
{
    int64_t pad = s->kernel / 2, right = (s->out_w - 1) * s->stride - pad + s->kernel - s->in_w;
    struct onednn_shape shape = {.pass = pass,
                                 .n = 1,
                                 .in = s->in,
                                 .out = s->out,
                                 .in_h = rows->in_last - rows->in_first,
                                 .in_w = s->in_w,
                                 .out_h = rows->last - rows->first,
                                 .out_w = s->out_w,
                                 .kernel = s->kernel,
                                 .stride = s->stride,
                                 .top = rows->top,
                                 .bottom = rows->bottom,
                                 .left = pad,
                                 .right = right > 0 ? right : 0};

    if (pass == ONEDNN_FORWARD) {
        shape.bias = s->bias;
        shape.sum = s->sum;
        shape.relu = s->relu;
    }
    return shape;
}

static int which_strip(int64_t strips, int64_t strip)
{
    return strip == 0 ? STRIP_FIRST : strip == strips - 1 ? STRIP_LAST : STRIP_MIDDLE;
}

static void free_strips(struct conv_plan *plan)
{
    for (int i = 0; i < STRIP_SHAPES; i++) {
        onednn_conv_free(plan->conv[i]);
        plan->conv[i] = NULL;
    }
}

static int32_t plan_strips(struct conv_plan *plan, int pass)
{
    const struct shape *shape = &plan->base.shape;
    int32_t status = CEM_OK;

    for (int64_t strip = 0; strip < plan->strips && status == CEM_OK; strip++) {
        int which = which_strip(plan->strips, strip);
        struct rows rows = strip_rows(shape, plan->strips, strip);
        struct onednn_shape conv = conv_shape(shape, pass, &rows);
        int64_t bytes;
        if (plan->conv[which]) continue;
        status = onednn_conv_new(&plan->conv[which], &conv, strip ? plan->conv[0] : NULL);
        if (status != CEM_OK) break;
        bytes = onednn_conv_workspace(plan->conv[which]);
        if (bytes > plan->base.workspace) plan->base.workspace = bytes;
    }
    plan->base.phases = 1;
    plan->base.parts[0] = shape->samples * plan->strips;
    if (status == CEM_OK) plan->base.packed = onednn_conv_packed(plan->conv[0]);
    return status;
}

static int32_t plan_weights(struct conv_plan *plan)
{
    const struct shape *shape = &plan->base.shape;
    struct rows all = strip_rows(shape, 1, 0);
    struct onednn_shape sample = conv_shape(shape, ONEDNN_WEIGHTS, &all);
    int32_t status = lanes_new(&plan->lanes, &sample, shape->samples);

    if (status == CEM_OK) lanes_plan(&plan->lanes, &plan->base, SCATTER_PARTS);
    return status;
}

static void conv_free(struct plan *base)
{
    struct conv_plan *plan = (struct conv_plan *)base;

    if (!plan) return;
    free_strips(plan);
    lanes_free(&plan->lanes);
    memory_free(plan);
}

/* Strips, which share their packed weights; for some heights oneDNN is fast only on whole samples.
 */
static int32_t plan_strips_or_whole(struct conv_plan *plan, int pass)
{
    int32_t status = plan_strips(plan, pass);

    if (status != CEM_EBACKEND || plan->strips == 1) return status;
    free_strips(plan);
    plan->strips = 1;
    plan->base.workspace = 0;
    return plan_strips(plan, pass);
}

static int32_t conv_plan(struct plan **out, const struct shape *shape, int slot)
{
    struct conv_plan *plan = memory_new(1, sizeof *plan);
    int32_t status;

    if (!plan) return CEM_EMEMORY;
    plan->base = (struct plan){.kernel = &kernel_conv_onednn, .shape = *shape, .slot = slot};
    plan->strips = slot == SLOT_FORWARD ? kernel_strips(shape, shape->out_h) : 1;
    if (slot == SLOT_WEIGHTS) status = plan_weights(plan);
    else status = plan_strips_or_whole(plan, slot == SLOT_FORWARD ? ONEDNN_FORWARD : ONEDNN_DATA);
    if (status == CEM_OK) *out = &plan->base;
    else conv_free(&plan->base);
    return status;
}

static int32_t conv_pack(const struct plan *base, void *packed, const float *weights,
                         const float *scale)
{
    const struct conv_plan *plan = (const struct conv_plan *)base;
    const struct shape *s = &base->shape;
    int64_t inner = s->in * s->kernel * s->kernel;
    float *plain = memory_raw(s->out * inner, sizeof *plain);
    int32_t status;

    if (!plain) return CEM_EMEMORY;
    for (int64_t o = 0; o < s->out; o++)
        for (int64_t i = 0; i < inner; i++)
            plain[o * inner + i] = weights[o * s->row + i] * (scale ? scale[o] : 1);
    status = onednn_conv_pack(plan->conv[0], packed, plain);
    memory_free(plain);
    return status;
}

static int32_t run_strip(const struct conv_plan *plan, const struct operands *o, int64_t part)
{
    const struct shape *s = &plan->base.shape;
    int64_t sample = part / plan->strips, strip = part % plan->strips;
    struct rows rows = strip_rows(s, plan->strips, strip);
    float *in = plan->base.slot == SLOT_FORWARD ? o->in : o->in_gradient;
    float *out = plan->base.slot == SLOT_FORWARD ? o->out : o->out_gradient;

    if (rows.first == rows.last) return CEM_OK;
    return onednn_conv_run(
        plan->conv[which_strip(plan->strips, strip)],
        in + (sample * s->in_h + rows.in_first) * s->in_w * s->in, (void *)(uintptr_t)o->packed,
        o->bias, out + (sample * s->out_h + rows.first) * s->out_w * s->out, o->workspace);
}

static void sum_bias(const struct shape *s, const struct operands *o)
{
    int64_t pixels = s->samples * s->out_h * s->out_w;

    for (int64_t channel = 0; channel < s->out; channel++) {
        double sum = 0;
        for (int64_t i = 0; i < pixels; i++) sum += o->out_gradient[i * s->out + channel];
        o->bias_gradient[channel] = (float)sum;
    }
}

/* Output channels [out * part / parts, ...) of the plain gradient into the blob's rows. */
static void scatter(const struct conv_plan *plan, const struct operands *o, int64_t part)
{
    const struct shape *s = &plan->base.shape;
    int64_t inner = s->in * s->kernel * s->kernel;
    const float *plain = lanes_plain(&plan->lanes, o);

    for (int64_t row = s->out * part / SCATTER_PARTS; row < s->out * (part + 1) / SCATTER_PARTS;
         row++)
        memcpy(o->weight_gradient + row * s->row, plain + row * inner,
               (size_t)inner * sizeof *plain);
    if (part == 0 && o->bias_gradient) sum_bias(s, o);
}

static int32_t conv_run(const struct plan *base, const struct operands *operands, int phase,
                        int64_t part)
{
    const struct conv_plan *plan = (const struct conv_plan *)base;

    if (base->slot != SLOT_WEIGHTS) return run_strip(plan, operands, part);
    if (phase < base->phases - 1) return lanes_run(&plan->lanes, operands, phase, part);
    scatter(plan, operands, part);
    return CEM_OK;
}

const struct kernel kernel_conv_onednn = {"direct (oneDNN)", supports,  conv_plan,
                                          conv_free,         conv_pack, conv_run};
