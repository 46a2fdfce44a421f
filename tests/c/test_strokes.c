/* Strokes against a naive flood fill, the promises of holding out, and the threshold against a
 * direct count. */
#include "strokes.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "error.h"
#include "memory.h"
#include "random.h"

/* ---- components ---- */

/* Draws rows of digits, '.' for -1. */
static void draw(int16_t *target, const char *picture)
{
    for (int i = 0; picture[i]; i++)
        target[i] = (int16_t)(picture[i] == '.' ? -1 : picture[i] - '0');
}

static void strokes_that_touch_at_a_corner_are_one(void)
{
    int16_t target[12];
    int32_t component[12];
    int64_t count;
    const int32_t want[12] = {0, -1, -1, 1, -1, 0, -1, 1, -1, -1, 0, -1};

    draw(target, "1..1"
                 ".1.1"
                 "..1.");
    /* the lower one joins both */
    CHECK_EQ(strokes_label(component, &count, target, 3, 4), CEM_OK);
    CHECK_EQ(count, 1);
    for (int i = 0; i < 12; i++) CHECK_EQ(component[i], target[i] < 0 ? -1 : 0);
    target[10] = -1;
    component[10] = 9;
    CHECK_EQ(strokes_label(component, &count, target, 3, 4), CEM_OK);
    CHECK_EQ(count, 2);
    for (int i = 0; i < 12; i++) CHECK_EQ(component[i], i == 10 ? -1 : want[i]);
}

static void classes_do_not_join_and_zero_is_a_class(void)
{
    int16_t target[12];
    int32_t component[12];
    int64_t count;
    const int32_t want[12] = {0, 1, 0, 2, 0, 0, 0, 2, -1, 3, 3, -1};

    draw(target, "0102"
                 "0002"
                 ".33.");
    CHECK_EQ(strokes_label(component, &count, target, 3, 4), CEM_OK);
    CHECK_EQ(count, 4);
    for (int i = 0; i < 12; i++) CHECK_EQ(component[i], want[i]);
}

/* Gives `number` to everything of the stroke at `i` by spreading until nothing changes. */
static void flood(int32_t *component, const int16_t *target, int64_t h, int64_t w, int64_t i,
                  int32_t number)
{
    bool changed = true;

    component[i] = number;
    while (changed) {
        changed = false;
        for (int64_t a = 0; a < h * w; a++)
            for (int64_t b = 0; b < h * w && component[a] == number; b++) {
                bool near = llabs(a / w - b / w) <= 1 && llabs(a % w - b % w) <= 1;
                if (!near || component[b] == number || target[b] != target[i]) continue;
                component[b] = number;
                changed = true;
            }
    }
}

static void random_pictures_are_numbered_as_by_a_flood_fill(void)
{
    for (uint64_t trial = 0; trial < 200; trial++) {
        int64_t h = 1 + random_below(1, trial, 0, 9), w = 1 + random_below(1, trial, 1, 9);
        int64_t classes = 1 + random_below(1, trial, 2, 3), count, want_count = 0;
        int16_t target[81];
        int32_t component[81], want[81];
        for (int64_t i = 0; i < h * w; i++) {
            target[i] = (int16_t)(random_below(1, trial, (uint64_t)(10 + i), classes + 1) - 1);
            want[i] = -1;
        }
        for (int64_t i = 0; i < h * w; i++)
            if (target[i] >= 0 && want[i] < 0) flood(want, target, h, w, i, (int32_t)want_count++);
        CHECK_EQ(strokes_label(component, &count, target, h, w), CEM_OK);
        CHECK_EQ(count, want_count);
        for (int64_t i = 0; i < h * w; i++) CHECK_EQ(component[i], want[i]);
    }
}

