/* The gradient of the weights of 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3) turned
 * round: tiles of the input and of the result's gradient are transformed, each of 36 positions is a
 * product summed over tiles, and the sums are transformed back to 3x3.
 *
 * With few weights, lanes: a lane is a fixed run of tiles, summed in order in a cache; lanes are
 * then summed in order.  With many, all tiles of a chunk are transformed in a phase of its own, and
 * a part sums up one position over them. */
#include <stddef.h>

#include "cem.h"
#include "floats.h"
#include "kernel.h"
#include "memory.h"
#include "simd.h"
#include "winograd_pack.h"

enum { PAD = 16, BLOCK_FLOATS = 80 << 10, MOST_LANES = 4, LEAST_TILES = 8 };
enum { CHUNK_FLOATS = 2 << 20, TRANSFORM_TILES = 4, FEW_TILES = 32, OWN_PARTS = 16 };
enum { PHASE_TRANSFORM, PHASE_MULTIPLY, PHASES_OF_A_CHUNK };
static const int64_t LANE_WEIGHTS = 64 * 64;

struct weights_plan {
    struct plan base;
    const struct simd *simd;
    struct tiling_4x4 in, out;
    int64_t tiles, block; /* in all, transformed at a time */
    int64_t position;     /* floats from one position's gradient to the next one's */
    int64_t lanes;        /* or 0: chunks */
};

static int64_t tiles_of(const struct shape *s)
{
    return s->samples * ((s->out_h + 3) / 4) * ((s->out_w + 3) / 4);
}

/* With wide vectors products are quick, and over few tiles to write and read 36 sums for 9 weights
 * costs more than is saved. */
static bool pays(const struct shape *s)
{
    return tiles_of(s) >= FEW_TILES || s->in * s->out <= LANE_WEIGHTS ||
           simd_for(s->in, s->out) != &simd_avx512;
}

static bool supports(const struct shape *s, int slot)
{
    return slot == SLOT_WEIGHTS && !s->bias && winograd_supports(s) && pays(s);
}

static int64_t tile_floats(const struct weights_plan *p)
{
    return p->in.channels + p->out.channels + 2 * PAD;
}

static int64_t transformed_floats(const struct weights_plan *p)
{
    return WINOGRAD_POSITIONS * (p->block * tile_floats(p) + 2 * PAD);
}

static void plan_lanes(struct weights_plan *p)
{
    int64_t tiles = BLOCK_FLOATS / (WINOGRAD_POSITIONS * tile_floats(p));

    p->lanes = at_most(MOST_LANES, p->tiles);
    p->block = at_most(at_least(tiles, LEAST_TILES), (p->tiles + p->lanes - 1) / p->lanes);
    p->base.phases = 2;
    p->base.parts[0] = p->lanes;
    p->base.workspace = transformed_floats(p) * (int64_t)sizeof(float);
    p->base.scratch = p->lanes * WINOGRAD_POSITIONS * p->position * (int64_t)sizeof(float);
}

static void plan_chunks(struct weights_plan *p)
{
    int64_t floats = p->tiles * WINOGRAD_POSITIONS * tile_floats(p);
    int64_t chunks = at_least((floats + CHUNK_FLOATS - 1) / CHUNK_FLOATS, 1);

    chunks = at_most(chunks, (KERNEL_PHASES - 1) / PHASES_OF_A_CHUNK);
    p->block = (p->tiles + chunks - 1) / chunks;
    p->base.phases = (int)(chunks * PHASES_OF_A_CHUNK) + 1;
    for (int phase = 0; phase < p->base.phases - 1; phase++)
        p->base.parts[phase] = phase % PHASES_OF_A_CHUNK == PHASE_MULTIPLY
                                   ? WINOGRAD_POSITIONS
                                   : (p->block + TRANSFORM_TILES - 1) / TRANSFORM_TILES;
    p->base.scratch =
        (WINOGRAD_POSITIONS * p->position + transformed_floats(p)) * (int64_t)sizeof(float);
}

static int32_t weights_plan(struct plan **out, const struct shape *s, int slot)
{
    struct weights_plan *plan = memory_new(1, sizeof *plan);
    int64_t down = (s->out_h + 3) / 4, across = (s->out_w + 3) / 4;

    if (!plan) return CEM_EMEMORY;
    plan->base = (struct plan){.kernel = &kernel_winograd_weights, .shape = *s, .slot = slot};
    plan->simd = simd_for(s->in, s->out);
    plan->in = (struct tiling_4x4){s->in_h, s->in_w, s->in, down, across};
    plan->out = (struct tiling_4x4){s->out_h, s->out_w, s->out, down, across};
    plan->tiles = tiles_of(s);
    plan->position = s->in * s->out + PAD;
    if (s->in * s->out <= LANE_WEIGHTS) plan_lanes(plan);
    else plan_chunks(plan);
    plan->base.parts[plan->base.phases - 1] = OWN_PARTS;
    *out = &plan->base;
    return CEM_OK;
}

