/* The losses against PyTorch's numbers, finite differences, and what is promised at the extremes.
 */
#include "loss.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "random.h"

enum { SEED = 7, PIXELS = 24, MOST = PIXELS * 4 };

struct golden {
    int outputs, kind, weighted, absent;
    double loss;
    double gradient[MOST];
};
static const struct golden golden[] = {
#include "../golden/loss.inc"
};
enum { CASES = sizeof golden / sizeof *golden };
static const double class_weights[4] = {0.1, 1, 2, 3};

/* A batch of two samples of PIXELS / 2 pixels. */
struct batch {
    int outputs, kind, weighted;
    float logits[MOST], gradient[MOST];
    int16_t target[PIXELS];
};

static int classes_of(const struct batch *b)
{
    return b->outputs == 1 ? 2 : b->outputs;
}

static struct batch make_batch(int number)
{
    const struct golden *g = &golden[number];
    struct batch b = {.outputs = g->outputs, .kind = g->kind, .weighted = g->weighted};

    for (int i = 0; i < PIXELS * b.outputs; i++)
        b.logits[i] = (float)(12 * random_uniform(SEED, (uint64_t)number, (uint64_t)i) - 6);
    for (int i = 0; i < PIXELS; i++) {
        int64_t drawn =
            random_below(SEED, (uint64_t)(100 + number), (uint64_t)i, classes_of(&b) + 1) - 1;
        b.target[i] = (int16_t)(drawn == g->absent ? -1 : drawn);
    }
    return b;
}

/* The loss and gradient of a batch, the way the trainer computes it. */
static double run(struct batch *b)
{
    const int half = PIXELS / 2;
    int64_t totals[256] = {0};
    float weights[256];
    double loss = 0;

    for (int s = 0; s < 2; s++) loss_count(totals, b->target + s * half, half);
    loss_weights(weights, totals, classes_of(b), b->kind, b->weighted ? class_weights : NULL);
    for (int s = 0; s < 2; s++)
        loss +=
            loss_backward(b->gradient + s * half * b->outputs, b->logits + s * half * b->outputs,
                          b->target + s * half, weights, half, b->outputs);
    return loss;
}

static void losses_and_gradients_are_those_of_pytorch(void)
{
    for (int i = 0; i < CASES; i++) {
        struct batch b = make_batch(i);
        CHECK(fabs(run(&b) - golden[i].loss) < 1e-6 * golden[i].loss);
        for (int k = 0; k < PIXELS * b.outputs; k++)
            CHECK(fabs(b.gradient[k] - golden[i].gradient[k]) < 1e-7);
    }
}

static void gradients_are_the_slopes_of_the_loss(void)
{
    for (int i = 0; i < CASES; i++) {
        struct batch b = make_batch(i);
        run(&b);
        for (int k = 0; k < PIXELS * b.outputs; k++) {
            struct batch low = b, high = b;
            low.logits[k] -= 0x1p-8f;
            high.logits[k] += 0x1p-8f;
            double width = (double)high.logits[k] - (double)low.logits[k];
            double slope = (run(&high) - run(&low)) / width;
            CHECK(fabs(slope - b.gradient[k]) < 1e-6);
        }
    }
}

static void ignored_pixels_have_no_gradient_and_no_say(void)
{
    for (int i = 0; i < CASES; i++) {
        struct batch b = make_batch(i), other;
        double loss = run(&b);
        int ignored = 0;
        other = b;
        for (int p = 0; p < PIXELS; p++)
            for (int k = 0; k < b.outputs && b.target[p] < 0; k++, ignored++) {
                CHECK(b.gradient[p * b.outputs + k] == 0);
                other.logits[p * b.outputs + k] = 1e30f;
            }
        CHECK(ignored > 0);
        CHECK(run(&other) == loss);
        CHECK(memcmp(other.gradient, b.gradient, sizeof b.gradient) == 0);
    }
}

