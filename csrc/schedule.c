/* The schedules of PyTorch's lr_scheduler, in closed form. */
#include "schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* From `a` to `b` along half a cosine as `p` goes from 0 to 1. */
static double anneal(double a, double b, double p)
{
    return b + (a - b) / 2 * (cos(pi * p) + 1);
}

static void one_cycle(double *rate, double *momentum, double peak, double steps, double step)
{
    double top = 0.3 * steps - 1, end = steps - 1;

    if (step <= top) {
        double p = step / top;
        *rate = anneal(peak / 25, peak, p);
        *momentum = anneal(0.95, 0.85, p);
    } else {
        double p = (step - top) / (end - top);
        *rate = anneal(peak, peak / 25e4, p);
        *momentum = anneal(0.85, 0.95, p);
    }
}

void schedule_at(double *rate, double *momentum, const cem_trainer_options *options, int64_t step)
{
    double steps = (double)options->steps;
    int64_t at = step < options->steps ? step : options->steps - 1;

    *rate = options->learning_rate;
    *momentum = options->optimizer == CEM_SGD ? options->momentum : 0.9;
    if (options->schedule == CEM_ONECYCLE)
        one_cycle(rate, momentum, options->learning_rate, steps, (double)at);
    else if (options->schedule == CEM_POLY) *rate *= pow(1 - (double)at / steps, options->power);
    else if (options->schedule == CEM_MULTISTEP)
        for (int64_t i = 0; i < options->milestone_count; i++)
            if (options->milestones[i] <= at) *rate *= 0.1;
}
