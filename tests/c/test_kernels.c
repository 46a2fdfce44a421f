/* Every kernel, forward and its gradients, against naive loops in double over odd shapes, and the
 * same bits for any number of workers. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cem.h"
#include "check.h"
#include "error.h"
#include "kernel.h"
#include "memory.h"
#include "pool.h"
#include "random.h"

static const double TOLERANCE = 1e-5; /* of the largest value */

static float *numbers(int64_t count, uint64_t stream)
{
    float *out = memory_raw(count, sizeof *out);

    for (int64_t i = 0; i < count; i++)
        out[i] = (float)(2 * random_uniform(1, stream, (uint64_t)i) - 1);
    return out;
}

static double worst(const float *have, const double *want, int64_t count)
{
    double largest = 1e-30, error = 0;

    for (int64_t i = 0; i < count; i++) {
        if (fabs(want[i]) > largest) largest = fabs(want[i]);
        if (!(fabs(have[i] - want[i]) <= error)) error = fabs(have[i] - want[i]);
    }
    return error / largest;
}

/* ---- running a plan with the pool ---- */

struct job {
    const struct plan *plan;
    struct operands operands;
    char *workspace;
};

static int64_t parts_of(void *context, int64_t step)
{
    return ((const struct job *)context)->plan->parts[step];
}

static int32_t run_part(void *context, int64_t step, int64_t part, int worker)
{
    const struct job *job = context;
    struct operands operands = job->operands;

    operands.workspace = job->workspace + worker * ((job->plan->workspace + 63) / 64 * 64);
    return job->plan->kernel->run(job->plan, &operands, (int)step, part);
}

/* Used in place of the table's choice, if not NULL. */
static const struct kernel *forced;

struct planning {
    struct plan *plan;
    const struct shape *shape;
    int slot;
    void *packed;
    const float *weights;
};

static int32_t plan_and_pack(void *context, int64_t step, int64_t part, int worker)
{
    struct planning *p = context;
    const struct kernel *kernel = forced;
    int32_t status = forced ? CEM_OK : kernel_choose(&kernel, p->shape, p->slot);

    (void)step, (void)part, (void)worker;
    if (status == CEM_OK) status = kernel->plan(&p->plan, p->shape, p->slot);
    if (status != CEM_OK || !p->weights || p->slot == SLOT_WEIGHTS) return status;
    p->packed = memory_raw(p->plan->packed, 1);
    return p->plan->kernel->pack(p->plan, p->packed, p->weights, NULL);
}

/* Plans, packs `weights` if there are any, runs on `threads` workers. */
static int32_t run_slot(const struct shape *shape, int slot, struct operands operands,
                        const float *weights, int threads)
{
    struct planning planning = {.shape = shape, .slot = slot, .weights = weights};
    struct job job = {.operands = operands};
    struct pool_job pool = {.parts = parts_of, .run = run_part, .context = &job};
    int32_t status = pool_for(1, 1, plan_and_pack, &planning);

    if (status != CEM_OK) return status;
    job.plan = planning.plan;
    job.operands.packed = planning.packed;
    job.operands.scratch = memory_raw(job.plan->scratch, 1);
    job.workspace = memory_raw((job.plan->workspace + 63) / 64 * 64, threads);
    pool.steps = job.plan->phases;
    status = pool_run(&pool, threads);
    memory_free(job.operands.scratch);
    memory_free(job.workspace);
    memory_free(planning.packed);
    planning.plan->kernel->free(planning.plan);
    return status;
}

/* ---- naive convolution ---- */

static int64_t in_count(const struct shape *s)
{
    return s->samples * s->in_h * s->in_w * s->in;
}

static int64_t out_count(const struct shape *s)
{
    return s->samples * s->out_h * s->out_w * s->out;
}

/* Where in the input the tap (ky, kx) of output pixel (y, x) of `sample` reads, or -1. */
static int64_t tap_of(const struct shape *s, int64_t sample, int64_t y, int64_t x, int64_t ky,
                      int64_t kx)
{
    int64_t iy = y * s->stride + ky - s->kernel / 2, ix = x * s->stride + kx - s->kernel / 2;
    int64_t up = s->kind == OP_UPCONV ? 2 : 1;

    if (iy < 0 || ix < 0 || iy >= s->in_h * up || ix >= s->in_w * up) return -1;
    return ((sample * s->in_h + iy / up) * s->in_w + ix / up) * s->in;
}

