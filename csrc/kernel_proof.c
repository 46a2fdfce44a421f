/* Our own kernels prove themselves: an instruction set that nobody could try them on, or a compiler
 * that went wrong, costs speed and not a result. */
#include <math.h>
#include <pthread.h>
#include <stddef.h>

#include "cem.h"
#include "kernel.h"
#include "memory.h"
#include "random.h"

enum { WIDE = 16, NARROW = 8, MOST_VERDICTS = 32 };
static const double TOLERANCE = 1e-4; /* of the largest value */

static struct verdict {
    const struct kernel *kernel;
    int slot;
    bool wide, agrees;
} verdicts[MOST_VERDICTS];
static int count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_wide(const struct shape *s)
{
    return s->in % WIDE == 0 && s->out % WIDE == 0;
}

/* Channels for as wide vectors as those of `like`, more than one panel; pixels for cut tiles. */
static struct shape small_case(const struct shape *like)
{
    int64_t vector = is_wide(like) ? WIDE : NARROW, up = like->kind == OP_UPCONV ? 2 : 1;
    struct shape s = {.kind = like->kind,
                      .samples = 2,
                      .in_h = 9,
                      .in_w = 6,
                      .in = 3 * vector,
                      .out_h = 9 * up,
                      .out_w = 6 * up,
                      .out = 5 * vector,
                      .kernel = like->kernel,
                      .stride = 1};

    s.row = s.in * s.kernel * s.kernel;
    return s;
}

static void fill(float *values, int64_t floats, uint64_t stream)
{
    for (int64_t i = 0; i < floats; i++)
        values[i] = (float)(2 * random_uniform(0, stream, (uint64_t)i) - 1);
}

/* Runs `kernel` on the calling thread with made numbers.  `arrays` (3): in, out, weights; the
 * slot's result takes the place of what goes in. */
static int32_t run_case(const struct kernel *kernel, const struct shape *s, int slot,
                        float *const arrays[SLOTS])
{
    float *weights = arrays[SLOT_WEIGHTS];
    struct operands o = {.in = arrays[SLOT_DATA],
                         .out = arrays[SLOT_FORWARD],
                         .in_gradient = arrays[SLOT_DATA],
                         .out_gradient = arrays[SLOT_FORWARD],
                         .weight_gradient = weights};
    struct plan *plan = NULL;
    void *packed = NULL;
    int32_t status = kernel->plan(&plan, s, slot);

    if (status != CEM_OK) return status;
    packed = memory_raw(plan->packed, 1);
    o.scratch = memory_raw(plan->scratch, 1);
    o.workspace = memory_raw(plan->workspace, 1);
    if (!packed || !o.scratch || !o.workspace) status = CEM_EMEMORY;
    if (status == CEM_OK && slot != SLOT_WEIGHTS)
        status = kernel->pack(plan, packed, weights, NULL);
    o.packed = packed;
    for (int phase = 0; phase < plan->phases; phase++)
        for (int64_t part = 0; part < plan->parts[phase] && status == CEM_OK; part++)
            status = kernel->run(plan, &o, phase, part);
    memory_free(packed);
    memory_free(o.scratch);
    memory_free(o.workspace);
    kernel->free(plan);
    return status;
}

static bool same(const float *a, const float *b, int64_t floats)
{
    double largest = 0, error = 0;

    for (int64_t i = 0; i < floats; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        if (fabs((double)b[i]) > largest) largest = fabs((double)b[i]);
        if (!(difference <= error)) error = difference;
    }
    return error <= TOLERANCE * largest;
}

static int32_t compare(bool *agrees, const struct kernel *kernel, const struct kernel *peer,
                       const struct shape *s, int slot)
{
    const int64_t pixels = s->samples * s->in_h * s->in_w;
    const int64_t sizes[SLOTS] = {[SLOT_FORWARD] = s->samples * s->out_h * s->out_w * s->out,
                                  [SLOT_DATA] = pixels * s->in,
                                  [SLOT_WEIGHTS] = s->out * s->row};
    const struct kernel *kernels[2] = {kernel, peer};
    float *arrays[2][SLOTS] = {{NULL}};
    int32_t status = CEM_OK;

    for (int k = 0; k < 2 && status == CEM_OK; k++) {
        for (int i = 0; i < SLOTS && status == CEM_OK; i++) {
            if (!(arrays[k][i] = memory_raw(sizes[i], sizeof(float)))) status = CEM_EMEMORY;
            else fill(arrays[k][i], sizes[i], (uint64_t)i);
        }
        if (status == CEM_OK) status = run_case(kernels[k], s, slot, arrays[k]);
    }
    if (status == CEM_OK) *agrees = same(arrays[0][slot], arrays[1][slot], sizes[slot]);
    for (int i = 0; i < 2 * SLOTS; i++) memory_free(arrays[i / SLOTS][i % SLOTS]);
    return status;
}

static struct verdict *find(const struct kernel *kernel, const struct shape *s, int slot)
{
    for (int i = 0; i < count; i++)
        if (verdicts[i].kernel == kernel && verdicts[i].slot == slot &&
            verdicts[i].wide == is_wide(s))
            return &verdicts[i];
    return NULL;
}

int32_t kernel_prove(bool *agrees, const struct kernel *kernel, const struct kernel *peer,
                     const struct shape *shape, int slot)
{
    struct shape s = small_case(shape);
    const struct verdict *verdict;
    int32_t status = CEM_OK;

    pthread_mutex_lock(&lock);
    if ((verdict = find(kernel, shape, slot))) *agrees = verdict->agrees;
    else {
        status = compare(agrees, kernel, peer, &s, slot);
        if (status == CEM_EBACKEND) *agrees = false, status = CEM_OK; /* nothing to agree with */
        if (status == CEM_OK && count < MOST_VERDICTS)
            verdicts[count++] = (struct verdict){kernel, slot, is_wide(shape), *agrees};
    }
    pthread_mutex_unlock(&lock);
    return status;
}
