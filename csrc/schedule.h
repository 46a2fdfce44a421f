/* Learning rate and momentum as functions of the step. */
#ifndef CEM_SCHEDULE_H
#define CEM_SCHEDULE_H

#include "cem.h"

/* The rate of step `step`, from 0, and the momentum: beta1 of AdamW, or SGD's factor.
 *
 *   CEM_CONSTANT   learning_rate
 *   CEM_ONECYCLE   PyTorch's OneCycleLR over options->steps with its defaults: learning_rate / 25
 *                  up to learning_rate in the first 0.3, down to learning_rate / 25e4, by half
 *                  cosines; the momentum goes 0.95, 0.85, 0.95
 *   CEM_POLY       learning_rate * (1 - step / steps)^power
 *   CEM_MULTISTEP  learning_rate * 0.1^(milestones that are <= step)
 *
 * Elsewhere the momentum is 0.9 for AdamW and options->momentum for SGD.  Steps beyond the end are
 * as the last one. */
void schedule_at(double *rate, double *momentum, const cem_trainer_options *options, int64_t step);

#endif
