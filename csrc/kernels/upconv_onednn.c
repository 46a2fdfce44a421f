/* Nearest doubling and a 3x3 convolution in one, by oneDNN's 4x4 deconvolution of stride 2.
 *
 * Along an axis, y[2i] = w0 x[i-1] + (w1 + w2) x[i] and y[2i+1] = (w0 + w1) x[i] + w2 x[i+1], which
 * is the deconvolution with the taps K = (w2, w1+w2, w0+w1, w0), padded by 1: exact, with 16
 * products an input pixel instead of 36, and no doubled tensor.  The gradient of w is the transpose
 * of that linear map applied to the gradient of K. */
#include <stddef.h>

#include "error.h"
#include "kernel.h"
#include "lanes.h"
#include "memory.h"
#include "onednn.h"

enum { STRIP_FIRST, STRIP_MIDDLE, STRIP_LAST, STRIP_SHAPES };
enum { TAPS = 4, SIDE = 3, SCATTER_PARTS = 16 };

/* K[t] is the sum of the w[s] with MAP[t][s]. */
static const float MAP[TAPS][SIDE] = {{0, 0, 1}, {0, 1, 1}, {1, 1, 0}, {1, 0, 0}};

struct upconv_plan {
    struct plan base;
    int64_t strips;
    struct onednn_conv *conv[STRIP_SHAPES];
    struct lanes lanes;
};

static bool supports(const struct shape *shape, int slot)
{
    (void)slot;
    return shape->kind == OP_UPCONV;
}

