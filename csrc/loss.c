/* Cross-entropy in double precision, in the forms that neither overflow nor cancel: log(1 + e^-|x|)
 * and log-sum-exp relative to the largest logit. */
#include "loss.h"

#include <math.h>

void loss_count(int64_t counts[256], const int16_t *target, int64_t pixels)
{
    for (int64_t i = 0; i < pixels; i++)
        if (target[i] >= 0) counts[target[i]]++;
}

void loss_weights(float weights[256], const int64_t *totals, int classes, int kind,
                  const double *class_weights)
{
    double sum = 0; /* of the weights of the classes present, or of all pixels */

    for (int c = 0; c < classes; c++) {
        double weight = class_weights ? class_weights[c] : 1;
        if (totals[c]) sum += kind == LOSS_BALANCED ? weight : weight * (double)totals[c];
    }
    for (int c = 0; c < 256; c++) {
        weights[c] = 0;
        if (c >= classes || !totals[c] || !(sum > 0)) continue;
        double weight = (class_weights ? class_weights[c] : 1) / sum;
        weights[c] = (float)(kind == LOSS_BALANCED ? weight / (double)totals[c] : weight);
    }
}

/* -log of the probability of `class`, and the gradient in the logit. */
static double binary(float *gradient, float logit, int class, double weight)
{
    double small = exp(-fabs((double)logit)), sigmoid = (logit >= 0 ? 1 : small) / (1 + small);
    double against = class ? -(double)logit : logit;

    *gradient = (float)(weight * (sigmoid - class));
    return weight * ((against > 0 ? against : 0) + log1p(small));
}

static double softmax(float *gradient, const float *logits, int class, double weight, int outputs)
{
    double largest = logits[0], sum = 0;

    for (int k = 1; k < outputs; k++)
        if (logits[k] > largest) largest = logits[k];
    for (int k = 0; k < outputs; k++) {
        double power = exp(logits[k] - largest);
        gradient[k] = (float)power;
        sum += power;
    }
    for (int k = 0; k < outputs; k++)
        gradient[k] = (float)(weight * (gradient[k] / sum - (k == class)));
    return weight * (log(sum) + largest - logits[class]);
}

double loss_backward(float *gradient, const float *logits, const int16_t *target,
                     const float *weights, int64_t pixels, int outputs)
{
    double loss = 0;

    for (int64_t i = 0; i < pixels; i++, gradient += outputs, logits += outputs) {
        int class = target[i];
        if (class < 0)
            for (int k = 0; k < outputs; k++) gradient[k] = 0;
        else if (outputs == 1) loss += binary(gradient, *logits, class, weights[class]);
        else loss += softmax(gradient, logits, class, weights[class], outputs);
    }
    return loss;
}