/* Calls out += w in, or one of its gradients, for every product of the convolution. */
static void each_product(const struct shape *s, int slot, double *result, const float *in,
                         const float *weights, const float *out)
{
    int64_t side = s->kernel * s->kernel;

    for (int64_t pixel = 0; pixel < s->samples * s->out_h * s->out_w; pixel++)
        for (int64_t tap = 0; tap < side; tap++) {
            int64_t sample = pixel / (s->out_h * s->out_w), place = pixel % (s->out_h * s->out_w);
            int64_t from = tap_of(s, sample, place / s->out_w, place % s->out_w, tap / s->kernel,
                                  tap % s->kernel);
            if (from < 0) continue;
            for (int64_t o = 0; o < s->out; o++)
                for (int64_t i = 0; i < s->in; i++) {
                    int64_t w = o * s->row + i * side + tap, at = pixel * s->out + o;
                    if (slot == SLOT_FORWARD) result[at] += (double)in[from + i] * weights[w];
                    if (slot == SLOT_DATA) result[from + i] += (double)out[at] * weights[w];
                    if (slot == SLOT_WEIGHTS) result[w] += (double)out[at] * in[from + i];
                }
        }
}

static struct shape conv_of(int kind, int64_t samples, int64_t h, int64_t w, int64_t in,
                            int64_t out, int64_t kernel, int64_t stride)
{
    int64_t up = kind == OP_UPCONV ? 2 : 1;
    struct shape s = {.kind = kind,
                      .samples = samples,
                      .in_h = h,
                      .in_w = w,
                      .in = in,
                      .out_h = h * up / stride,
                      .out_w = w * up / stride,
                      .out = out,
                      .kernel = kernel,
                      .stride = stride};

    s.row = in * kernel * kernel + 5 * kernel * kernel; /* a slice of wider rows */
    return s;
}

static const struct shape *convolutions(int *count)
{
    static struct shape shapes[32];

    shapes[0] = conv_of(OP_CONV, 1, 64, 32, 16, 32, 3, 1); /* eight strips */
    shapes[1] = conv_of(OP_CONV, 2, 24, 20, 8, 16, 3, 1);  /* three strips, two samples */
    shapes[2] = conv_of(OP_CONV, 5, 8, 12, 16, 8, 3, 1);   /* uneven lanes */
    shapes[3] = conv_of(OP_CONV, 1, 1, 1, 32, 16, 3, 1);   /* one pixel */
    shapes[4] = conv_of(OP_CONV, 2, 32, 32, 16, 32, 3, 2);
    shapes[5] = conv_of(OP_CONV, 2, 32, 16, 24, 48, 1, 1);
    shapes[6] = conv_of(OP_CONV, 2, 32, 16, 24, 48, 1, 2);
    shapes[7] = conv_of(OP_CONV, 2, 64, 64, 1, 64, 7, 2);
    shapes[8] = conv_of(OP_CONV, 1, 34, 18, 16, 1, 3, 1);
    shapes[9] = conv_of(OP_CONV, 1, 34, 18, 16, 4, 3, 1);
    shapes[10] = conv_of(OP_UPCONV, 1, 32, 12, 16, 24, 3, 1);
    shapes[11] = conv_of(OP_UPCONV, 4, 1, 1, 32, 16, 3, 1);
    shapes[12] = conv_of(OP_UPCONV, 3, 9, 7, 8, 8, 3, 1);
    shapes[13] = conv_of(OP_CONV, 2, 16, 16, 7, 5, 3, 1); /* odd channels */
    shapes[14] = conv_of(OP_UPCONV, 2, 16, 16, 5, 3, 3, 1);
    shapes[15] = conv_of(OP_CONV, 3, 4, 4, 16, 16, 3, 1);    /* one tile a sample */
    shapes[16] = conv_of(OP_CONV, 1, 9, 7, 32, 48, 3, 1);    /* odd tiles, half a panel */
    shapes[17] = conv_of(OP_CONV, 1, 67, 66, 16, 16, 3, 1);  /* tiles in blocks */
    shapes[18] = conv_of(OP_CONV, 2, 6, 5, 80, 64, 3, 1);    /* all tiles at once */
    shapes[19] = conv_of(OP_CONV, 1, 33, 70, 8, 24, 3, 1);   /* narrow vectors */
    shapes[20] = conv_of(OP_UPCONV, 1, 5, 70, 16, 32, 3, 1); /* two blocks a row */
    shapes[21] = conv_of(OP_UPCONV, 2, 11, 3, 24, 8, 3, 1);
    shapes[22] = conv_of(OP_UPCONV, 2, 3, 2, 272, 256, 3, 1); /* the whole batch at once */
    shapes[23] = conv_of(OP_UPCONV, 2, 1, 4, 16, 16, 3, 1);
    *count = 24;
    return shapes;
}

