/* The schedules against PyTorch's, step by step, and the published values of the method. */
#include "schedule.h"

#include <math.h>

#include "check.h"

static const int64_t milestones[] = {3, 6, 6};

struct row {
    int32_t schedule, optimizer;
    int64_t steps, step;
    double rate, momentum;
};
static const struct row golden[] = {
#include "../golden/schedule.inc"
};
enum { ROWS = sizeof golden / sizeof *golden };

static cem_trainer_options options_of(const struct row *row)
{
    return (cem_trainer_options){.steps = row->steps,
                                 .learning_rate = 3e-3,
                                 .momentum = 0.8,
                                 .power = 0.9,
                                 .milestones = milestones,
                                 .milestone_count = 3,
                                 .schedule = row->schedule,
                                 .optimizer = row->optimizer};
}

static int agrees(const struct row *row, int64_t step, double tolerance)
{
    cem_trainer_options options = options_of(row);
    double rate, momentum;

    schedule_at(&rate, &momentum, &options, step);
    return fabs(rate - row->rate) <= tolerance * row->rate &&
           fabs(momentum - row->momentum) <= tolerance;
}

static void every_step_is_pytorchs(void)
{
    CHECK(ROWS > 80);
    for (int i = 0; i < ROWS; i++) CHECK(agrees(&golden[i], golden[i].step, 1e-9));
}

static void one_cycle_over_1000_steps_has_the_methods_values(void)
{
    const struct row rows[] = {{CEM_ONECYCLE, CEM_ADAMW, 1000, 0, 1.2e-4, 0.95},
                               {CEM_ONECYCLE, CEM_ADAMW, 1000, 100, 8.44372084e-4, 0.924848},
                               {CEM_ONECYCLE, CEM_ADAMW, 1000, 299, 3e-3, 0.85},
                               {CEM_ONECYCLE, CEM_ADAMW, 1000, 500, 2.4299643e-3, 0.869001},
                               {CEM_ONECYCLE, CEM_ADAMW, 1000, 999, 1.2e-8, 0.95}};

    for (int i = 0; i < 5; i++) CHECK(agrees(&rows[i], rows[i].step, 5e-7));
}

static void a_constant_schedule_stays(void)
{
    const struct row adamw = {CEM_CONSTANT, CEM_ADAMW, 10, 0, 3e-3, 0.9};
    const struct row sgd = {CEM_CONSTANT, CEM_SGD, 10, 0, 3e-3, 0.8};

    for (int64_t step = 0; step < 100; step++)
        CHECK(agrees(&adamw, step, 0) && agrees(&sgd, step, 0));
}

static void steps_beyond_the_end_are_as_the_last(void)
{
    for (int i = 0; i < ROWS; i++) {
        const struct row *row = &golden[i];
        if (row->step != row->steps - 1) continue;
        CHECK(agrees(row, row->steps, 1e-9) && agrees(row, row->steps + 12345, 1e-9));
    }
}

static void milestones_count_from_their_own_step(void)
{
    const struct row before = {CEM_MULTISTEP, CEM_SGD, 9, 0, 3e-3, 0.8};
    const struct row first = {CEM_MULTISTEP, CEM_SGD, 9, 0, 3e-4, 0.8};
    const struct row all = {CEM_MULTISTEP, CEM_SGD, 9, 0, 3e-6, 0.8};

    CHECK(agrees(&before, 2, 1e-12) && agrees(&first, 3, 1e-12) && agrees(&first, 5, 1e-12));
    CHECK(agrees(&all, 6, 1e-12) && agrees(&all, 8, 1e-12));
}

int main(void)
{
    RUN(every_step_is_pytorchs);
    RUN(one_cycle_over_1000_steps_has_the_methods_values);
    RUN(a_constant_schedule_stays);
    RUN(steps_beyond_the_end_are_as_the_last);
    RUN(milestones_count_from_their_own_step);
    return CHECK_DONE();
}
