/* The gradient of the weights of nearest doubling and a 3x3 convolution by differences: the nine
 * weights' gradients are products of the maps of the input and sums of the result's gradient,
 * summed over pixels, and turned into those of the 3x3 weights, see doubling_pack.h.
 *
 * With few weights, lanes: a lane is a fixed run of blocks of pixels, summed in order in a cache;
 * lanes are then summed in order.  With many, maps of the whole batch are made in a phase of its
 * own, and a part sums up some of one product's channels over them. */
#include <stddef.h>

#include "cem.h"
#include "doubling_pack.h"
#include "floats.h"
#include "kernel.h"
#include "memory.h"
#include "simd.h"

enum { PAD = 16, BLOCK_FLOATS = 120 << 10, BLOCK_COLUMNS = 64, BLOCK_ROWS = 8, MOST_LANES = 4 };
enum { SHARED_COLUMNS = 128, MANY_WEIGHTS = 64 << 10, OWN_PARTS = 16, BUNCH = 16 };
enum { PHASE_MAPS, PHASE_MULTIPLY };

struct weights_plan {
    struct plan base;
    const struct simd *simd;
    int64_t rows, width;  /* pixels of a block; shared: of a sample */
    int64_t down, across; /* blocks of a sample */
    int64_t lanes;        /* or 0: shared */
    int64_t splits;       /* shared: in how many parts a product's channels are multiplied */
    int64_t maps, sums;   /* floats of a block's */
    int64_t product;      /* floats from one product's gradient to the next one's */
};

static bool supports(const struct shape *s, int slot)
{
    return slot == SLOT_WEIGHTS && !s->bias && doubling_supports(s);
}

static void size_block(struct weights_plan *p)
{
    const struct shape *s = &p->base.shape;

    p->maps = DOUBLED_MAPS * ((p->rows + 1) * (p->width + 1) * (s->in + PAD) + PAD);
    p->sums = DOUBLED_PRODUCTS * (p->rows * (p->width + 1) * (s->out + PAD) + PAD);
}

static void plan_lanes(struct weights_plan *p)
{
    const struct shape *s = &p->base.shape;

    p->width = at_most(BLOCK_COLUMNS, s->in_w);
    p->rows = at_most(BLOCK_ROWS, s->in_h);
    for (size_block(p); p->rows > 1 && p->maps + p->sums > BLOCK_FLOATS; size_block(p)) p->rows--;
    p->down = (s->in_h + p->rows - 1) / p->rows;
    p->across = (s->in_w + p->width - 1) / p->width;
    p->lanes = at_most(MOST_LANES, s->samples * p->down * p->across);
    p->base.phases = 2;
    p->base.parts[0] = p->lanes;
    p->base.workspace = (p->maps + p->sums) * (int64_t)sizeof(float);
    p->base.scratch = p->lanes * DOUBLED_PRODUCTS * p->product * (int64_t)sizeof(float);
}

static void plan_shared(struct weights_plan *p)
{
    const struct shape *s = &p->base.shape;

    p->width = s->in_w;
    p->rows = s->in_h;
    p->splits = (s->out + SHARED_COLUMNS - 1) / SHARED_COLUMNS;
    size_block(p);
    p->base.phases = 3;
    p->base.parts[PHASE_MAPS] = s->samples * s->in_h;
    p->base.parts[PHASE_MULTIPLY] = DOUBLED_PRODUCTS * p->splits;
    p->base.scratch =
        (DOUBLED_PRODUCTS * p->product + s->samples * (p->maps + p->sums)) * (int64_t)sizeof(float);
}

static int32_t weights_plan(struct plan **out, const struct shape *s, int slot)
{
    struct weights_plan *plan = memory_new(1, sizeof *plan);

    if (!plan) return CEM_EMEMORY;
    plan->base = (struct plan){.kernel = &kernel_doubling_weights, .shape = *s, .slot = slot};
    plan->simd = simd_for(s->in, s->out);
    plan->product = s->in * s->out + PAD;
    if (s->in * s->out > MANY_WEIGHTS) plan_shared(plan);
    else plan_lanes(plan);
    plan->base.parts[plan->base.phases - 1] = OWN_PARTS;
    *out = &plan->base;
    return CEM_OK;
}

static void weights_free(struct plan *plan)
{
    memory_free(plan);
}

static struct maps maps_in(const struct weights_plan *p, float *memory, int64_t width)
{
    struct maps maps = {.pixel = p->base.shape.in + PAD};

    for (int m = 0; m < DOUBLED_MAPS; m++) {
        maps.values[m] = memory + m * (p->maps / DOUBLED_MAPS);
        maps.pitch[m] = m < 2 ? width : width + 1;
    }
    return maps;
}

/* Behind the maps that go in. */
static struct maps maps_out(const struct weights_plan *p, float *memory, int64_t width)
{
    struct maps maps = {.pixel = p->base.shape.out + PAD};

    for (int k = 0; k < DOUBLED_PRODUCTS; k++) {
        maps.values[k] = memory + p->maps + k * (p->sums / DOUBLED_PRODUCTS);
        maps.pitch[k] = DOUBLING[k].map < 2 ? width : width + 1;
    }
    return maps;
}

/* gradient (in, out) of weight k, for `columns` channels from `first` = or += its products summed
 * over a block's pixels. */