static double conv_error(const struct shape *s, int slot, int threads, float **result)
{
    int64_t counts[] = {out_count(s), in_count(s), s->out * s->row}, count = counts[slot];
    float *in = numbers(in_count(s), 1), *weights = numbers(s->out * s->row, 2);
    float *out = numbers(out_count(s), 3);
    double *want = memory_new(count, sizeof *want), error;
    struct operands o = {.in = in, .out = out, .in_gradient = in, .out_gradient = out};
    const float *kept_in = numbers(in_count(s), 1), *kept_out = numbers(out_count(s), 3);

    *result = slot == SLOT_FORWARD ? out
              : slot == SLOT_DATA  ? in
                                   : memory_new(count, sizeof(float));
    if (slot == SLOT_WEIGHTS) o.weight_gradient = *result;
    each_product(s, slot, want, kept_in, weights, kept_out);
    error = run_slot(s, slot, o, weights, threads) == CEM_OK ? worst(*result, want, count) : 1e9;
    if (error == 1e9) printf("%s\n", error_line());
    if (in != *result) memory_free(in);
    if (out != *result) memory_free(out);
    memory_free(weights);
    memory_free(want);
    memory_free((void *)(uintptr_t)kept_in);
    memory_free((void *)(uintptr_t)kept_out);
    return error;
}

static void convolutions_and_their_gradients_equal_naive_loops(void)
{
    int count;
    const struct shape *shapes = convolutions(&count);

    for (int i = 0; i < count; i++)
        for (int slot = 0; slot < SLOTS; slot++) {
            float *result;
            double error = conv_error(&shapes[i], slot, 2, &result);
            memory_free(result);
            if (error > TOLERANCE) printf("shape %d, slot %d: error %g\n", i, slot, error);
            CHECK(error <= TOLERANCE);
        }
}

static void convolutions_have_the_same_bits_on_one_two_and_three_workers(void)
{
    int count;
    const struct shape *shapes = convolutions(&count);

    for (int i = 0; i < count; i++)
        for (int slot = 0; slot < SLOTS; slot++) {
            float *one, *more;
            int64_t counts[] = {out_count(&shapes[i]), in_count(&shapes[i]),
                                shapes[i].out * shapes[i].row};
            conv_error(&shapes[i], slot, 1, &one);
            for (int threads = 2; threads <= 3; threads++) {
                conv_error(&shapes[i], slot, threads, &more);
                CHECK(memcmp(one, more, (size_t)counts[slot] * sizeof *one) == 0);
                memory_free(more);
            }
            memory_free(one);
        }
}

/* Odd sizes and all kinds of channels, drawn. */
static struct shape drawn(int number)
{
    static const int64_t channels[] = {8, 16, 24, 32, 40, 48, 64};
    uint64_t stream = 1000 + (uint64_t)number;
    int64_t n[5];

    for (int i = 0; i < 5; i++) n[i] = random_below(2, stream, (uint64_t)i, i < 2 ? 7 : 14);
    return conv_of(number % 2 ? OP_CONV : OP_UPCONV, 1 + n[2] % 3, 1 + n[3], 1 + n[4],
                   channels[n[0]], channels[n[1]], 3, 1);
}

static void drawn_convolutions_equal_naive_loops(void)
{
    for (int number = 0; number < 24; number++)
        for (int slot = 0; slot < SLOTS; slot++) {
            struct shape s = drawn(number);
            float *result;
            double error = conv_error(&s, slot, 2, &result);
            memory_free(result);
            if (error > TOLERANCE)
                printf("%lld x %lld x %lld, %lld to %lld channels, kind %d, slot %d: error %g\n",
                       (long long)s.samples, (long long)s.in_h, (long long)s.in_w, (long long)s.in,
                       (long long)s.out, s.kind, slot, error);
            CHECK(error <= TOLERANCE);
        }
}

