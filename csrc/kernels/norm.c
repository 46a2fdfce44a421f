/* Batch norm by the statistics of the batch, residual sum and ReLU in one, and the gradient.
 *
 *   xhat = (in - mean) / sqrt(variance + 1e-5)      out = relu(gamma xhat + beta + add)
 *
 * Mean and biased variance are over samples and pixels; what is reported for the running statistics
 * is the unbiased variance, as in PyTorch.  Sums are taken in double, by sample and then over the
 * samples in order. */
#include <math.h>
#include <string.h>

#include "cem.h"
#include "cpu.h"
#include "floats.h"
#include "kernel.h"
#include "memory.h"

enum { PHASE_SUMS, PHASE_BATCH, PHASE_PIXELS, PHASES };

static const double EPSILON = 1e-5;

static bool supports(const struct shape *shape, int slot)
{
    return shape->kind == OP_NORM && slot != SLOT_WEIGHTS;
}

static int32_t norm_plan(struct plan **out, const struct shape *shape, int slot)
{
    struct plan *plan = memory_new(1, sizeof *plan);
    int64_t strips = kernel_strips(shape, shape->out_h);

    if (!plan) return CEM_EMEMORY;
    *plan = (struct plan){.kernel = &kernel_norm, .shape = *shape, .slot = slot};
    plan->phases = PHASES;
    plan->parts[PHASE_SUMS] = shape->samples * strips;
    plan->parts[PHASE_BATCH] = 1;
    plan->parts[PHASE_PIXELS] = shape->samples * strips;
    plan->saved = 2 * shape->out * (int64_t)sizeof(float);
    plan->scratch = (shape->samples * strips + 1) * 2 * shape->out * (int64_t)sizeof(double);
    *out = plan;
    return CEM_OK;
}

static void norm_free(struct plan *plan)
{
    memory_free(plan);
}

/* The pixels of a part, and where they begin. */
static int64_t part_pixels(int64_t *first_float, const struct shape *s, int64_t part)
{
    int64_t strips = kernel_strips(s, s->out_h), first, last;

    kernel_strip(&first, &last, s->out_h, strips, part % strips);
    *first_float = (part / strips * s->out_h + first) * s->out_w * s->out;
    return (last - first) * s->out_w;
}

/* Two sums a channel of part `part`; the batch's own are behind the last part's. */
static double *part_sums(const struct shape *s, const struct operands *o, int64_t part)
{
    return (double *)o->scratch + part * 2 * s->out;
}

static double *batch_sums(const struct plan *plan, const struct operands *o)
{
    return part_sums(&plan->shape, o, plan->parts[PHASE_SUMS]);
}

static void sum_parts(const struct plan *plan, const struct operands *o)
{
    double *total = batch_sums(plan, o);
    int64_t count = 2 * plan->shape.out;

    memset(total, 0, (size_t)count * sizeof *total);
    for (int64_t part = 0; part < plan->parts[PHASE_SUMS]; part++) {
        const double *sums = part_sums(&plan->shape, o, part);
        for (int64_t i = 0; i < count; i++) total[i] += sums[i];
    }
}

CPU_VECTORISED static void add_moments(double *restrict sum, double *restrict squares,
                                       const float *restrict x, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) {
        double value = x[c];
        sum[c] += value;
        squares[c] += value * value;
    }
}

static void forward_sums(const struct plan *plan, const struct operands *o, int64_t part)
{
    const struct shape *s = &plan->shape;
    double *sums = part_sums(s, o, part);
    int64_t first, pixels = part_pixels(&first, s, part);

    memset(sums, 0, (size_t)(2 * s->out) * sizeof *sums);
    for (int64_t i = 0; i < pixels; i++)
        add_moments(sums, sums + s->out, o->in + first + i * s->out, s->out);
}

static void forward_batch(const struct plan *plan, const struct operands *o)
{
    const struct shape *s = &plan->shape;
    double count = (double)(s->samples * s->out_h * s->out_w);
    const double *total = batch_sums(plan, o);
    float *mean = o->saved, *inverse = mean + s->out;

    sum_parts(plan, o);
    for (int64_t c = 0; c < s->out; c++) {
        double m = total[c] / count, variance = total[s->out + c] / count - m * m;
        if (variance < 0) variance = 0;
        mean[c] = (float)m;
        inverse[c] = (float)(1 / sqrt(variance + EPSILON));
        o->mean[c] = (float)m;
        o->variance[c] = (float)(count > 1 ? variance * count / (count - 1) : variance);
    }
}

CPU_VECTORISED static void normalise(float *restrict y, const float *restrict x,
                                     const float *restrict scale, const float *restrict shift,
                                     int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) y[c] = x[c] * scale[c] + shift[c];
}

CPU_VECTORISED static void rectify(float *y, int64_t count)
{
    for (int64_t i = 0; i < count; i++) y[i] = y[i] > 0 ? y[i] : 0;
}

