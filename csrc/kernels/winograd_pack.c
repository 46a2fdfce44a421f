#include "winograd_pack.h"

#include <string.h>

#include "cpu.h"

enum { TAPS = 3, SIDE = WINOGRAD_SIDE, MOST_LANES = 32, BUNCH = 16 };

/* With P = 3/4 and Q = 3/2: 1 / P^2 Q^2; of P and -P, (1, p, p^2) / 2 P^2 (P^2 - Q^2); of Q. */
static const double G[SIDE][TAPS] = {{64. / 81, 0, 0},
                                     {-128. / 243, -32. / 81, -8. / 27},
                                     {-128. / 243, 32. / 81, -8. / 27},
                                     {32. / 243, 16. / 81, 8. / 27},
                                     {32. / 243, -16. / 81, 8. / 27},
                                     {0, 0, 1}};

bool winograd_supports(const struct shape *s)
{
    return s->kind == OP_CONV && s->kernel == TAPS && s->stride == 1 && simd_for(s->in, s->out);
}

static int64_t panels_of(const struct simd *simd, int64_t out)
{
    return (out + 2 * simd->lanes - 1) / (2 * simd->lanes);
}

int64_t winograd_position(const struct simd *simd, int64_t in, int64_t out)
{
    return (panels_of(simd, out) * in + 1) * 2 * simd->lanes;
}

int64_t winograd_packed(const struct simd *simd, int64_t in, int64_t out)
{
    return WINOGRAD_POSITIONS * winograd_position(simd, in, out) * (int64_t)sizeof(float);
}

/* Weights of some channels of the input by the lanes of a panel, as they lie in the blob. */
struct bunch {
    float w[MOST_LANES][BUNCH * TAPS * TAPS];
};

/* Channels [from, from + count) that go in, those of a panel from `to` that come out. */
static void gather(struct bunch *bunch, const struct shape *s, int slot, int64_t from,
                   int64_t count, int64_t to, int64_t lanes, const float *weights)
{
    const int64_t side = TAPS * TAPS;

    for (int64_t lane = 0; lane < lanes; lane++) {
        if (slot == SLOT_FORWARD) {
            memcpy(bunch->w[lane], weights + (to + lane) * s->row + from * side,
                   (size_t)(count * side) * sizeof(float));
            continue;
        }
        for (int64_t k = 0; k < count; k++)
            for (int64_t tap = 0; tap < side; tap++)
                bunch->w[lane][k * side + side - 1 - tap] =
                    weights[(from + k) * s->row + (to + lane) * side + tap];
    }
}

/* One channel of a bunch as (tap, lane), times the scale of each output channel. */
static void spread(double w[TAPS * TAPS][MOST_LANES], const struct bunch *bunch, int64_t channel,
                   int64_t lanes, const float *scale, int64_t scale_step)
{
    for (int64_t lane = 0; lane < lanes; lane++)
        for (int tap = 0; tap < TAPS * TAPS; tap++)
            w[tap][lane] = (double)bunch->w[lane][channel * TAPS * TAPS + tap] *
                           (scale ? (double)scale[lane * scale_step] : 1);
}

/* G w G^T, position p to out[p * stride]. */
CPU_VECTORISED
static void transform(float *out, int64_t stride, double w[TAPS * TAPS][MOST_LANES], int64_t lanes)
{
    double half[SIDE][TAPS][MOST_LANES];

    for (int i = 0; i < SIDE; i++)
        for (int b = 0; b < TAPS; b++)
            for (int64_t l = 0; l < lanes; l++)
                half[i][b][l] =
                    G[i][0] * w[b][l] + G[i][1] * w[TAPS + b][l] + G[i][2] * w[2 * TAPS + b][l];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            for (int64_t l = 0; l < lanes; l++)
                out[(i * SIDE + j) * stride + l] =
                    (float)(G[j][0] * half[i][0][l] + G[j][1] * half[i][1][l] +
                            G[j][2] * half[i][2][l]);
}

void winograd_pack_weights(float *packed, const struct simd *simd, const struct shape *s, int slot,
                           const float *weights, const float *scale)
{
    int64_t from = slot == SLOT_FORWARD ? s->in : s->out, scale_step = slot == SLOT_FORWARD;
    int64_t to = slot == SLOT_FORWARD ? s->out : s->in, width = 2 * simd->lanes;
    double w[TAPS * TAPS][MOST_LANES];
    struct bunch bunch;

    for (int64_t first = 0; first < to; first += width)
        for (int64_t channel = 0; channel < from; channel++) {
            int64_t lanes = at_most(width, to - first), at = scale_step ? first : channel;
            if (channel % BUNCH == 0)
                gather(&bunch, s, slot, channel, at_most(BUNCH, from - channel), first, lanes,
                       weights);
            spread(w, &bunch, channel % BUNCH, lanes, scale ? scale + at : NULL, scale_step);
            transform(packed + first * from + channel * width, winograd_position(simd, from, to), w,
                      lanes);
        }
}

/* G^T u G of `lanes` output channels: u (position, lane), plain (tap, lane). */
CPU_VECTORISED
static void transform_back(float plain[TAPS * TAPS][MOST_LANES], const float *gradient,
                           int64_t position, int64_t lanes)
{
    double half[TAPS][SIDE][MOST_LANES] = {{{0}}}, sum[MOST_LANES];

    for (int i = 0; i < SIDE; i++)
        for (int a = 0; a < TAPS; a++) {
            const double g = G[i][a];
            for (int j = 0; j < SIDE && g != 0; j++)
                for (int64_t l = 0; l < lanes; l++)
                    half[a][j][l] += g * (double)gradient[(i * SIDE + j) * position + l];
        }
    for (int a = 0; a < TAPS; a++)
        for (int b = 0; b < TAPS; b++) {
            for (int64_t l = 0; l < lanes; l++) sum[l] = 0;
            for (int j = 0; j < SIDE; j++)
                for (int64_t l = 0; l < lanes; l++) sum[l] += G[j][b] * half[a][j][l];
            for (int64_t l = 0; l < lanes; l++) plain[a * TAPS + b][l] = (float)sum[l];
        }
}

void winograd_plain_gradient(float *plain, int64_t row, const float *gradient, int64_t position,
                             int64_t in, int64_t out)
{
    float w[TAPS * TAPS][MOST_LANES];
    struct bunch bunch;

    for (int64_t first = 0; first < out; first += MOST_LANES)
        for (int64_t i = 0; i < in; i++) {
            int64_t lanes = at_most(MOST_LANES, out - first), k = i % BUNCH;
            transform_back(w, gradient + i * out + first, position, lanes);
            for (int64_t l = 0; l < lanes; l++)
                for (int tap = 0; tap < TAPS * TAPS; tap++)
                    bunch.w[l][k * TAPS * TAPS + tap] = w[tap][l];
            if (k < BUNCH - 1 && i < in - 1) continue;
            for (int64_t l = 0; l < lanes; l++)
                memcpy(plain + (first + l) * row + (i - k) * TAPS * TAPS, bunch.w[l],
                       (size_t)((k + 1) * TAPS * TAPS) * sizeof(float));
        }
}