/* Input rows [first, last) are doubled into a strip; their neighbours are read too. */
static struct onednn_shape strip_shape(const struct shape *s, int pass, int64_t first, int64_t last)
{
    int64_t above = first > 0, below = last < s->in_h;
    struct onednn_shape shape = {.pass = pass,
                                 .transposed = true,
                                 .n = 1,
                                 .in = s->in,
                                 .out = s->out,
                                 .in_h = last - first + above + below,
                                 .in_w = s->in_w,
                                 .out_h = 2 * (last - first),
                                 .out_w = s->out_w,
                                 .kernel = TAPS,
                                 .stride = 2,
                                 .top = 1 + 2 * above,
                                 .bottom = 1 + 2 * below,
                                 .left = 1,
                                 .right = 1};

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

static int32_t plan_strips(struct upconv_plan *plan, int pass)
{
    const struct shape *shape = &plan->base.shape;
    int64_t first, last, bytes;
    int32_t status = CEM_OK;

    for (int64_t strip = 0; strip < plan->strips && status == CEM_OK; strip++) {
        int which = which_strip(plan->strips, strip);
        struct onednn_shape conv;
        if (plan->conv[which]) continue;
        kernel_strip(&first, &last, shape->in_h, plan->strips, strip);
        conv = strip_shape(shape, pass, first, last);
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

static int32_t plan_weights(struct upconv_plan *plan)
{
    const struct shape *shape = &plan->base.shape;
    struct onednn_shape sample = strip_shape(shape, ONEDNN_WEIGHTS, 0, shape->in_h);
    int32_t status = lanes_new(&plan->lanes, &sample, shape->samples);

    if (status == CEM_OK) lanes_plan(&plan->lanes, &plan->base, SCATTER_PARTS);
    return status;
}

static void upconv_free(struct plan *base)
{
    struct upconv_plan *plan = (struct upconv_plan *)base;

    if (!plan) return;
    for (int i = 0; i < STRIP_SHAPES; i++) onednn_conv_free(plan->conv[i]);
    lanes_free(&plan->lanes);
    memory_free(plan);
}

static int32_t upconv_plan(struct plan **out, const struct shape *shape, int slot)
{
    struct upconv_plan *plan = memory_new(1, sizeof *plan);
    int32_t status;

    if (!plan) return CEM_EMEMORY;
    plan->base = (struct plan){.kernel = &kernel_upconv_onednn, .shape = *shape, .slot = slot};
    plan->strips = slot == SLOT_FORWARD ? kernel_strips(shape, shape->in_h) : 1;
    if (slot == SLOT_WEIGHTS) status = plan_weights(plan);
    else status = plan_strips(plan, slot == SLOT_FORWARD ? ONEDNN_FORWARD : ONEDNN_DATA);
    if (status == CEM_OK) *out = &plan->base;
    else upconv_free(&plan->base);
    return status;
}

static void taps_of(float *taps, const float *w, float scale)
{
    for (int y = 0; y < TAPS; y++)
        for (int x = 0; x < TAPS; x++) {
            float sum = 0;
            for (int a = 0; a < SIDE; a++)
                for (int b = 0; b < SIDE; b++) sum += MAP[y][a] * MAP[x][b] * w[a * SIDE + b];
            taps[y * TAPS + x] = sum * scale;
        }
}

static void weights_of(float *w, const float *taps)
{
    for (int a = 0; a < SIDE; a++)
        for (int b = 0; b < SIDE; b++) {
            float sum = 0;
            for (int y = 0; y < TAPS; y++)
                for (int x = 0; x < TAPS; x++) sum += MAP[y][a] * MAP[x][b] * taps[y * TAPS + x];
            w[a * SIDE + b] = sum;
        }
}

static int32_t upconv_pack(const struct plan *base, void *packed, const float *weights,
                           const float *scale)
{
    const struct upconv_plan *plan = (const struct upconv_plan *)base;
    const struct shape *s = &base->shape;
    float *plain = memory_raw(s->out * s->in * TAPS * TAPS, sizeof *plain);
    int32_t status;

    if (!plain) return CEM_EMEMORY;
    for (int64_t o = 0; o < s->out; o++)
        for (int64_t i = 0; i < s->in; i++)
            taps_of(plain + (o * s->in + i) * TAPS * TAPS, weights + o * s->row + i * SIDE * SIDE,
                    scale ? scale[o] : 1);
    status = onednn_conv_pack(plan->conv[0], packed, plain);
    memory_free(plain);
    return status;
}

static int32_t run_strip(const struct upconv_plan *plan, const struct operands *o, int64_t part)
{
    const struct shape *s = &plan->base.shape;
    int64_t sample = part / plan->strips, strip = part % plan->strips, first, last, read;
    float *in = plan->base.slot == SLOT_FORWARD ? o->in : o->in_gradient;
    float *out = plan->base.slot == SLOT_FORWARD ? o->out : o->out_gradient;

    kernel_strip(&first, &last, s->in_h, plan->strips, strip);
    if (first == last) return CEM_OK;
    read = first > 0 ? first - 1 : 0;
    return onednn_conv_run(plan->conv[which_strip(plan->strips, strip)],
                           in + (sample * s->in_h + read) * s->in_w * s->in,
                           (void *)(uintptr_t)o->packed, o->bias,
                           out + (sample * s->out_h + 2 * first) * s->out_w * s->out, o->workspace);
}

static void scatter(const struct upconv_plan *plan, const struct operands *o, int64_t part)
{
    const struct shape *s = &plan->base.shape;
    const float *plain = lanes_plain(&plan->lanes, o);

    for (int64_t row = s->out * part / SCATTER_PARTS; row < s->out * (part + 1) / SCATTER_PARTS;
         row++)
        for (int64_t i = 0; i < s->in; i++)
            weights_of(o->weight_gradient + row * s->row + i * SIDE * SIDE,
                       plain + (row * s->in + i) * TAPS * TAPS);
}

static int32_t upconv_run(const struct plan *base, const struct operands *operands, int phase,
                          int64_t part)
{
    const struct upconv_plan *plan = (const struct upconv_plan *)base;

    if (base->slot != SLOT_WEIGHTS) return run_strip(plan, operands, part);
    if (phase < base->phases - 1) return lanes_run(&plan->lanes, operands, phase, part);
    scatter(plan, operands, part);
    return CEM_OK;
}

const struct kernel kernel_upconv_onednn = {
    "4x4 deconvolution (oneDNN)", supports, upconv_plan, upconv_free, upconv_pack, upconv_run};