static void weights_free(struct plan *plan)
{
    memory_free(plan);
}

static struct transformed transformed_in(const struct weights_plan *p, void *memory)
{
    int64_t tile = p->in.channels + PAD;

    return (struct transformed){memory, p->block * tile + PAD, tile};
}

/* Behind the transformed input. */
static struct transformed transformed_out(const struct weights_plan *p, void *memory)
{
    struct transformed in = transformed_in(p, memory);
    int64_t tile = p->out.channels + PAD;

    return (struct transformed){in.values + WINOGRAD_POSITIONS * in.position, p->block * tile + PAD,
                                tile};
}

/* gradient (in, out) of one position = or += its products summed over `tiles`. */
static void multiply(const struct weights_plan *p, float *gradient, void *memory, int64_t position,
                     int64_t tiles, bool add)
{
    struct transformed in = transformed_in(p, memory), out = transformed_out(p, memory);
    struct product product = {.a = in.values + position * in.position,
                              .a_row = 1,
                              .a_step = in.tile,
                              .b = out.values + position * out.position,
                              .b_panel = 2 * p->simd->lanes,
                              .b_step = out.tile,
                              .c = gradient + position * p->position,
                              .c_row = p->out.channels,
                              .m = p->in.channels,
                              .n = p->out.channels,
                              .k = tiles,
                              .add = add};

    p->simd->multiply(&product);
}

static void transform(const struct weights_plan *p, const struct operands *o, void *memory,
                      int64_t place, int64_t first, int64_t tiles)
{
    struct transformed in = transformed_in(p, memory), out = transformed_out(p, memory);

    in.values += place * in.tile;
    out.values += place * out.tile;
    p->simd->winograd_in(&in, &p->in, o->in, first, tiles);
    p->simd->winograd_spread(&out, &p->out, o->out_gradient, first, tiles);
}

static void run_lane(const struct weights_plan *p, const struct operands *o, int64_t lane)
{
    float *gradient = (float *)o->scratch + lane * WINOGRAD_POSITIONS * p->position;
    int64_t begin = p->tiles * lane / p->lanes, end = p->tiles * (lane + 1) / p->lanes;

    for (int64_t first = begin; first < end; first += p->block) {
        int64_t tiles = at_most(p->block, end - first);
        transform(p, o, o->workspace, 0, first, tiles);
        for (int64_t position = 0; position < WINOGRAD_POSITIONS; position++)
            multiply(p, gradient, o->workspace, position, tiles, first > begin);
    }
}

static void run_chunk(const struct weights_plan *p, const struct operands *o, int phase,
                      int64_t part)
{
    float *gradient = o->scratch, *memory = gradient + WINOGRAD_POSITIONS * p->position;
    int64_t first = phase / PHASES_OF_A_CHUNK * p->block, place = part * TRANSFORM_TILES;
    int64_t tiles = at_most(p->block, p->tiles - first);

    if (phase % PHASES_OF_A_CHUNK == PHASE_MULTIPLY)
        multiply(p, gradient, memory, part, tiles, first > 0);
    else transform(p, o, memory, place, first + place, at_most(TRANSFORM_TILES, tiles - place));
}

static void sum_lanes(const struct weights_plan *p, float *gradient, int64_t first, int64_t floats)
{
    int64_t lane_floats = WINOGRAD_POSITIONS * p->position;

    for (int64_t position = 0; position < WINOGRAD_POSITIONS; position++) {
        float *sum = gradient + position * p->position + first;
        for (int64_t lane = 1; lane < p->lanes; lane++)
            floats_add(sum, sum + lane * lane_floats, floats);
    }
}

/* Input channels [in * part / parts, ...) of the gradient into the blob's rows. */
static void scatter(const struct weights_plan *p, const struct operands *o, int64_t part)
{
    const struct shape *s = &p->base.shape;
    int64_t first = s->in * part / OWN_PARTS, last = s->in * (part + 1) / OWN_PARTS;
    float *gradient = o->scratch;

    sum_lanes(p, gradient, first * s->out, (last - first) * s->out);
    winograd_plain_gradient(o->weight_gradient + first * s->kernel * s->kernel, s->row,
                            gradient + first * s->out, p->position, last - first, s->out);
}

static int32_t weights_run(const struct plan *base, const struct operands *o, int phase,
                           int64_t part)
{
    const struct weights_plan *plan = (const struct weights_plan *)base;

    if (phase == base->phases - 1) scatter(plan, o, part);
    else if (plan->lanes) run_lane(plan, o, part);
    else run_chunk(plan, o, phase, part);
    return CEM_OK;
}

const struct kernel kernel_winograd_weights = {"Winograd F(4x4, 3x3)", supports, weights_plan,
                                               weights_free,           NULL,     weights_run};
