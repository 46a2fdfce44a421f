/* Prints what each op of segmenting one tile takes, as a table in Markdown:
 *
 *     time_ops [side of the tile = 512] [threads = 2]
 *
 * GFLOP are those of the network as written.  The peak is what our matrix product reaches within a
 * core's first cache, on all threads; algorithms that save products can be above it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cem.h"
#include "engine.h"
#include "error.h"
#include "kernels/simd.h"
#include "memory.h"
#include "model.h"
#include "pool.h"

enum { RUNS = 15, MOST_ROWS = 128, PEAK_REPEATS = 2000 };
static const int32_t WIDTHS[NETWORK_BLOCKS] = {256, 128, 64, 32, 16};

struct row {
    const char *kernel;
    struct shape shape;
    int times;
    double seconds, gflop;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int32_t multiply_much(void *context, int64_t step, int64_t part, int worker)
{
    const struct simd *simd = context;
    int64_t n = 2 * simd->lanes, k = 96;
    float *a = memory_new(simd->rows * k, sizeof *a), *b = memory_new(n * k, sizeof *b);
    float *c = memory_new(simd->rows * n, sizeof *c);
    struct product product = {a, k, 1, b, n * k, n, c, n, simd->rows, n, k, false};

    (void)step, (void)part, (void)worker;
    for (int i = 0; i < PEAK_REPEATS; i++) simd->multiply(&product);
    memory_free(a);
    memory_free(b);
    memory_free(c);
    return CEM_OK;
}

/* GFLOP a second. */
static double peak(int threads)
{
    const struct simd *simd = simd_for(16, 16);
    double best = 1e9, flop = 2.0 * 96 * 2 * PEAK_REPEATS * threads;

    if (!simd) return 0;
    for (int run = 0; run < RUNS; run++) {
        double start = now();
        pool_for(threads, threads, multiply_much, (void *)(uintptr_t)simd);
        if (now() - start < best) best = now() - start;
    }
    return flop * (double)(simd->rows * simd->lanes) / best * 1e-9;
}

static double gflop_of(const struct shape *s)
{
    if (s->kind != OP_CONV && s->kind != OP_UPCONV) return 0;
    return 2e-9 * (double)(s->samples * s->out_h * s->out_w * s->out) *
           (double)(s->in * s->kernel * s->kernel);
}

static double time_op(const struct engine *engine, const struct model *model, int first, int last,
                      int threads)
{
    struct program_run run = {.program = engine->program,
                              .frame = &engine->frame,
                              .packed = engine->packed,
                              .parameters = &model->parameters,
                              .first = first,
                              .last = last};
    double best = 1e9;

    for (int i = 0; i < RUNS; i++) {
        double start = now();
        if (program_run(&run, threads, NULL) != CEM_OK) exit(1);
        if (now() - start < best) best = now() - start;
    }
    return best;
}

/* Ops of the same shape by the same kernel are one row. */
static struct row *find_row(struct row *rows, int *count, const struct plan *plan)
{
    for (int i = 0; i < *count; i++)
        if (rows[i].kernel == plan->kernel->name &&
            memcmp(&rows[i].shape, &plan->shape, sizeof plan->shape) == 0)
            return &rows[i];
    rows[*count] = (struct row){.kernel = plan->kernel->name, .shape = plan->shape};
    return &rows[(*count)++];
}

static void print_row(const struct row *r, double most)
{
    static const char *const kinds[] = {"convolution", "up-convolution", "max pool", "norm", "add"};
    const struct shape *s = &r->shape;
    double rate = r->gflop / r->seconds;

    printf(
        "| %s %lldx%lld/%lld | %lld to %lld at %lld | %s | %d | %.2f | %.2f | %.0f | %.0f %% |\n",
        kinds[s->kind], (long long)s->kernel, (long long)s->kernel, (long long)s->stride,
        (long long)s->in, (long long)s->out, (long long)s->out_h, r->kernel, r->times, r->gflop,
        r->seconds * 1e3, rate, most > 0 ? 100 * rate / most : 0);
}

static void print_table(const struct engine *engine, const struct model *model, int threads)
{
    static struct row rows[MOST_ROWS];
    const struct program *p = engine->program;
    double most = peak(threads), sum = 0;
    int count = 0;

    for (int first = 0, last; first < p->phase_count; first = last) {
        const struct op *op = &p->ops[p->phases[first].op];
        for (last = first; last < p->phase_count && p->phases[last].op == p->phases[first].op;)
            last++;
        struct row *row = find_row(rows, &count, op->plans[SLOT_FORWARD]);
        row->times++;
        row->seconds += time_op(engine, model, first, last, threads);
        row->gflop += gflop_of(&op->shape);
    }
    printf("| op | channels, side | kernel | times | GFLOP | ms | GFLOP/s | of the peak |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < count; i++) {
        print_row(&rows[i], most);
        sum += rows[i].seconds;
    }
    printf(
        "\nSum: %.1f ms; peak of the matrix product: %.0f GFLOP/s; arena %.0f MB, packed weights "
        "%.0f MB.\n",
        sum * 1e3, most, (double)p->arena / 1e6, (double)p->packed / 1e6);
}

int main(int count, char **arguments)
{
    int64_t side = count > 1 ? atoll(arguments[1]) : 512;
    int threads = count > 2 ? atoi(arguments[2]) : 2;
    struct program_options options = {
        .kind = PROGRAM_PREDICT, .samples = 1, .height = side, .width = side};
    struct engine engine = {0};
    struct model *model = NULL;

    if (model_new(&model, 2, WIDTHS, 0) != CEM_OK ||
        engine_new(&engine, model, &options, threads) != CEM_OK) {
        fprintf(stderr, "%s\n", error_line());
        return 1;
    }
    memset(frame_value(&engine.frame, engine.program, engine.program->image), 0,
           (size_t)(side * side) * sizeof(float));
    if (engine_run(&engine, model, threads, NULL) != CEM_OK) return 1;
    print_table(&engine, model, threads);
    engine_free(&engine);
    model_free(model);
    return 0;
}
