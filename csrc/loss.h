/* The loss of a batch and its gradient, in steps that samples may take on different threads with
 * the same bits: count the classes, make a weight for each class, then one pass over each sample.
 *
 * `outputs` 1 is a logit of the foreground (class 1) against the background (class 0): binary
 * cross-entropy.  More outputs are a logit a class: softmax cross-entropy. */
#ifndef CEM_LOSS_H
#define CEM_LOSS_H

#include <stdint.h>

enum {
    LOSS_BALANCED, /* mean over the classes present in the batch of the mean over their pixels */
    LOSS_PLAIN     /* mean over the pixels */
};

/* Adds the pixels of each class to `counts`.
 *   target  (pixels) class of each pixel, -1 is ignored, at most 255 */
void loss_count(int64_t counts[256], const int16_t *target, int64_t pixels);

/* What one pixel of each class weighs.  All are finite, and 0 for classes of which the batch has no
 * pixel.
 *   totals         pixels of each class in the whole batch
 *   classes        2..256, background included
 *   class_weights  (classes), at least 0: both means become weighted means; NULL is all 1 */
void loss_weights(float weights[256], const int64_t *totals, int classes, int kind,
                  const double *class_weights);

/* Returns the sample's share of the batch's loss, and writes its gradient: exactly 0 where ignored.
 *   gradient, logits  (pixels, outputs)
 *   target            (pixels) -1 or a class: 0 or 1 if outputs is 1, else below outputs */
double loss_backward(float *gradient, const float *logits, const int16_t *target,
                     const float *weights, int64_t pixels, int outputs);

#endif