/* ---- against oneDNN, where naive loops would take minutes ---- */

static int32_t run_kernel(const struct kernel *kernel, const struct shape *s, int slot,
                          float *const arrays[SLOTS])
{
    struct operands o = {.in = arrays[SLOT_DATA],
                         .out = arrays[SLOT_FORWARD],
                         .in_gradient = arrays[SLOT_DATA],
                         .out_gradient = arrays[SLOT_FORWARD],
                         .weight_gradient = arrays[SLOT_WEIGHTS]};

    forced = kernel;
    int32_t status = run_slot(s, slot, o, arrays[SLOT_WEIGHTS], 2);
    forced = NULL;
    return status;
}

static double distance_from(const struct kernel *peer, const struct shape *s, int slot)
{
    const int64_t sizes[] = {out_count(s), in_count(s), s->out * s->row};
    const struct kernel *kernels[] = {NULL, peer};
    float *arrays[2][SLOTS];
    double *want, error = 0;

    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < SLOTS; i++) arrays[k][i] = numbers(sizes[i], (uint64_t)i);
        if (run_kernel(kernels[k], s, slot, arrays[k]) != CEM_OK) error = 1e9;
    }
    want = memory_raw(sizes[slot], sizeof *want);
    for (int64_t i = 0; i < sizes[slot]; i++) want[i] = arrays[1][slot][i];
    error += worst(arrays[0][slot], want, sizes[slot]);
    memory_free(want);
    for (int i = 0; i < 2 * SLOTS; i++) memory_free(arrays[i / SLOTS][i % SLOTS]);
    return error;
}

static void large_convolutions_equal_those_of_onednn(void)
{
    struct shape shapes[] = {
        conv_of(OP_CONV, 1, 68, 60, 512, 128, 3, 1),  /* several chunks */
        conv_of(OP_CONV, 1, 131, 260, 64, 96, 3, 1),  /* many blocks */
        conv_of(OP_CONV, 2, 19, 15, 1024, 256, 3, 1), /* long sums */
        conv_of(OP_UPCONV, 1, 64, 128, 64, 32, 3, 1), conv_of(OP_UPCONV, 2, 9, 8, 2048, 256, 3, 1),
    };

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int slot = 0; slot < SLOTS; slot++) {
            const struct kernel *peer =
                shapes[i].kind == OP_UPCONV ? &kernel_upconv_onednn : &kernel_conv_onednn;
            double error = distance_from(peer, &shapes[i], slot);
            if (error > TOLERANCE)
                printf("shape %zu, slot %d: error %g %s\n", i, slot, error, error_line());
            CHECK(error <= TOLERANCE);
        }
}

/* ---- kernels that prove themselves ---- */

static int32_t run_wrongly(const struct plan *plan, const struct operands *o, int phase,
                           int64_t part)
{
    int32_t status = kernel_winograd.run(plan, o, phase, part);

    if (phase == plan->phases - 1 && part == 0) o->out[17] += 0.5F;
    return status;
}

struct proving {
    const struct kernel *kernel;
    bool agrees;
};

static int32_t prove(void *context, int64_t step, int64_t part, int worker)
{
    struct shape s = conv_of(OP_CONV, 1, 32, 32, 16, 16, 3, 1);
    struct proving *proving = context;

    (void)step, (void)part, (void)worker;
    return kernel_prove(&proving->agrees, proving->kernel, &kernel_conv_onednn, &s, SLOT_FORWARD);
}

static void a_kernel_that_disagrees_with_onednn_is_found_out(void)
{
    struct kernel wrong = kernel_winograd;
    struct proving right_one = {.kernel = &kernel_winograd};
    struct proving wrong_one = {.kernel = &wrong, .agrees = true};

    wrong.run = run_wrongly;
    CHECK_EQ(pool_for(1, 1, prove, &wrong_one), CEM_OK);
    CHECK(!wrong_one.agrees);
    CHECK_EQ(pool_for(1, 1, prove, &right_one), CEM_OK);
    CHECK(right_one.agrees);
}