static void a_spiral_of_a_million_pixels_is_one_stroke(void)
{
    const int64_t side = 1000;
    int16_t *target = memory_raw(side * side, sizeof *target);
    int32_t *component = memory_raw(side * side, sizeof *component);
    int64_t count = 0, y = 0, x = -1, left = side, drawn = 0;

    for (int64_t i = 0; i < side * side; i++) target[i] = -1;
    for (int turn = 0; left > 1; turn++) { /* each arm two pixels from the one before */
        for (int64_t i = 0; i < left; i++, drawn++) {
            y += turn % 4 == 1 ? 1 : turn % 4 == 3 ? -1 : 0;
            x += turn % 4 == 0 ? 1 : turn % 4 == 2 ? -1 : 0;
            target[y * side + x] = 3;
        }
        left -= turn == 0 ? 1 : turn % 2 == 0 ? 2 : 0;
    }
    CHECK_EQ(strokes_label(component, &count, target, side, side), CEM_OK);
    CHECK_EQ(count, 1);
    CHECK(drawn > 400000);
    memory_free(component);
    memory_free(target);
}

static void an_image_beyond_2_31_pixels_is_refused(void)
{
    int32_t component;
    int16_t target = 1;
    int64_t count;

    CHECK_EQ(strokes_label(&component, &count, &target, 65536, 32768), CEM_EARGUMENT);
    CHECK(strstr(error_line(), "65536 x 32768"));
}

/* ---- holding out ---- */

enum { MOST = 400 };

struct survey {
    int16_t members[MOST];
    int64_t sizes[MOST];
    uint8_t held_out[MOST];
    int64_t count;
    int classes;
};

static struct survey make_survey(uint64_t trial)
{
    struct survey s = {.classes = (int)(2 + random_below(3, trial, 0, 3))};

    for (int c = 0; c < s.classes; c++) {
        int64_t strokes = 4 + random_below(3, trial, (uint64_t)(1 + c), 60);
        for (int64_t i = 0; i < strokes; i++) {
            double big = random_uniform(3, trial, (uint64_t)(10 + s.count));
            s.members[s.count] = (int16_t)c;
            s.sizes[s.count++] = 1 + (int64_t)(1000 * big * big * big * big);
        }
    }
    return s;
}

static int32_t hold_out(struct survey *s, uint64_t seed)
{
    memset(s->held_out, 9, sizeof s->held_out);
    return strokes_hold_out(s->held_out, s->members, s->sizes, s->count, s->classes, seed);
}

static void held_out_strokes_are_one_in_five_and_at_most_35_percent_of_the_pixels(void)
{
    for (uint64_t trial = 0; trial < 500; trial++) {
        struct survey s = make_survey(trial);
        CHECK_EQ(hold_out(&s, trial), CEM_OK);
        for (int c = 0; c < s.classes; c++) {
            int64_t strokes = 0, pixels = 0, held = 0, held_pixels = 0;
            for (int64_t i = 0; i < s.count; i++) {
                CHECK(s.held_out[i] <= 1);
                if (s.members[i] != c) continue;
                strokes++, held += s.held_out[i];
                pixels += s.sizes[i], held_pixels += s.held_out[i] * s.sizes[i];
            }
            CHECK(held >= 1 && held <= (strokes + 2) / 5 + (strokes < 8));
            CHECK(100 * held_pixels <= 35 * pixels);
        }
    }
}

static void equal_strokes_give_exactly_one_in_five(void)
{
    struct survey s = {.count = 100, .classes = 2};
    int64_t held[2] = {0};

    for (int i = 0; i < 100; i++) s.members[i] = (int16_t)(i >= 60), s.sizes[i] = 10;
    CHECK_EQ(hold_out(&s, 5), CEM_OK);
    for (int i = 0; i < 100; i++) held[s.members[i]] += s.held_out[i];
    CHECK(held[0] == 12 && held[1] == 8);
}

