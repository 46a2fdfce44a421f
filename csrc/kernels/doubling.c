/* Nearest doubling and a 3x3 convolution by differences, see doubling_pack.h.
 *
 * With few weights a part takes a block of pixels through all in its cache.  With many, differences
 * of a chunk of rows of the whole batch are made in a phase of its own, so that weights are read
 * once a chunk. */
#include <stddef.h>

#include "cem.h"
#include "doubling_pack.h"
#include "kernel.h"
#include "memory.h"
#include "simd.h"

enum { PAD = 16, BLOCK_FLOATS = 160 << 10, BLOCK_COLUMNS = 64, BLOCK_ROWS = 8 };
enum { COLUMNS = 64, SHARED_COLUMNS = 128, MANY_WEIGHTS = 64 << 10, CHUNK_PIXELS = 256 };
enum { PHASE_IN, PHASE_MULTIPLY, PHASE_OUT, PHASES_OF_A_CHUNK };

struct doubling_plan {
    struct plan base;
    const struct simd *simd;
    bool shared;            /* chunks in phases rather than blocks */
    int64_t rows, width;    /* pixels of a block or chunk */
    int64_t down, across;   /* blocks of a sample */
    int64_t columns;        /* channels of the result multiplied at a time */
    int64_t splits;         /* shared: in how many parts a product's channels are multiplied */
    int64_t maps, products; /* floats of a block's */
};

static bool supports(const struct shape *s, int slot)
{
    return slot == SLOT_FORWARD && doubling_supports(s);
}

static void size_block(struct doubling_plan *p)
{
    const struct shape *s = &p->base.shape;
    int64_t pixels = (p->rows + 1) * (p->width + 1);

    p->maps = DOUBLED_MAPS * (pixels * (s->in + PAD) + PAD);
    p->products = DOUBLED_PRODUCTS * (p->rows * (p->width + 1) * (p->columns + PAD) + PAD);
}

static void plan_blocks(struct doubling_plan *p)
{
    const struct shape *s = &p->base.shape;

    p->columns = at_most(COLUMNS, s->out);
    p->width = at_most(BLOCK_COLUMNS, s->in_w);
    p->rows = at_most(BLOCK_ROWS, s->in_h);
    for (size_block(p); p->rows > 1 && p->maps + p->products > BLOCK_FLOATS; size_block(p))
        p->rows--;
    p->down = (s->in_h + p->rows - 1) / p->rows;
    p->across = (s->in_w + p->width - 1) / p->width;
    p->base.phases = 1;
    p->base.parts[0] = s->samples * p->down * p->across;
    p->base.workspace = (p->maps + p->products) * (int64_t)sizeof(float);
}

static void plan_shared(struct doubling_plan *p)
{
    const struct shape *s = &p->base.shape;

    p->shared = true;
    p->columns = s->out;
    p->width = s->in_w;
    p->rows = at_most((CHUNK_PIXELS + s->in_w - 1) / s->in_w, s->in_h);
    p->down = at_most((s->in_h + p->rows - 1) / p->rows, KERNEL_PHASES / PHASES_OF_A_CHUNK);
    p->rows = (s->in_h + p->down - 1) / p->down;
    p->splits = (s->out + SHARED_COLUMNS - 1) / SHARED_COLUMNS;
    size_block(p);
    p->base.phases = (int)p->down * PHASES_OF_A_CHUNK;
    for (int phase = 0; phase < p->base.phases; phase++)
        p->base.parts[phase] = phase % PHASES_OF_A_CHUNK == PHASE_MULTIPLY
                                   ? DOUBLED_PRODUCTS * p->splits
                                   : s->samples * p->rows;
    p->base.scratch = s->samples * (p->maps + p->products) * (int64_t)sizeof(float);
}

static int32_t doubling_plan(struct plan **out, const struct shape *shape, int slot)
{
    struct doubling_plan *plan = memory_new(1, sizeof *plan);

    if (!plan) return CEM_EMEMORY;
    plan->base = (struct plan){.kernel = &kernel_doubling, .shape = *shape, .slot = slot};
    plan->simd = simd_for(shape->in, shape->out);
    plan->base.packed = doubling_packed(plan->simd, shape, slot);
    if (shape->in * shape->out > MANY_WEIGHTS) plan_shared(plan);
    else plan_blocks(plan);
    *out = &plan->base;
    return CEM_OK;
}

static void doubling_free(struct plan *plan)
{
    memory_free(plan);
}

static int32_t doubling_pack(const struct plan *base, void *packed, const float *weights,
                             const float *scale)
{
    const struct doubling_plan *plan = (const struct doubling_plan *)base;

    doubling_pack_weights(packed, plan->simd, &base->shape, base->slot, weights, scale);
    return CEM_OK;
}

static struct maps maps_in(const struct doubling_plan *p, float *memory, int64_t width)
{
    struct maps maps = {.pixel = p->base.shape.in + PAD};

    for (int m = 0; m < DOUBLED_MAPS; m++) {
        maps.values[m] = memory + m * (p->maps / DOUBLED_MAPS);
        maps.pitch[m] = m < 2 ? width : width + 1;
    }
    return maps;
}

/* Behind the maps that go in. */
static struct maps maps_out(const struct doubling_plan *p, float *memory, int64_t width)
{
    struct maps maps = {.pixel = p->columns + PAD};

    for (int k = 0; k < DOUBLED_PRODUCTS; k++) {
        maps.values[k] = memory + p->maps + k * (p->products / DOUBLED_PRODUCTS);
        maps.pitch[k] = DOUBLING[k].map < 2 ? width : width + 1;
    }
    return maps;
}

