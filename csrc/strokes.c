/* Connected components by union and find, the parents kept in the result itself; then choices
 * among them. */
#include "strokes.h"

#include <math.h>

#include <stdbool.h>
#include <stdlib.h>

#include "error.h"
#include "memory.h"
#include "random.h"

/* ---- components ---- */

/* Every pixel points to one of its component that does not come after it; the first to itself. */
static int32_t find_first(int32_t *parent, int32_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

static void join(int32_t *parent, int32_t i, int32_t j)
{
    i = find_first(parent, i);
    j = find_first(parent, j);
    if (i < j) parent[j] = i;
    else parent[i] = j;
}

/* Joins pixel (y, x) with those neighbours of its class that come before it. */
static void join_neighbours(int32_t *parent, const int16_t *target, int64_t y, int64_t x,
                            int64_t width)
{
    int64_t at = y * width + x, above = at - width;

    if (x > 0 && target[at - 1] == target[at]) join(parent, (int32_t)at, (int32_t)at - 1);
    for (int64_t dx = -1; dx <= 1 && y > 0; dx++)
        if (x + dx >= 0 && x + dx < width && target[above + dx] == target[at])
            join(parent, (int32_t)at, (int32_t)(above + dx));
}

int32_t strokes_label(int32_t *component, int64_t *count, const int16_t *target, int64_t height,
                      int64_t width)
{
    int64_t pixels = height * width;
    int32_t found = 0;

    if (height > INT32_MAX / width)
        return error_set(CEM_EARGUMENT,
                         "an annotated image of %lld x %lld pixels is too large; "
                         "crop it to less than 2^31 pixels",
                         (long long)height, (long long)width);
    for (int64_t i = 0; i < pixels; i++) component[i] = target[i] < 0 ? -1 : (int32_t)i;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            if (target[y * width + x] >= 0) join_neighbours(component, target, y, x, width);
    /* parents come first, so theirs are numbers already: number n stands there as -2 - n */
    for (int64_t i = 0; i < pixels; i++)
        if (component[i] == i) component[i] = -2 - found++;
        else if (component[i] >= 0) component[i] = component[component[i]];
    for (int64_t i = 0; i < pixels; i++)
        if (component[i] < -1) component[i] = -2 - component[i];
    *count = found;
    return CEM_OK;
}

/* ---- holding out ---- */

enum { FEWEST = 4, ONE_IN = 5, MOST_PERCENT = 35 };

struct draw {
    uint64_t key;
    int64_t stroke;
};

static int by_key(const void *a, const void *b)
{
    const struct draw *left = a, *right = b;

    if (left->key != right->key) return left->key < right->key ? -1 : 1;
    return left->stroke < right->stroke ? -1 : left->stroke > right->stroke;
}

/* The strokes of `class` in a random order: how many they are. */
static int64_t shuffle(struct draw *order, const int16_t *members, int64_t count, int class,
                       uint64_t seed)
{
    int64_t found = 0;

    for (int64_t i = 0; i < count; i++)
        if (members[i] == class)
            order[found++] = (struct draw){random_bits(seed, (uint64_t) class, (uint64_t)i), i};
    qsort(order, (size_t)found, sizeof *order, by_key);
    return found;
}

/* Marks the first strokes of `order` that fit.  One always does: the smallest of four is no more
 * than a quarter. */
static void take(uint8_t *held_out, const struct draw *order, const int64_t *sizes, int64_t count)
{
    int64_t pixels = 0, taken_pixels = 0, taken = 0;
    int64_t wanted = (count + ONE_IN / 2) / ONE_IN; /* at least 1 of 4 */

    for (int64_t i = 0; i < count; i++) pixels += sizes[order[i].stroke];
    for (int64_t i = 0; i < count && taken < wanted; i++) {
        int64_t more = taken_pixels + sizes[order[i].stroke];
        if (more * 100 > pixels * MOST_PERCENT) continue;
        held_out[order[i].stroke] = 1;
        taken_pixels = more;
        taken++;
    }
}

static bool every_class_has_enough(const int16_t *members, int64_t count, int classes)
{
    int64_t strokes[256] = {0};

    for (int64_t i = 0; i < count; i++) strokes[members[i]]++;
    for (int c = 0; c < classes; c++)
        if (strokes[c] < FEWEST) return false;
    return true;
}

int32_t strokes_hold_out(uint8_t *held_out, const int16_t *members, const int64_t *sizes,
                         int64_t count, int classes, uint64_t seed)
{
    struct draw *order = memory_raw(count, sizeof *order);

    if (!order) return CEM_EMEMORY;
    for (int64_t i = 0; i < count; i++) held_out[i] = 0;
    if (every_class_has_enough(members, count, classes))
        for (int c = 0; c < classes; c++)
            take(held_out, order, sizes, shuffle(order, members, count, c, seed));
    memory_free(order);
    return CEM_OK;
}

/* ---- the threshold ---- */

enum { CANDIDATES = 49, ROUNDS = 200 };

static const double NEARLY = 0.9; /* of the best IoU is as good: strokes are a small sample */

static double candidate(int k)
{
    return (k + 1) / 50.0;
}

/* IoU of foreground and background, averaged, when `hits` of the foreground and `false_alarms` of
 * the background (both 0 to 1) are taken for foreground. */
static double balanced_iou(double hits, double false_alarms)
{
    return (hits / (1 + false_alarms) + (1 - false_alarms) / (2 - hits)) / 2;
}

/* Mean IoU of every candidate; false if either kind of pixel is missing. */
static bool judge_candidates(double iou[CANDIDATES], const float *probability,
                             const uint8_t *is_foreground, int64_t count)
{
    int64_t passing[2][CANDIDATES + 1] = {{0}}, totals[2] = {0};

    for (int64_t i = 0; i < count; i++) {
        int passed = 0, truth = is_foreground[i] != 0;
        while (passed < CANDIDATES && probability[i] >= candidate(passed)) passed++;
        passing[truth][passed]++;
        totals[truth]++;
    }
    for (int truth = 0; truth < 2; truth++) /* pixels that pass candidate k - 1, at least */
        for (int k = CANDIDATES; k > 0; k--) passing[truth][k - 1] += passing[truth][k];
    for (int k = 0; k < CANDIDATES && totals[0] && totals[1]; k++)
        iou[k] = balanced_iou((double)passing[1][k + 1] / (double)totals[1],
                              (double)passing[0][k + 1] / (double)totals[0]);
    return totals[0] && totals[1];
}

double strokes_threshold(const float *probability, const uint8_t *is_foreground, int64_t count,
                         double share)
{
    double iou[CANDIDATES], best = 0, threshold = 0.5, nearest = 2;

    if (!judge_candidates(iou, probability, is_foreground, count)) return threshold;
    for (int k = 0; k < CANDIDATES; k++) best = iou[k] > best ? iou[k] : best;
    for (int k = 0; k < CANDIDATES; k++) {
        double distance = fabs(candidate(k) - (1 - share));
        if (iou[k] < NEARLY * best || distance >= nearest) continue;
        nearest = distance;
        threshold = candidate(k);
    }
    return threshold;
}

double strokes_share(const int64_t histogram[STROKES_BINS])
{
    double share = 0.5;

    for (int round = 0; round < ROUNDS; round++) {
        double foreground = 0, all = 0;
        for (int bin = 0; bin < STROKES_BINS; bin++) {
            double p = (bin + 0.5) / STROKES_BINS;
            double posterior = share * p / (share * p + (1 - share) * (1 - p));
            foreground += posterior * (double)histogram[bin];
            all += (double)histogram[bin];
        }
        if (all == 0) return share;
        share = foreground / all;
    }
    return share;
}