static void a_class_with_three_strokes_means_that_none_is_held_out(void)
{
    struct survey s = {.count = 13, .classes = 3};
    int64_t held = 0;

    for (int i = 0; i < 13; i++) s.members[i] = (int16_t)(i % 4 == 3 ? 2 : i % 2), s.sizes[i] = 10;
    CHECK_EQ(hold_out(&s, 1), CEM_OK);
    for (int i = 0; i < 13; i++) held += s.held_out[i];
    CHECK_EQ(held, 0);
    s.classes = 2; /* without the class that has three, the others have enough */
    for (int i = 0; i < 13; i++) s.members[i] = (int16_t)(i % 2);
    CHECK_EQ(hold_out(&s, 1), CEM_OK);
    for (int i = 0; i < 13; i++) held += s.held_out[i];
    CHECK_EQ(held, 2);
}

static void the_choice_depends_on_the_seed_alone(void)
{
    struct survey s = make_survey(7), again = s;
    int different = 0;

    CHECK_EQ(hold_out(&s, 0), CEM_OK);
    for (uint64_t seed = 0; seed < 20; seed++) {
        CHECK_EQ(hold_out(&again, seed), CEM_OK);
        different += memcmp(s.held_out, again.held_out, sizeof s.held_out) != 0;
    }
    CHECK_EQ(different, 19);
}

static void a_failed_allocation_is_a_status(void)
{
    struct survey s = make_survey(0);

    memory_fail_at(1);
    CHECK_EQ(hold_out(&s, 0), CEM_EMEMORY);
    memory_fail_at(0);
    CHECK_EQ(memory_live(), 0);
    CHECK_EQ(hold_out(&s, 0), CEM_OK);
}

/* ---- the threshold ---- */

/* The mean IoU that `threshold` gives, from pixels that weigh 1 / (pixels of their class). */
static double mean_iou(const float *probability, const uint8_t *truth, int64_t n, double threshold)
{
    double weight[2] = {0}, both[2] = {0}, either[2] = {0};

    for (int64_t i = 0; i < n; i++) weight[truth[i]]++;
    for (int64_t i = 0; i < n; i++)
        for (int label = 0; label < 2; label++) {
            bool is = truth[i] == label, said = (probability[i] >= threshold) == label;
            both[label] += (is && said) / weight[truth[i]];
            either[label] += (is || said) / weight[truth[i]];
        }
    return both[0] / either[0] / 2 + both[1] / either[1] / 2;
}

static void the_threshold_is_nearest_to_the_share_among_those_nearly_as_good_as_the_best(void)
{
    enum { N = 300 };
    for (uint64_t trial = 0; trial < 200; trial++) {
        float probability[N];
        uint8_t truth[N];
        double found, best = 0, share = random_uniform(2, trial, 2 * N);
        for (uint64_t i = 0; i < N; i++) {
            double v = random_uniform(2, trial, 2 * i);
            truth[i] = random_uniform(2, trial, 2 * i + 1) < (trial % 2 ? 0.1 : 0.5);
            probability[i] = (float)(truth[i] ? pow(v, 0.1 * (double)(1 + trial % 20)) : v * v);
        }
        found = strokes_threshold(probability, truth, N, share);
        for (int k = 1; k < 50; k++) best = fmax(best, mean_iou(probability, truth, N, k / 50.0));
        CHECK(mean_iou(probability, truth, N, found) >= 0.9 * best - 1e-9);
        for (int k = 1; k < 50; k++) {
            bool nearer = fabs(k / 50.0 - 1 + share) < fabs(found - 1 + share) - 1e-9;
            CHECK(!nearer || mean_iou(probability, truth, N, k / 50.0) < 0.9 * best + 1e-9);
        }
    }
}

