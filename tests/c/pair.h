/* A small image with its classes, for the tests of augmentation; tests/oracle/augment.py's twin. */
#ifndef CEM_PAIR_H
#define CEM_PAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

enum { SEED = 23, MOST = 4096 };

/* An image with its classes. */
struct pair {
    int64_t height, width;
    uint8_t image[MOST];
    int16_t target[MOST];
};

/* Noise, and classes -1, mostly 0, and 1 to 3. */
static struct pair make_source(int64_t height, int64_t width)
{
    struct pair p = {.height = height, .width = width};
    uint64_t stream = (uint64_t)(1000 * height + width);

    for (int64_t i = 0; i < height * width; i++) {
        int64_t v = random_below(SEED, stream, (uint64_t)(height * width + i), 20);
        p.image[i] = (uint8_t)random_below(SEED, stream, (uint64_t)i, 256);
        p.target[i] = (int16_t)(v == 0 ? -1 : v < 4 ? v : 0);
    }
    return p;
}

/* The largest difference of grey values from those written in hexadecimal; 999 if there are not as
 * many. */
static int grey_error(const uint8_t *image, int64_t pixels, const char *want)
{
    int most = (int64_t)strlen(want) == 2 * pixels ? 0 : 999;

    for (int64_t i = 0; i < pixels && most < 999; i++) {
        char digits[3] = {want[2 * i], want[2 * i + 1], 0};
        int difference = abs((int)strtol(digits, NULL, 16) - image[i]);
        if (difference > most) most = difference;
    }
    return most;
}

static bool same_classes(const int16_t *target, int64_t pixels, const char *want)
{
    for (int64_t i = 0; i < pixels; i++)
        if (want[i] != (target[i] < 0 ? '.' : '0' + target[i])) return false;
    return !want[pixels];
}

#endif
