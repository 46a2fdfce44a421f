#include "doubling_pack.h"

enum { SIDE = 3, TAPS = SIDE * SIDE, BUNCH = 16 };

const struct doubling_product DOUBLING[DOUBLED_PRODUCTS] = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0},
                                                            {2, 0, 0}, {2, 0, 1}, {3, 0, 0},
                                                            {3, 0, 1}, {3, 1, 0}, {3, 1, 1}};

bool doubling_supports(const struct shape *s)
{
    return s->kind == OP_UPCONV && simd_for(s->in, s->out);
}

static int64_t whole_panels(const struct simd *simd, int64_t channels)
{
    int64_t width = 2 * simd->lanes;

    return (channels + width - 1) / width * width;
}

int64_t doubling_product(const struct simd *simd, int64_t in, int64_t out)
{
    return whole_panels(simd, out) * in;
}

int64_t doubling_packed(const struct simd *simd, const struct shape *s, int slot)
{
    int64_t floats = slot == SLOT_FORWARD ? doubling_product(simd, s->in, s->out)
                                          : doubling_product(simd, s->out, s->in);

    return DOUBLED_PRODUCTS * floats * (int64_t)sizeof(float);
}

static void nine_of(float *nine, const float *w, double scale)
{
    double row[SIDE], column[SIDE];

    for (int i = 0; i < SIDE; i++) {
        row[i] = (double)w[3 * i] + (double)w[3 * i + 1] + (double)w[3 * i + 2];
        column[i] = (double)w[i] + (double)w[3 + i] + (double)w[6 + i];
    }
    const double values[DOUBLED_PRODUCTS] = {
        row[0] + row[1] + row[2], -row[0], row[2], -column[0], column[2], w[0], -w[2], -w[6], w[8]};
    for (int k = 0; k < DOUBLED_PRODUCTS; k++) nine[k] = (float)(values[k] * scale);
}

void doubling_pack_weights(float *packed, const struct simd *simd, const struct shape *s, int slot,
                           const float *weights, const float *scale)
{
    int64_t width = 2 * simd->lanes, product = doubling_product(simd, s->in, s->out);
    bool forward = slot == SLOT_FORWARD;
    float nine[DOUBLED_PRODUCTS];

    for (int64_t pair = 0; pair < s->in * s->out; pair++) {
        int64_t bunch = pair / (BUNCH * s->out), within = pair % (BUNCH * s->out);
        int64_t bunches = s->in - bunch * BUNCH < BUNCH ? s->in - bunch * BUNCH : BUNCH;
        int64_t o = within / bunches, i = bunch * BUNCH + within % bunches;
        float *to = forward
                        ? packed + (o / width * s->in + i) * width + o % width
                        : packed + (i / width * DOUBLED_PRODUCTS * s->out + o) * width + i % width;
        nine_of(nine, weights + o * s->row + i * TAPS, scale ? (double)scale[o] : 1);
        for (int64_t k = 0; k < DOUBLED_PRODUCTS; k++)
            to[forward ? k * product : k * s->out * width] = nine[k];
    }
}

void doubling_plain_gradient(float *plain, const float *gradient, int64_t stride)
{
    double g[DOUBLED_PRODUCTS];

    for (int k = 0; k < DOUBLED_PRODUCTS; k++) g[k] = (double)gradient[k * stride];
    const double rows[SIDE] = {-g[1], 0, g[2]}, columns[SIDE] = {-g[3], 0, g[4]};
    const double corners[TAPS] = {g[5], 0, -g[6], 0, 0, 0, -g[7], 0, g[8]};
    for (int tap = 0; tap < TAPS; tap++)
        plain[tap] = (float)(g[0] + rows[tap / SIDE] + columns[tap % SIDE] + corners[tap]);
}