static void the_share_of_a_mixture_is_found_from_balanced_probabilities(void)
{
    for (int tenth = 1; tenth < 10; tenth++) {
        int64_t histogram[STROKES_BINS] = {0};
        /* likelihoods 2 p and 2 (1 - p): p is the posterior when both weigh the same */
        for (int bin = 0; bin < STROKES_BINS; bin++) {
            double p = (bin + 0.5) / STROKES_BINS;
            histogram[bin] = (int64_t)(1e6 * (tenth * 0.2 * p + (10 - tenth) * 0.2 * (1 - p)));
        }
        CHECK(fabs(strokes_share(histogram) - tenth / 10.0) < 0.01);
    }
}

static void equally_good_thresholds_give_the_one_nearest_a_half(void)
{
    const float apart[4] = {0.1f, 0.2f, 0.7f, 0.9f}, high[4] = {0.6f, 0.65f, 0.91f, 0.95f};
    const float low[4] = {0.01f, 0.09f, 0.31f, 0.4f};
    const uint8_t truth[4] = {0, 0, 1, 1};

    CHECK(strokes_threshold(apart, truth, 4, 0.5) == 0.5);
    CHECK(strokes_threshold(high, truth, 4, 0.5) == 0.66);
    CHECK(strokes_threshold(low, truth, 4, 0.5) == 0.3);
}

static void a_pixel_at_the_threshold_is_foreground(void)
{
    const float probability[5] = {0.1f, 0.5f, 0.505f, 0.7f, 0.7f};
    const uint8_t truth[5] = {0, 0, 1, 1, 1};

    CHECK(strokes_threshold(probability, truth, 5, 0.5) == 0.52); /* 0.5 would let 0.5 pass */
}

static void how_much_was_painted_does_not_move_the_threshold(void)
{
    enum { N = 2000 };
    float probability[N];
    uint8_t truth[N];
    double balanced;

    for (int i = 0; i < N; i++) {
        truth[i] = i % 2 == 1;
        probability[i] = (float)(i / 2 % 100) / 200 + (truth[i] ? 0.35f : 0);
    }
    balanced = strokes_threshold(probability, truth, N, 0.5);
    for (int i = 0; i < N; i++) /* a tenth of the foreground, as probable as all of it */
        if (truth[i] && i >= 200) truth[i] = 0, probability[i] -= 0.35f;
    CHECK(strokes_threshold(probability, truth, N, 0.5) == balanced);
}

static void without_both_kinds_of_pixels_the_threshold_is_a_half(void)
{
    const float probability[3] = {0.1f, 0.2f, 0.3f};
    const uint8_t none[3] = {0, 0, 0}, all[3] = {1, 1, 1};

    CHECK(strokes_threshold(probability, none, 3, 0.5) == 0.5);
    CHECK(strokes_threshold(probability, all, 3, 0.5) == 0.5);
    CHECK(strokes_threshold(probability, all, 0, 0.5) == 0.5);
}

int main(void)
{
    RUN(strokes_that_touch_at_a_corner_are_one);
    RUN(classes_do_not_join_and_zero_is_a_class);
    RUN(random_pictures_are_numbered_as_by_a_flood_fill);
    RUN(a_spiral_of_a_million_pixels_is_one_stroke);
    RUN(an_image_beyond_2_31_pixels_is_refused);
    RUN(held_out_strokes_are_one_in_five_and_at_most_35_percent_of_the_pixels);
    RUN(equal_strokes_give_exactly_one_in_five);
    RUN(a_class_with_three_strokes_means_that_none_is_held_out);
    RUN(the_choice_depends_on_the_seed_alone);
    RUN(a_failed_allocation_is_a_status);
    RUN(the_threshold_is_nearest_to_the_share_among_those_nearly_as_good_as_the_best);
    RUN(the_share_of_a_mixture_is_found_from_balanced_probabilities);
    RUN(equally_good_thresholds_give_the_one_nearest_a_half);
    RUN(a_pixel_at_the_threshold_is_foreground);
    RUN(how_much_was_painted_does_not_move_the_threshold);
    RUN(without_both_kinds_of_pixels_the_threshold_is_a_half);
    return CHECK_DONE();
}
