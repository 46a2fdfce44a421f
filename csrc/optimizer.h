/* One step of an optimiser over some floats.  Every float is on its own, so the same bits come out
 * however the parameters are divided among workers.  `t` is the number of the step, from 1; the
 * moments start as zeros. */
#ifndef CEM_OPTIMIZER_H
#define CEM_OPTIMIZER_H

#include <stdint.h>

/* AdamW (Loshchilov and Hutter 2019): decoupled decay, beta2 0.999, epsilon 1e-8, and the bias
 * correction of PyTorch, 1 - beta1^t with the beta1 of this step.
 *   values, gradient, first, second  (count) */
void optimizer_adamw(float *values, const float *gradient, float *first, float *second,
                     int64_t count, double rate, double beta1, double decay, int64_t t);

/* Gradient descent with momentum as in PyTorch: momentum <- momentum * factor + gradient + decay *
 * values, without the first term at t = 1, then values -= rate * momentum.
 *   values, gradient, momentum  (count) */
void optimizer_sgd(float *values, const float *gradient, float *momentum, int64_t count,
                   double rate, double factor, double decay, int64_t t);

#endif