static void a_bias_a_sum_and_a_relu_follow_the_convolution(void)
{
    const int kinds[] = {OP_CONV, OP_UPCONV};

    for (int k = 0; k < 2; k++) {
        struct shape s = conv_of(kinds[k], 1, 24, 16, 16, 8, 3, 1);
        float *in = numbers(in_count(&s), 1), *weights = numbers(s.out * s.row, 2);
        float *out = numbers(out_count(&s), 3), *bias = numbers(s.out, 4);
        double *want = memory_new(out_count(&s), sizeof *want);
        struct operands o = {.in = in, .out = out, .bias = bias};

        s.bias = s.sum = s.relu = true;
        each_product(&s, SLOT_FORWARD, want, in, weights, NULL);
        for (int64_t i = 0; i < out_count(&s); i++) {
            want[i] += out[i] + (double)bias[i % s.out];
            if (want[i] < 0) want[i] = 0;
        }
        CHECK_EQ(run_slot(&s, SLOT_FORWARD, o, weights, 2), CEM_OK);
        CHECK(worst(out, want, out_count(&s)) <= TOLERANCE);
        memory_free(in);
        memory_free(weights);
        memory_free(out);
        memory_free(bias);
        memory_free(want);
    }
}

/* ---- max pool ---- */

static void the_max_pool_takes_the_largest_and_its_gradient_goes_there(void)
{
    struct shape s = {.kind = OP_MAXPOOL,
                      .samples = 2,
                      .in_h = 16,
                      .in_w = 12,
                      .in = 8,
                      .out_h = 8,
                      .out_w = 6,
                      .out = 8,
                      .kernel = 3,
                      .stride = 2,
                      .keep = true};
    float *in = numbers(in_count(&s), 1), *out = memory_new(out_count(&s), sizeof *out);
    float *up = numbers(out_count(&s), 2), *down = numbers(in_count(&s), 3);
    double *want = memory_new(in_count(&s), sizeof *want);
    struct operands o = {.in = in,
                         .out = out,
                         .out_gradient = up,
                         .in_gradient = down,
                         .saved = memory_new(out_count(&s), 1)};

    CHECK_EQ(run_slot(&s, SLOT_FORWARD, o, NULL, 2), CEM_OK);
    CHECK_EQ(run_slot(&s, SLOT_DATA, o, NULL, 2), CEM_OK);
    for (int64_t pixel = 0; pixel < s.samples * s.out_h * s.out_w; pixel++)
        for (int64_t c = 0; c < s.out; c++) {
            int64_t sample = pixel / (s.out_h * s.out_w), place = pixel % (s.out_h * s.out_w);
            int64_t best = -1;
            for (int64_t tap = 0; tap < 9; tap++) {
                int64_t from =
                    tap_of(&s, sample, place / s.out_w, place % s.out_w, tap / 3, tap % 3);
                if (from >= 0 && (best < 0 || in[from + c] > in[best + c])) best = from;
            }
            CHECK(out[pixel * s.out + c] == in[best + c]);
            want[best + c] += up[pixel * s.out + c];
        }
    CHECK(worst(down, want, in_count(&s)) <= TOLERANCE);
    memory_free(in);
    memory_free(out);
    memory_free(up);
    memory_free(down);
    memory_free(want);
    memory_free(o.saved);
}

/* ---- batch norm ---- */

/* The kernel's result in double: out, and the loss sum(out * up). */
static double norm_naive(double *out, const struct shape *s, const double *in, const double *gamma,
                         const double *beta, const float *add, const float *up)
{
    int64_t pixels = s->samples * s->out_h * s->out_w;
    double loss = 0;

    for (int64_t c = 0; c < s->out; c++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < pixels; i++) mean += in[i * s->out + c] / (double)pixels;
        for (int64_t i = 0; i < pixels; i++)
            variance += pow(in[i * s->out + c] - mean, 2) / (double)pixels;
        for (int64_t i = 0; i < pixels; i++) {
            int64_t at = i * s->out + c;
            double y = (in[at] - mean) / sqrt(variance + 1e-5) * gamma[c] + beta[c] + add[at];
            if (y < 0) y = 0;
            if (out) out[at] = y;
            loss += y * up[at];
        }
    }
    return loss;
}

