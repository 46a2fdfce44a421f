/* Ten steps of each optimiser against PyTorch's, and what lets parameters be divided among
 * workers. */
#include "optimizer.h"

#include <math.h>
#include <string.h>

#include "check.h"
#include "random.h"
#include "schedule.h"

enum { SEED = 11, COUNT = 37, STEPS = 10 };
enum { CONSTANT, ONECYCLE, SGD };

static const double golden[3][COUNT] = {
#include "../golden/optimizer.inc"
};

struct state {
    float values[COUNT], first[COUNT], second[COUNT];
};

static struct state start(void)
{
    struct state s = {0};

    for (int i = 0; i < COUNT; i++)
        s.values[i] = (float)(2 * random_uniform(SEED, 0, (uint64_t)i) - 1);
    return s;
}

static void make_gradient(float *gradient, int step)
{
    for (int i = 0; i < COUNT; i++) {
        double v = 2 * random_uniform(SEED, (uint64_t)(1 + step), (uint64_t)i) - 1;
        gradient[i] = (float)(i % 8 == 3 ? v * 1e-7 : i % 8 == 5 ? 0 : v);
    }
}

/* One step on [from, to). */
static void advance(struct state *s, int kind, int step, int from, int to)
{
    cem_trainer_options options = {.steps = STEPS,
                                   .learning_rate = 3e-3,
                                   .momentum = 0.9,
                                   .optimizer = kind == SGD ? CEM_SGD : CEM_ADAMW,
                                   .schedule = kind == ONECYCLE ? CEM_ONECYCLE : CEM_CONSTANT};
    float gradient[COUNT];
    double rate, momentum;

    make_gradient(gradient, step);
    schedule_at(&rate, &momentum, &options, step);
    if (kind == SGD)
        optimizer_sgd(s->values + from, gradient + from, s->first + from, to - from, rate, momentum,
                      1e-2, step + 1);
    else
        optimizer_adamw(s->values + from, gradient + from, s->first + from, s->second + from,
                        to - from, rate, momentum, 0.1, step + 1);
}

static void ten_steps_are_those_of_pytorch(void)
{
    for (int kind = CONSTANT; kind <= SGD; kind++) {
        struct state s = start();
        for (int step = 0; step < STEPS; step++) advance(&s, kind, step, 0, COUNT);
        for (int i = 0; i < COUNT; i++) CHECK(fabs(s.values[i] - golden[kind][i]) < 1e-6);
    }
}

static void the_same_bits_come_out_however_the_floats_are_divided(void)
{
    for (int kind = CONSTANT; kind <= SGD; kind++)
        for (int cut = 1; cut < COUNT; cut++) {
            struct state whole = start(), parts = start();
            for (int step = 0; step < STEPS; step++) {
                advance(&whole, kind, step, 0, COUNT);
                advance(&parts, kind, step, cut, COUNT);
                advance(&parts, kind, step, 0, cut);
            }
            CHECK(memcmp(&whole, &parts, sizeof whole) == 0);
        }
}

static void without_a_gradient_adamw_only_decays(void)
{
    struct state s = start(), before = s;
    const float nothing[COUNT] = {0};

    optimizer_adamw(s.values, nothing, s.first, s.second, COUNT, 0.01, 0.9, 0.1, 1);
    for (int i = 0; i < COUNT; i++)
        CHECK(fabs(s.values[i] - 0.999 * before.values[i]) < 1e-7 && s.first[i] == 0);
}

static void adamw_takes_its_first_step_at_the_rate_whatever_the_gradient_is(void)
{
    for (float size = 1e-3f; size < 1e6f; size *= 10) {
        float value = 1, first = 0, second = 0;
        optimizer_adamw(&value, &size, &first, &second, 1, 0.01, 0.9, 0, 1);
        CHECK(fabs(value - 0.99) < 1e-6);
    }
}

static void sgd_starts_from_the_gradient_and_not_from_what_momentum_holds(void)
{
    float value = 2, gradient = 3, momentum = 100;

    optimizer_sgd(&value, &gradient, &momentum, 1, 0.5, 0.9, 0.25, 1);
    CHECK(momentum == 3.5f && value == 0.25f);
    optimizer_sgd(&value, &gradient, &momentum, 1, 0.5, 0.5, 0.25, 2);
    CHECK(momentum == 1.75f + 3.0625f && value == 0.25f - 0.5f * 4.8125f);
}

int main(void)
{
    RUN(ten_steps_are_those_of_pytorch);
    RUN(the_same_bits_come_out_however_the_floats_are_divided);
    RUN(without_a_gradient_adamw_only_decays);
    RUN(adamw_takes_its_first_step_at_the_rate_whatever_the_gradient_is);
    RUN(sgd_starts_from_the_gradient_and_not_from_what_momentum_holds);
    return CHECK_DONE();
}
