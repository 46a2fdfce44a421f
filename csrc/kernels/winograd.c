/* 3x3 convolutions of stride 1 and their gradients of the data by Winograd's F(4x4, 3x3): tiles are
 * transformed to 36 positions, each of which is a matrix product over channels, and transformed
 * back, with a quarter of the products.  The gradient of the data is the convolution of the
 * result's gradient with the weights turned round.
 *
 * Where many tiles meet few weights a part takes a block of tiles through all three, in its cache.
 * Where few tiles meet many weights all tiles are transformed in a phase of its own, so that every
 * weight is read once. */
#include <string.h>

#include "cem.h"
#include "kernel.h"
#include "memory.h"
#include "simd.h"
#include "winograd_pack.h"

enum { PAD = 16, BLOCK_FLOATS = 128 << 10, COLUMNS = 64 };
enum { CHUNK_FLOATS = 2 << 20, TRANSFORM_TILES = 4, LEAST_TILES = 12, MANY_TILES = 256 };
enum { PHASE_IN, PHASE_MULTIPLY, PHASE_OUT, PHASES_OF_A_CHUNK };

struct winograd_plan {
    struct plan base;
    const struct simd *simd;
    struct tiling_4x4 from, to;
    int64_t tiles, block; /* in all, in a block or chunk */
    int64_t columns;      /* channels of the result multiplied at a time */
    bool shared;          /* chunks in phases rather than blocks */
};

static bool supports(const struct shape *s, int slot)
{
    return slot != SLOT_WEIGHTS && winograd_supports(s);
}

static struct tiling_4x4 tiling_of(const struct shape *s, int64_t channels)
{
    return (struct tiling_4x4){s->out_h, s->out_w, channels, (s->out_h + 3) / 4,
                               (s->out_w + 3) / 4};
}

/* The transformed input and result of `tiles` tiles, in floats. */
static int64_t floats_of(const struct winograd_plan *p, int64_t tiles, int64_t columns)
{
    return WINOGRAD_POSITIONS * (tiles * (p->from.channels + PAD) + PAD) +
           WINOGRAD_POSITIONS * (tiles * (columns + PAD) + PAD);
}

static void plan_blocks(struct winograd_plan *p)
{
    int64_t rows = p->simd->rows, tile;

    p->columns = at_most(COLUMNS, p->to.channels);
    tile = WINOGRAD_POSITIONS * (p->from.channels + p->columns + 2 * PAD);
    p->block = at_most(at_least(BLOCK_FLOATS / tile / rows * rows, LEAST_TILES), p->tiles);
    p->base.phases = 1;
    p->base.parts[0] = (p->tiles + p->block - 1) / p->block;
    p->base.workspace = floats_of(p, p->block, p->columns) * (int64_t)sizeof(float);
}

static void plan_chunks(struct winograd_plan *p)
{
    int64_t floats = WINOGRAD_POSITIONS * (p->from.channels + p->to.channels + 2 * PAD);
    int64_t chunks = at_least((p->tiles * floats + CHUNK_FLOATS - 1) / CHUNK_FLOATS, 1);

    p->shared = true;
    p->columns = p->to.channels;
    chunks = at_most(chunks, KERNEL_PHASES / PHASES_OF_A_CHUNK);
    p->block = (p->tiles + chunks - 1) / chunks;
    p->base.phases = (int)(chunks * PHASES_OF_A_CHUNK);
    for (int phase = 0; phase < p->base.phases; phase++)
        p->base.parts[phase] = phase % PHASES_OF_A_CHUNK == PHASE_MULTIPLY
                                   ? WINOGRAD_POSITIONS
                                   : (p->block + TRANSFORM_TILES - 1) / TRANSFORM_TILES;
    p->base.scratch = floats_of(p, p->block, p->columns) * (int64_t)sizeof(float);
}

static int32_t winograd_plan(struct plan **out, const struct shape *shape, int slot)
{
    struct winograd_plan *plan = memory_new(1, sizeof *plan);
    int64_t in = slot == SLOT_FORWARD ? shape->in : shape->out;
    int64_t to = slot == SLOT_FORWARD ? shape->out : shape->in;

    if (!plan) return CEM_EMEMORY;
    plan->base = (struct plan){.kernel = &kernel_winograd, .shape = *shape, .slot = slot};
    plan->simd = simd_for(shape->in, shape->out);
    plan->from = tiling_of(shape, in);
    plan->to = tiling_of(shape, to);
    plan->tiles = shape->samples * plan->from.down * plan->from.across;
    plan->base.packed = winograd_packed(plan->simd, in, to);
    if (plan->tiles > MANY_TILES) plan_blocks(plan);
    else plan_chunks(plan);
    *out = &plan->base;
    return CEM_OK;
}