static double *doubles(const float *from, int64_t count)
{
    double *out = memory_raw(count, sizeof *out);

    for (int64_t i = 0; i < count; i++) out[i] = from[i];
    return out;
}

static double slope(double *at, const struct shape *s, const double *in, const double *gamma,
                    const double *beta, const float *add, const float *up)
{
    const double step = 1e-5;
    double kept = *at, above, below;

    *at = kept + step;
    above = norm_naive(NULL, s, in, gamma, beta, add, up);
    *at = kept - step;
    below = norm_naive(NULL, s, in, gamma, beta, add, up);
    *at = kept;
    return (above - below) / (2 * step);
}

static void the_batch_norm_and_its_gradients_equal_finite_differences(void)
{
    struct shape s = {.kind = OP_NORM,
                      .samples = 3,
                      .in_h = 6,
                      .in_w = 5,
                      .in = 4,
                      .out_h = 6,
                      .out_w = 5,
                      .out = 4,
                      .sum = true,
                      .relu = true,
                      .add_more = true};
    int64_t count = out_count(&s);
    float *in = numbers(count, 1), *out = memory_new(count, sizeof *out), *add = numbers(count, 2);
    float *up = numbers(count, 3), *gamma = numbers(s.out, 4), *beta = numbers(s.out, 5);
    float *g = numbers(count, 3), *add_gradient = memory_new(count, sizeof *add_gradient);
    float parameter_gradients[8], statistics[8], saved[8];
    struct operands o = {.in = in,
                         .out = out,
                         .add = add,
                         .in_gradient = g,
                         .out_gradient = g,
                         .add_gradient = add_gradient,
                         .gamma = gamma,
                         .beta = beta,
                         .gamma_gradient = parameter_gradients,
                         .beta_gradient = parameter_gradients + 4,
                         .mean = statistics,
                         .variance = statistics + 4,
                         .saved = saved};
    double *wide = doubles(in, count), *wide_gamma = doubles(gamma, s.out);
    double *wide_beta = doubles(beta, s.out), *want = memory_new(count, sizeof *want);
    double wants[8];

    CHECK_EQ(run_slot(&s, SLOT_FORWARD, o, NULL, 2), CEM_OK);
    norm_naive(want, &s, wide, wide_gamma, wide_beta, add, up);
    CHECK(worst(out, want, count) <= TOLERANCE);
    for (int64_t i = 0; i < count; i++) add_gradient[i] = 1;
    CHECK_EQ(run_slot(&s, SLOT_DATA, o, NULL, 2), CEM_OK);
    for (int64_t i = 0; i < count; i++) {
        CHECK(add_gradient[i] == 1 + (out[i] > 0 ? up[i] : 0));
        want[i] = slope(&wide[i], &s, wide, wide_gamma, wide_beta, add, up);
    }
    CHECK(worst(g, want, count) <= 1e-4);
    for (int c = 0; c < 4; c++) {
        wants[c] = slope(&wide_gamma[c], &s, wide, wide_gamma, wide_beta, add, up);
        wants[4 + c] = slope(&wide_beta[c], &s, wide, wide_gamma, wide_beta, add, up);
    }
    CHECK(worst(parameter_gradients, wants, 8) <= 1e-4);
    memory_free(in);
    memory_free(out);
    memory_free(add);
    memory_free(up);
    memory_free(gamma);
    memory_free(beta);
    memory_free(g);
    memory_free(add_gradient);
    memory_free(wide);
    memory_free(wide_gamma);
    memory_free(wide_beta);
    memory_free(want);
}

int main(void)
{
    RUN(convolutions_and_their_gradients_equal_naive_loops);
    RUN(drawn_convolutions_equal_naive_loops);
    RUN(large_convolutions_equal_those_of_onednn);
    RUN(a_kernel_that_disagrees_with_onednn_is_found_out);
    RUN(convolutions_have_the_same_bits_on_one_two_and_three_workers);
    RUN(a_bias_a_sum_and_a_relu_follow_the_convolution);
    RUN(the_max_pool_takes_the_largest_and_its_gradient_goes_there);
    RUN(the_batch_norm_and_its_gradients_equal_finite_differences);
    return CHECK_DONE();
}