static void forward_pixels(const struct plan *plan, const struct operands *o, int64_t part)
{
    const struct shape *s = &plan->shape;
    const float *mean = o->saved, *inverse = mean + s->out;
    float scale[4096], shift[4096];
    int64_t first, pixels = part_pixels(&first, s, part);

    for (int64_t c = 0; c < s->out; c++) {
        scale[c] = o->gamma[c] * inverse[c];
        shift[c] = o->beta[c] - mean[c] * scale[c];
    }
    for (int64_t i = 0; i < pixels; i++)
        normalise(o->out + first + i * s->out, o->in + first + i * s->out, scale, shift, s->out);
    if (s->sum) floats_add(o->out + first, o->add + first, pixels * s->out);
    if (s->relu) rectify(o->out + first, pixels * s->out);
}

/* g = out_gradient where the ReLU let through: written back, its sums gathered. */
CPU_VECTORISED static void add_gradient(double *restrict sum, double *restrict product,
                                        const float *restrict g, const float *restrict x,
                                        const float *restrict mean, const float *restrict inverse,
                                        int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) {
        double value = g[c];
        sum[c] += value;
        product[c] += value * (double)((x[c] - mean[c]) * inverse[c]);
    }
}

CPU_VECTORISED static void mask(float *restrict g, const float *restrict y, int64_t count)
{
    for (int64_t i = 0; i < count; i++) g[i] = y[i] > 0 ? g[i] : 0;
}

static void gradient_sums(const struct plan *plan, const struct operands *o, int64_t part)
{
    const struct shape *s = &plan->shape;
    const float *mean = o->saved, *inverse = mean + s->out;
    double *sums = part_sums(s, o, part);
    int64_t first, pixels = part_pixels(&first, s, part);

    memset(sums, 0, (size_t)(2 * s->out) * sizeof *sums);
    if (s->relu) mask(o->out_gradient + first, o->out + first, pixels * s->out);
    for (int64_t i = 0; i < pixels; i++) {
        int64_t at = first + i * s->out;
        add_gradient(sums, sums + s->out, o->out_gradient + at, o->in + at, mean, inverse, s->out);
    }
}

static void gradient_batch(const struct plan *plan, const struct operands *o)
{
    const struct shape *s = &plan->shape;
    const double *total = batch_sums(plan, o);

    sum_parts(plan, o);
    for (int64_t c = 0; c < s->out && o->gamma_gradient; c++) {
        o->beta_gradient[c] = (float)total[c];
        o->gamma_gradient[c] = (float)total[s->out + c];
    }
}

/* in_gradient = a g + b x + d, with a, b, d by channel. */
CPU_VECTORISED static void combine(float *in_gradient, const float *g, const float *restrict x,
                                   const float *restrict a, const float *restrict b,
                                   const float *restrict d, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) in_gradient[c] = a[c] * g[c] + (b[c] * x[c] + d[c]);
}

static void pass_to_add(const struct shape *s, const struct operands *o, int64_t first,
                        int64_t count)
{
    if (!o->add_gradient) return;
    if (s->add_more) floats_add(o->add_gradient + first, o->out_gradient + first, count);
    else
        memcpy(o->add_gradient + first, o->out_gradient + first,
               (size_t)count * sizeof *o->add_gradient);
}

static void gradient_pixels(const struct plan *plan, const struct operands *o, int64_t part)
{
    const struct shape *s = &plan->shape;
    const float *mean = o->saved, *inverse = mean + s->out;
    const double *total = batch_sums(plan, o);
    double count = (double)(s->samples * s->out_h * s->out_w);
    float a[4096], b[4096], d[4096];
    int64_t first, pixels = part_pixels(&first, s, part);

    pass_to_add(s, o, first, pixels * s->out);
    if (!o->in_gradient) return;
    for (int64_t c = 0; c < s->out; c++) {
        double factor = (double)o->gamma[c] * inverse[c];
        double slope = -factor * inverse[c] * total[s->out + c] / count;
        a[c] = (float)factor;
        b[c] = (float)slope;
        d[c] = (float)(-factor * total[c] / count - slope * mean[c]);
    }
    for (int64_t i = 0; i < pixels; i++) {
        int64_t at = first + i * s->out;
        combine(o->in_gradient + at, o->out_gradient + at, o->in + at, a, b, d, s->out);
    }
}

static int32_t norm_run(const struct plan *plan, const struct operands *o, int phase, int64_t part)
{
    bool forward = plan->slot == SLOT_FORWARD;

    if (phase == PHASE_SUMS) (forward ? forward_sums : gradient_sums)(plan, o, part);
    if (phase == PHASE_BATCH) (forward ? forward_batch : gradient_batch)(plan, o);
    if (phase == PHASE_PIXELS) (forward ? forward_pixels : gradient_pixels)(plan, o, part);
    return CEM_OK;
}

const struct kernel kernel_norm = {"batch norm", supports, norm_plan, norm_free, NULL, norm_run};