static void winograd_free(struct plan *plan)
{
    memory_free(plan);
}

static int32_t winograd_pack(const struct plan *base, void *packed, const float *weights,
                             const float *scale)
{
    const struct winograd_plan *plan = (const struct winograd_plan *)base;

    winograd_pack_weights(packed, plan->simd, &base->shape, base->slot, weights, scale);
    return CEM_OK;
}

/* A run's arrays, by slot. */
struct sides {
    const float *in;
    float *out;
    struct finish finish;
};

static struct sides sides_of(const struct plan *plan, const struct operands *o)
{
    const struct shape *s = &plan->shape;

    if (plan->slot == SLOT_DATA) return (struct sides){o->out_gradient, o->in_gradient, {0}};
    return (struct sides){o->in, o->out, {s->bias ? o->bias : NULL, s->sum, s->relu}};
}

static struct transformed transformed_in(const struct winograd_plan *p, void *memory)
{
    int64_t tile = p->from.channels + PAD;

    return (struct transformed){memory, p->block * tile + PAD, tile};
}

/* Behind the transformed input. */
static struct transformed transformed_out(const struct winograd_plan *p, void *memory)
{
    struct transformed in = transformed_in(p, memory);
    int64_t tile = p->columns + PAD;

    return (struct transformed){in.values + WINOGRAD_POSITIONS * in.position, p->block * tile + PAD,
                                tile};
}

/* One position of `tiles` tiles, for channels [first, first + columns) of the result. */
static void multiply(const struct winograd_plan *p, const void *packed, void *memory,
                     int64_t position, int64_t tiles, int64_t first, int64_t columns)
{
    struct transformed in = transformed_in(p, memory), out = transformed_out(p, memory);
    int64_t depth = p->from.channels, width = 2 * p->simd->lanes;
    const float *weights = packed;
    struct product product = {
        .a = in.values + position * in.position,
        .a_row = in.tile,
        .a_step = 1,
        .b = weights + position * winograd_position(p->simd, depth, p->to.channels) + first * depth,
        .b_panel = depth * width,
        .b_step = width,
        .c = out.values + position * out.position,
        .c_row = out.tile,
        .m = tiles,
        .n = columns,
        .k = depth};

    p->simd->multiply(&product);
}

static void run_block(const struct winograd_plan *p, const struct operands *o, int64_t part)
{
    struct sides sides = sides_of(&p->base, o);
    struct transformed in = transformed_in(p, o->workspace), out = transformed_out(p, o->workspace);
    int64_t first = part * p->block, tiles = at_most(p->block, p->tiles - first);

    p->simd->winograd_in(&in, &p->from, sides.in, first, tiles);
    for (int64_t c = 0; c < p->to.channels; c += p->columns) {
        int64_t columns = at_most(p->columns, p->to.channels - c);
        struct finish finish = sides.finish;
        if (finish.bias) finish.bias += c;
        for (int64_t position = 0; position < WINOGRAD_POSITIONS; position++)
            multiply(p, o->packed, o->workspace, position, tiles, c, columns);
        p->simd->winograd_out(sides.out + c, &p->to, &out, first, tiles, columns, &finish);
    }
}

static void run_chunk(const struct winograd_plan *p, const struct operands *o, int phase,
                      int64_t part)
{
    struct sides sides = sides_of(&p->base, o);
    struct transformed in = transformed_in(p, o->scratch), out = transformed_out(p, o->scratch);
    int64_t chunk = phase / PHASES_OF_A_CHUNK * p->block, place = part * TRANSFORM_TILES;
    int64_t tiles = at_most(p->block, p->tiles - chunk),
            few = at_most(TRANSFORM_TILES, tiles - place);

    in.values += place * in.tile;
    out.values += place * out.tile;
    switch (phase % PHASES_OF_A_CHUNK) {
    case PHASE_IN:
        p->simd->winograd_in(&in, &p->from, sides.in, chunk + place, few);
        break;
    case PHASE_MULTIPLY:
        multiply(p, o->packed, o->scratch, part, tiles, 0, p->columns);
        break;
    default:
        p->simd->winograd_out(sides.out, &p->to, &out, chunk + place, few, p->to.channels,
                              &sides.finish);
    }
}

static int32_t winograd_run(const struct plan *base, const struct operands *o, int phase,
                            int64_t part)
{
    const struct winograd_plan *plan = (const struct winograd_plan *)base;

    if (plan->shared) run_chunk(plan, o, phase, part);
    else run_block(plan, o, part);
    return CEM_OK;
}

const struct kernel kernel_winograd = {"Winograd F(4x4, 3x3)", supports,      winograd_plan,
                                       winograd_free,          winograd_pack, winograd_run};