static void multiply(const struct weights_plan *p, float *gradient, float *memory, int64_t k,
                     const struct region *region, int64_t first, int64_t columns, bool add)
{
    const struct shape *s = &p->base.shape;
    const struct doubling_product *product = &DOUBLING[k];
    struct maps in = maps_in(p, memory, region->columns),
                out = maps_out(p, memory, region->columns);
    int64_t pitch = out.pitch[k];
    struct product matrices = {.a = in.values[product->map] +
                                    (product->down * pitch + product->right) * in.pixel,
                               .a_row = 1,
                               .a_step = in.pixel,
                               .b = out.values[k] + first,
                               .b_panel = 2 * p->simd->lanes,
                               .b_step = out.pixel,
                               .c = gradient + k * p->product + first,
                               .c_row = s->out,
                               .m = s->in,
                               .n = columns,
                               .k = region->rows * pitch - product->right,
                               .add = add};

    p->simd->multiply(&matrices);
}

static struct region region_of(const struct weights_plan *p, int64_t block)
{
    const struct shape *s = &p->base.shape;
    struct region region = {.height = s->in_h,
                            .width = s->in_w,
                            .top = block / p->across % p->down * p->rows,
                            .left = block % p->across * p->width};

    region.rows = at_most(p->rows, s->in_h - region.top);
    region.columns = at_most(p->width, s->in_w - region.left);
    return region;
}

static void run_lane(const struct weights_plan *p, const struct operands *o, int64_t lane)
{
    const struct shape *s = &p->base.shape;
    float *gradient = (float *)o->scratch + lane * DOUBLED_PRODUCTS * p->product;
    int64_t blocks = s->samples * p->down * p->across, first = blocks * lane / p->lanes;

    for (int64_t block = first; block < blocks * (lane + 1) / p->lanes; block++) {
        struct region region = region_of(p, block);
        int64_t sample = block / (p->down * p->across);
        struct maps maps = maps_in(p, o->workspace, region.columns);
        struct maps sums = maps_out(p, o->workspace, region.columns);
        region.channels = s->in;
        p->simd->doubled_in(&maps, o->in + sample * s->in_h * s->in_w * s->in, &region);
        region.channels = s->out;
        p->simd->doubled_spread(&sums, o->out_gradient + sample * s->out_h * s->out_w * s->out,
                                &region);
        for (int64_t k = 0; k < DOUBLED_PRODUCTS; k++)
            multiply(p, gradient, o->workspace, k, &region, 0, s->out, block > first);
    }
}

static void move_down(struct maps *maps, int count, int64_t rows)
{
    for (int m = 0; m < count; m++) maps->values[m] += rows * maps->pitch[m] * maps->pixel;
}

/* Where the maps of a sample are, shared. */
static float *sample_maps(const struct weights_plan *p, const struct operands *o, int64_t sample)
{
    return (float *)o->scratch + DOUBLED_PRODUCTS * p->product + sample * (p->maps + p->sums);
}

/* One row of the small image; the differences below the last one come with it. */
static void make_row(const struct weights_plan *p, const struct operands *o, int64_t part)
{
    const struct shape *s = &p->base.shape;
    int64_t sample = part / s->in_h, row = part % s->in_h;
    struct maps maps = maps_in(p, sample_maps(p, o, sample), s->in_w);
    struct maps sums = maps_out(p, sample_maps(p, o, sample), s->in_w);
    struct region region = {.height = s->in_h,
                            .width = s->in_w,
                            .channels = s->in,
                            .top = row,
                            .rows = row == s->in_h - 1,
                            .columns = s->in_w};

    move_down(&maps, DOUBLED_MAPS, row);
    move_down(&sums, DOUBLED_PRODUCTS, row);
    p->simd->doubled_in(&maps, o->in + sample * s->in_h * s->in_w * s->in, &region);
    region.rows = 1;
    region.channels = s->out;
    p->simd->doubled_spread(&sums, o->out_gradient + sample * s->out_h * s->out_w * s->out,
                            &region);
}

static void run_product(const struct weights_plan *p, const struct operands *o, int64_t part)
{
    const struct shape *s = &p->base.shape;
    int64_t first = part % p->splits * SHARED_COLUMNS;
    struct region whole = {.rows = s->in_h, .columns = s->in_w};

    for (int64_t sample = 0; sample < s->samples; sample++)
        multiply(p, o->scratch, sample_maps(p, o, sample), part / p->splits, &whole, first,
                 at_most(SHARED_COLUMNS, s->out - first), sample > 0);
}

/* Input channels [in * part / parts, ...) of the gradient into the blob's rows. */
static void scatter(const struct weights_plan *p, const struct operands *o, int64_t part)
{
    const struct shape *s = &p->base.shape;
    int64_t first = s->in * part / OWN_PARTS, last = s->in * (part + 1) / OWN_PARTS;
    float *gradient = o->scratch;

    for (int64_t k = 0; k < DOUBLED_PRODUCTS; k++)
        for (int64_t lane = 1; lane < p->lanes; lane++) {
            float *sum = gradient + k * p->product + first * s->out;
            floats_add(sum, sum + lane * DOUBLED_PRODUCTS * p->product, (last - first) * s->out);
        }
    for (int64_t bunch = first; bunch < last; bunch += BUNCH)
        for (int64_t row = 0; row < s->out; row++)
            for (int64_t i = bunch; i < at_most(bunch + BUNCH, last); i++)
                doubling_plain_gradient(o->weight_gradient + row * s->row + i * 9,
                                        gradient + i * s->out + row, p->product);
}

static int32_t weights_run(const struct plan *base, const struct operands *o, int phase,
                           int64_t part)
{
    const struct weights_plan *plan = (const struct weights_plan *)base;

    if (phase == base->phases - 1) scatter(plan, o, part);
    else if (plan->lanes) run_lane(plan, o, part);
    else if (phase == PHASE_MAPS) make_row(plan, o, part);
    else run_product(plan, o, part);
    return CEM_OK;
}

const struct kernel kernel_doubling_weights = {
    "up-convolution by differences", supports, weights_plan, weights_free, NULL, weights_run};
