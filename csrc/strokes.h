/* Annotated strokes: which are held out of training to judge it, and the decision threshold that
 * suits them. */
#ifndef CEM_STROKES_H
#define CEM_STROKES_H

#include "cem.h"

/* Numbers the strokes: connected pixels of one class, corners connect.
 *   component  (height, width) number of each pixel's stroke, from 0 in the order of their first
 *              pixels; -1 where not annotated
 *   count      how many there are
 *   target     (height, width) classes, -1 is not annotated
 * An image of 2^31 pixels or more is refused. */
int32_t strokes_label(int32_t *component, int64_t *count, const int16_t *target, int64_t height,
                      int64_t width);

/* Chooses the strokes to hold out: none unless each of `classes` classes has at least 4; else of
 * each class about 1 in 5, at least 1, whose pixels are at most 35 % of the class's.
 *   held_out  (count) 1 where held out, else 0
 *   members   (count) class of each stroke, 0 .. classes - 1
 *   sizes     (count) its pixels, at least 1 */
int32_t strokes_hold_out(uint8_t *held_out, const int16_t *members, const int64_t *sizes,
                         int64_t count, int classes, uint64_t seed);

/* The decision threshold: training weighs all classes the same, so a probability of 0.5 is where
 * both would be as likely if half of the image were foreground.  Where the foreground's share is
 * `share`, both are as likely at 1 - share.  Of 0.02, 0.04 ... 0.98 this is the candidate nearest
 * to that whose mean IoU of foreground and background on the held-out pixels (both weighing the
 * same in all) is at least 0.9 of the best candidate's.  A pixel is foreground when its probability
 * is >= the threshold.  0.5 if either has no pixel. probability, is_foreground  (count) */
double strokes_threshold(const float *probability, const uint8_t *is_foreground, int64_t count,
                         double share);

enum { STROKES_BINS = 1024 };

/* The foreground's share of an image of which `histogram` counts the probabilities, bins from 0 to
 * 1, as they are when both classes weigh the same; by expectation maximisation (Saerens, Latinne,
 * Decaestecker, Neural Computation 2002).  0.5 if the histogram is empty. */
double strokes_share(const int64_t histogram[STROKES_BINS]);

#endif
