/* 3x3 max pooling of stride 2 padded by 1, and its gradient, which goes to the first of equal
 * maxima in reading order, as PyTorch's does. */
#include <math.h>
#include <string.h>

#include "cem.h"
#include "cpu.h"
#include "kernel.h"
#include "memory.h"

enum { SIDE = 3, STRIDE = 2 };

static bool supports(const struct shape *shape, int slot)
{
    return shape->kind == OP_MAXPOOL && slot != SLOT_WEIGHTS;
}

static int32_t pool_plan(struct plan **out, const struct shape *shape, int slot)
{
    struct plan *plan = memory_new(1, sizeof *plan);

    if (!plan) return CEM_EMEMORY;
    *plan = (struct plan){.kernel = &kernel_maxpool, .shape = *shape, .slot = slot, .phases = 1};
    plan->parts[0] = shape->samples;
    if (slot == SLOT_FORWARD) {
        plan->parts[0] *= kernel_strips(shape, shape->out_h);
        plan->saved = shape->keep ? shape->samples * shape->out_h * shape->out_w * shape->out : 0;
    }
    *out = plan;
    return CEM_OK;
}

static void pool_free(struct plan *plan)
{
    memory_free(plan);
}

CPU_VECTORISED static void take_larger(float *restrict best, uint8_t *restrict place,
                                       const float *restrict candidate, uint8_t number, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int larger = candidate[i] > best[i];
        best[i] = larger ? candidate[i] : best[i];
        place[i] = larger ? number : place[i];
    }
}

CPU_VECTORISED static void take_largest(float *restrict best, const float *restrict candidate,
                                        int64_t n)
{
    for (int64_t i = 0; i < n; i++) best[i] = candidate[i] > best[i] ? candidate[i] : best[i];
}

/* One output pixel, all channels.  `place` may be NULL. */
static void pool_pixel(float *out, uint8_t *place, const float *in, const struct shape *s,
                       int64_t y, int64_t x)
{
    for (int64_t c = 0; c < s->out; c++) out[c] = -INFINITY;
    if (place) memset(place, 0, (size_t)s->out);
    for (int number = 0; number < SIDE * SIDE; number++) {
        int64_t iy = y * STRIDE - 1 + number / SIDE, ix = x * STRIDE - 1 + number % SIDE;
        if (iy < 0 || iy >= s->in_h || ix < 0 || ix >= s->in_w) continue;
        if (place)
            take_larger(out, place, in + (iy * s->in_w + ix) * s->in, (uint8_t)number, s->in);
        else take_largest(out, in + (iy * s->in_w + ix) * s->in, s->in);
    }
}

static void forward(const struct plan *plan, const struct operands *o, int64_t part)
{
    const struct shape *s = &plan->shape;
    int64_t strips = kernel_strips(s, s->out_h), sample = part / strips, first, last;
    const float *in = o->in + sample * s->in_h * s->in_w * s->in;
    int64_t base = sample * s->out_h * s->out_w * s->out;

    kernel_strip(&first, &last, s->out_h, strips, part % strips);
    for (int64_t y = first; y < last; y++)
        for (int64_t x = 0; x < s->out_w; x++) {
            int64_t at = base + (y * s->out_w + x) * s->out;
            pool_pixel(o->out + at, s->keep ? (uint8_t *)o->saved + at : NULL, in, s, y, x);
        }
}

static void gradient(const struct plan *plan, const struct operands *o, int64_t sample)
{
    const struct shape *s = &plan->shape;
    int64_t floats = s->in_h * s->in_w * s->in, at = sample * s->out_h * s->out_w * s->out;
    float *in = o->in_gradient + sample * floats;

    memset(in, 0, (size_t)floats * sizeof *in);
    for (int64_t y = 0; y < s->out_h; y++)
        for (int64_t x = 0; x < s->out_w; x++)
            for (int64_t c = 0; c < s->out; c++, at++) {
                int place = ((const uint8_t *)o->saved)[at];
                int64_t iy = y * STRIDE - 1 + place / SIDE, ix = x * STRIDE - 1 + place % SIDE;
                in[(iy * s->in_w + ix) * s->in + c] += o->out_gradient[at];
            }
}

static int32_t pool_run(const struct plan *plan, const struct operands *operands, int phase,
                        int64_t part)
{
    (void)phase;
    if (plan->slot == SLOT_FORWARD) forward(plan, operands, part);
    else gradient(plan, operands, part);
    return CEM_OK;
}

const struct kernel kernel_maxpool = {"max pool", supports, pool_plan, pool_free, NULL, pool_run};