/* Product k over `rows` rows of a block, for channels [first, first + columns) of the result,
 * which go to the products' channels from `place`. */
static void multiply(const struct doubling_plan *p, const float *packed, float *memory, int64_t k,
                     const struct region *region, int64_t first, int64_t columns, int64_t place)
{
    const struct shape *s = &p->base.shape;
    const struct doubling_product *product = &DOUBLING[k];
    struct maps in = maps_in(p, memory, region->columns),
                out = maps_out(p, memory, region->columns);
    int64_t pitch = out.pitch[k], width = 2 * p->simd->lanes;
    struct product matrices = {
        .a = in.values[product->map] + (product->down * pitch + product->right) * in.pixel,
        .a_row = in.pixel,
        .a_step = 1,
        .b = packed + k * doubling_product(p->simd, s->in, s->out) + first * s->in,
        .b_panel = s->in * width,
        .b_step = width,
        .c = out.values[k] + place,
        .c_row = out.pixel,
        .m = region->rows * pitch - product->right,
        .n = columns,
        .k = s->in};

    p->simd->multiply(&matrices);
}

static struct finish finish_of(const struct shape *s, const struct operands *o, int64_t channel)
{
    return (struct finish){s->bias ? o->bias + channel : NULL, s->sum, s->relu};
}

static void run_block(const struct doubling_plan *p, const struct operands *o, int64_t part)
{
    const struct shape *s = &p->base.shape;
    int64_t sample = part / (p->down * p->across), block = part % (p->down * p->across);
    struct region in = {.height = s->in_h,
                        .width = s->in_w,
                        .channels = s->in,
                        .top = block / p->across * p->rows,
                        .left = block % p->across * p->width};
    struct region out;
    float *image = o->out + sample * s->out_h * s->out_w * s->out;

    in.rows = at_most(p->rows, s->in_h - in.top);
    in.columns = at_most(p->width, s->in_w - in.left);
    out = in;
    out.channels = s->out;
    struct maps maps = maps_in(p, o->workspace, in.columns);
    struct maps products = maps_out(p, o->workspace, in.columns);
    p->simd->doubled_in(&maps, o->in + sample * s->in_h * s->in_w * s->in, &in);
    for (int64_t c = 0; c < s->out; c += p->columns) {
        int64_t columns = at_most(p->columns, s->out - c);
        struct finish finish = finish_of(s, o, c);
        for (int64_t k = 0; k < DOUBLED_PRODUCTS; k++)
            multiply(p, o->packed, o->workspace, k, &in, c, columns, 0);
        p->simd->doubled_out(image + c, &products, &out, columns, &finish);
    }
}

static void move_down(struct maps *maps, int count, int64_t rows)
{
    for (int m = 0; m < count; m++) maps->values[m] += rows * maps->pitch[m] * maps->pixel;
}

/* One row of a chunk; the differences below the last one come with it. */
static void run_row(const struct doubling_plan *p, const struct operands *o, int phase,
                    int64_t part)
{
    const struct shape *s = &p->base.shape;
    int64_t sample = part / p->rows, place = part % p->rows;
    int64_t first = phase / PHASES_OF_A_CHUNK * p->rows, row = first + place;
    float *memory = (float *)o->scratch + sample * (p->maps + p->products);
    struct maps maps = maps_in(p, memory, s->in_w), products = maps_out(p, memory, s->in_w);
    struct region region = {.height = s->in_h,
                            .width = s->in_w,
                            .channels = s->in,
                            .top = row,
                            .rows = place == p->rows - 1 || row == s->in_h - 1,
                            .columns = s->in_w};
    struct finish finish = finish_of(s, o, 0);

    if (row >= s->in_h) return;
    if (phase % PHASES_OF_A_CHUNK == PHASE_IN) {
        move_down(&maps, DOUBLED_MAPS, place);
        p->simd->doubled_in(&maps, o->in + sample * s->in_h * s->in_w * s->in, &region);
        return;
    }
    move_down(&products, DOUBLED_PRODUCTS, place);
    region.rows = 1;
    region.channels = s->out;
    p->simd->doubled_out(o->out + sample * s->out_h * s->out_w * s->out, &products, &region, s->out,
                         &finish);
}

static void run_product(const struct doubling_plan *p, const struct operands *o, int phase,
                        int64_t part)
{
    const struct shape *s = &p->base.shape;
    int64_t first = part % p->splits * SHARED_COLUMNS;
    int64_t row = phase / PHASES_OF_A_CHUNK * p->rows;
    struct region chunk = {.rows = at_most(p->rows, s->in_h - row), .columns = s->in_w};

    for (int64_t sample = 0; sample < s->samples && chunk.rows > 0; sample++)
        multiply(p, o->packed, (float *)o->scratch + sample * (p->maps + p->products),
                 part / p->splits, &chunk, first, at_most(SHARED_COLUMNS, s->out - first), first);
}

static int32_t doubling_run(const struct plan *base, const struct operands *o, int phase,
                            int64_t part)
{
    const struct doubling_plan *plan = (const struct doubling_plan *)base;

    if (!plan->shared) run_block(plan, o, part);
    else if (phase % PHASES_OF_A_CHUNK == PHASE_MULTIPLY) run_product(plan, o, phase, part);
    else run_row(plan, o, phase, part);
    return CEM_OK;
}

const struct kernel kernel_doubling = {"up-convolution by differences",
                                       supports,
                                       doubling_plan,
                                       doubling_free,
                                       doubling_pack,
                                       doubling_run};