static void a_batch_without_annotations_has_loss_and_gradient_zero(void)
{
    for (int i = 0; i < CASES; i++) {
        struct batch b = make_batch(i);
        for (int p = 0; p < PIXELS; p++) b.target[p] = -1;
        for (int k = 0; k < MOST; k++) b.gradient[k] = 7;
        CHECK(run(&b) == 0);
        for (int k = 0; k < PIXELS * b.outputs; k++) CHECK(b.gradient[k] == 0);
    }
}

static void classes_that_all_weigh_nothing_give_zeros(void)
{
    const int64_t totals[2] = {5, 5};
    const double nothing[2] = {0, 0};
    float weights[256];

    for (int kind = LOSS_BALANCED; kind <= LOSS_PLAIN; kind++) {
        loss_weights(weights, totals, 2, kind, nothing);
        for (int c = 0; c < 256; c++) CHECK(weights[c] == 0);
    }
}

static void extreme_logits_give_finite_exact_losses(void)
{
    const float extreme[3] = {1e4f, -1e4f, 0};
    const double want[2][3] = {{1e4, 0, 0.6931471805599453}, {0, 1e4, 0.6931471805599453}};
    float weights[256] = {1, 1, 1}, gradient[3];

    for (int16_t label = 0; label < 2; label++)
        for (int i = 0; i < 3; i++) {
            double loss = loss_backward(gradient, &extreme[i], &label, weights, 1, 1);
            CHECK(fabs(loss - want[label][i]) < 1e-12);
            CHECK(fabs(gradient[0]) <= 1);
        }
    for (int top = 0; top < 3; top++) /* the large one in each place */
        for (int16_t label = 0; label < 3; label++) {
            float logits[3] = {-1e4f, -1e4f, -1e4f};
            logits[top] = 1e4f;
            double loss = loss_backward(gradient, logits, &label, weights, 1, 3);
            CHECK(loss == (top == label ? 0 : 2e4));
            for (int k = 0; k < 3; k++) CHECK(gradient[k] == (float)((k == top) - (k == label)));
        }
}

static void a_rare_class_counts_as_much_as_a_common_one(void)
{
    const int64_t totals[2] = {9900, 100};
    float weights[256];

    loss_weights(weights, totals, 2, LOSS_BALANCED, NULL);
    CHECK(fabs(weights[0] * 9900 - 0.5) < 1e-6 && fabs(weights[1] * 100 - 0.5) < 1e-6);
    loss_weights(weights, totals, 2, LOSS_PLAIN, NULL);
    CHECK(weights[0] == weights[1] && fabs(weights[0] - 1e-4) < 1e-10);
}

/* The trainer runs samples on any thread; that is sound because a sample needs nothing but the
 * weights. */
static void a_sample_gives_the_same_bits_alone_and_in_any_order(void)
{
    struct batch b = make_batch(6), again;
    const int half = PIXELS / 2;
    const float weights[256] = {0.5f, 0.25f, 0.125f, 0.0625f};
    double first[2], second[2];

    again = b;
    for (int s = 0; s < 2; s++)
        first[s] = loss_backward(b.gradient + s * half * 4, b.logits + s * half * 4,
                                 b.target + s * half, weights, half, 4);
    for (int s = 1; s >= 0; s--)
        second[s] = loss_backward(again.gradient + s * half * 4, again.logits + s * half * 4,
                                  again.target + s * half, weights, half, 4);
    CHECK(first[0] == second[0] && first[1] == second[1] && first[0] != first[1]);
    CHECK(memcmp(b.gradient, again.gradient, sizeof b.gradient) == 0);
}

int main(void)
{
    RUN(losses_and_gradients_are_those_of_pytorch);
    RUN(gradients_are_the_slopes_of_the_loss);
    RUN(ignored_pixels_have_no_gradient_and_no_say);
    RUN(a_batch_without_annotations_has_loss_and_gradient_zero);
    RUN(classes_that_all_weigh_nothing_give_zeros);
    RUN(extreme_logits_give_finite_exact_losses);
    RUN(a_rare_class_counts_as_much_as_a_common_one);
    RUN(a_sample_gives_the_same_bits_alone_and_in_any_order);
    return CHECK_DONE();
}
