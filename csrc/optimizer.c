/* Plain loops over floats that the compiler turns into vector instructions. */
#include "optimizer.h"

#include <math.h>

static const double beta2 = 0.999, epsilon = 1e-8;

void optimizer_adamw(float *restrict values, const float *restrict gradient, float *restrict first,
                     float *restrict second, int64_t count, double rate, double beta1, double decay,
                     int64_t t)
{
    const float keep = (float)(1 - rate * decay), small = (float)epsilon;
    const float toward = (float)(1 - beta1), old = (float)beta2, new = (float)(1 - beta2);
    const float size = (float)(rate / (1 - pow(beta1, (double)t)));
    const float scale = (float)(1 / sqrt(1 - pow(beta2, (double)t)));

    for (int64_t i = 0; i < count; i++) {
        float g = gradient[i];
        float m = first[i] + toward * (g - first[i]);
        float v = old * second[i] + new *(g * g);
        first[i] = m;
        second[i] = v;
        values[i] = keep * values[i] - size * (m / (scale * sqrtf(v) + small));
    }
}

void optimizer_sgd(float *restrict values, const float *restrict gradient, float *restrict momentum,
                   int64_t count, double rate, double factor, double decay, int64_t t)
{
    const float wane = (float)decay, old = t == 1 ? 0 : (float)factor, size = (float)rate;

    for (int64_t i = 0; i < count; i++) {
        float m = old * momentum[i] + (gradient[i] + wane * values[i]);
        momentum[i] = m;
        values[i] -= size * m;
    }
}
