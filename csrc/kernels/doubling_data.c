/* The gradient of the data of nearest doubling and a 3x3 convolution by differences: nine sums and
 * differences of the result's gradient, side by side for each pixel, meet the nine weights in one
 * matrix product, see doubling_pack.h.
 *
 * With few weights a part takes a block of pixels through both in its cache.  With many, all sums
 * are made in a phase of its own, so that every weight is read once. */
#include <stddef.h>

#include "cem.h"
#include "doubling_pack.h"
#include "kernel.h"
#include "memory.h"
#include "simd.h"

enum { PAD = 16, BLOCK_FLOATS = 80 << 10, BLOCK_COLUMNS = 64 };
enum { SHARED_COLUMNS = 64, MANY_WEIGHTS = 64 << 10 };
enum { PHASE_SUMS, PHASE_MULTIPLY, SHARED_PHASES };

struct data_plan {
    struct plan base;
    const struct simd *simd;
    bool shared;
    int64_t width, across; /* pixels of a block, blocks of a row */
    int64_t pixel;         /* floats of a pixel's sums */
};

static bool supports(const struct shape *s, int slot)
{
    return slot == SLOT_DATA && doubling_supports(s);
}

static int32_t data_plan(struct plan **out, const struct shape *s, int slot)
{
    struct data_plan *plan = memory_new(1, sizeof *plan);
    struct plan *base;

    if (!plan) return CEM_EMEMORY;
    base = &plan->base;
    plan->base = (struct plan){.kernel = &kernel_doubling_data, .shape = *s, .slot = slot};
    plan->simd = simd_for(s->in, s->out);
    plan->pixel = DOUBLED_PRODUCTS * s->out + PAD;
    plan->shared = s->in * s->out > MANY_WEIGHTS;
    plan->width = at_most(s->in_w, at_most(BLOCK_COLUMNS, BLOCK_FLOATS / plan->pixel + 1));
    if (plan->shared) plan->width = s->in_w;
    plan->across = (s->in_w + plan->width - 1) / plan->width;
    base->packed = doubling_packed(plan->simd, s, slot);
    base->phases = plan->shared ? SHARED_PHASES : 1;
    base->parts[PHASE_SUMS] = s->samples * s->in_h * plan->across;
    base->parts[PHASE_MULTIPLY] = (s->in + SHARED_COLUMNS - 1) / SHARED_COLUMNS;
    if (plan->shared)
        base->scratch = s->samples * s->in_h * s->in_w * plan->pixel * (int64_t)sizeof(float);
    else base->workspace = plan->width * plan->pixel * (int64_t)sizeof(float);
    *out = base;
    return CEM_OK;
}

static void data_free(struct plan *plan)
{
    memory_free(plan);
}

static int32_t data_pack(const struct plan *base, void *packed, const float *weights,
                         const float *scale)
{
    const struct data_plan *plan = (const struct data_plan *)base;

    doubling_pack_weights(packed, plan->simd, &base->shape, base->slot, weights, scale);
    return CEM_OK;
}

/* The gradient of channels [first, first + columns) of `pixels` pixels. */
static void multiply(const struct data_plan *p, const struct operands *o, const float *sums,
                     int64_t pixel, int64_t pixels, int64_t first, int64_t columns)
{
    const struct shape *s = &p->base.shape;
    int64_t depth = DOUBLED_PRODUCTS * s->out, width = 2 * p->simd->lanes;
    struct product product = {.a = sums,
                              .a_row = p->pixel,
                              .a_step = 1,
                              .b = (const float *)o->packed + first * depth,
                              .b_panel = depth * width,
                              .b_step = width,
                              .c = o->in_gradient + pixel * s->in + first,
                              .c_row = s->in,
                              .m = pixels,
                              .n = columns,
                              .k = depth};

    p->simd->multiply(&product);
}

/* A run of pixels of one row. */
static void run_sums(const struct data_plan *p, const struct operands *o, int64_t part)
{
    const struct shape *s = &p->base.shape;
    int64_t row = part / p->across, sample = row / s->in_h;
    struct region region = {.height = s->in_h,
                            .width = s->in_w,
                            .channels = s->out,
                            .top = row % s->in_h,
                            .left = part % p->across * p->width,
                            .rows = 1};
    int64_t pixel = row * s->in_w + region.left;
    float *sums = p->shared ? (float *)o->scratch + pixel * p->pixel : o->workspace;

    region.columns = at_most(p->width, s->in_w - region.left);
    p->simd->doubled_back(sums, p->pixel, o->out_gradient + sample * s->out_h * s->out_w * s->out,
                          &region);
    if (!p->shared) multiply(p, o, sums, pixel, region.columns, 0, s->in);
}

static int32_t data_run(const struct plan *base, const struct operands *o, int phase, int64_t part)
{
    const struct data_plan *plan = (const struct data_plan *)base;
    const struct shape *s = &base->shape;
    int64_t first = part * SHARED_COLUMNS;

    if (phase == PHASE_SUMS) run_sums(plan, o, part);
    else
        multiply(plan, o, o->scratch, 0, s->samples * s->in_h * s->in_w, first,
                 at_most(SHARED_COLUMNS, s->in - first));
    return CEM_OK;
}

const struct kernel kernel_doubling_data = {
    "up-convolution by differences", supports, data_plan, data_free, data_pack, data_run};
