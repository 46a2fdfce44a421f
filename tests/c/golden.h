/* Weights, images and labels by formula, and how far a result is from
 * tests/golden/: the twin of tests/oracle/formula.py, which says what the
 * formula is good for.  Run from the repository's root.  Included once, by the
 * test's only file. */
#ifndef CEM_GOLDEN_H
#define CEM_GOLDEN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "random.h"
#include "safetensors.h"

enum { GOLDEN_SEED = 500, GOLDEN_SAMPLES = 16, GOLDEN_STEP = 3 };

static const double GOLDEN_OFFSET = 128, GOLDEN_SCALE = 1.0 / 64;

/* The stream of random numbers that belongs to a tensor: FNV-1a of its name. */
static inline uint64_t golden_stream(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

/* `count` numbers in [low, high), their signs drawn too if `both`. */
static inline void golden_uniform(float *out, const char *name, int64_t count, double low,
                                  double high, bool both)
{
    const double from = (float)low, span = (float)(high - low);
    uint64_t stream = golden_stream(name);

    for (uint64_t i = 0; i < (uint64_t)count; i++) {
        double unit = (double)(random_bits(GOLDEN_SEED, stream, i) >> 40) * 0x1p-24;
        bool minus = both && random_bits(GOLDEN_SEED, stream ^ 1, i) >> 63;
        out[i] = (float)(from + span * unit) * (minus ? -1.0f : 1.0f);
    }
}

static inline bool golden_ends(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);

    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static inline void golden_tensor(float *out, const struct network_tensor *tensor)
{
    const char *name = tensor->name;
    bool branch = strstr(name, ".bn3.") != NULL, middle = strstr(name, ".bn2.") != NULL;
    int64_t count = tensor->count;

    if (tensor->rank == 4) {
        double bound = sqrt(6.0 / (double)(count / tensor->shape[0]));
        golden_uniform(out, name, count, -bound, bound, false);
    } else if (golden_ends(name, "running_mean")) {
        golden_uniform(out, name, count, -0.125, 0.125, false);
    } else if (golden_ends(name, "running_var")) {
        golden_uniform(out, name, count, 0.0625, 0.25, false);
    } else if (golden_ends(name, "weight")) {
        double low = branch ? 0.0625 : middle ? 0.375 : 0.25;
        golden_uniform(out, name, count, low, 2 * low, false);
    } else if (strncmp(name, "segmentation_head", 17) == 0) {
        golden_uniform(out, name, count, -0.5, 0.5, false);
    } else if (branch) {
        golden_uniform(out, name, count, 0.25, 0.5, false);
    } else {
        golden_uniform(out, name, count, middle ? 0.75 : 1, 1.5, true);
    }
}

/* Fills the parameter blob of `network`. */
static inline void golden_parameters(float *values, const struct network *network)
{
    struct network_tensor tensor;

    for (int i = 0; i < network->tensors; i++) {
        network_tensor_get(&tensor, network, i);
        if (tensor.place >= 0) golden_tensor(values + tensor.place, &tensor);
    }
}

/* 0..255, constant over cells of 8 x 8 pixels. */
static inline int golden_cell(uint64_t key, int64_t y, int64_t x)
{
    return (int)(random_bits(GOLDEN_SEED, 2 * key, (uint64_t)((y >> 3) * 4096 + (x >> 3))) >> 56);
}

/* Grey value of a pixel of image `key`. */
static inline uint8_t golden_pixel(uint64_t key, int64_t y, int64_t x)
{
    int noise = (int)(random_bits(GOLDEN_SEED, 2 * key + 1, (uint64_t)(y * 65536 + x)) >> 56);

    return (uint8_t)((golden_cell(key, y, x) * 3 + noise) >> 2);
}

/* The same as it enters the network. */
static inline float golden_input(uint64_t key, int64_t y, int64_t x)
{
    return (float)((golden_pixel(key, y, x) - GOLDEN_OFFSET) * GOLDEN_SCALE);
}

/* Class of a pixel of image `key` when all pixels count, of `classes`. */
static inline int16_t golden_class(uint64_t key, int classes, int64_t y, int64_t x)
{
    return (int16_t)((golden_cell(key, y, x) * classes) >> 8);
}

/* Class of a pixel of the image in place 0 or 1 of a batch when only strokes
 * count; else -1. */
static inline int16_t golden_stroke(int place, int classes, int64_t y, int64_t x)
{
    if (place == 1) return y >= 20 && y < 24 && x >= 8 && x < 41 ? 1 : -1;
    if (classes == 4 && y >= 40 && y < 61 && x >= 33 && x < 37) return 2;
    return y >= 5 && y < 12 && x >= 3 && x < 60 ? 0 : -1;
}

/* Which entry of a tensor of `count` numbers is sample `i` of its fingerprint.
 */
static inline int64_t golden_sample(const char *name, int i, int64_t count)
{
    return random_below(GOLDEN_SEED, golden_stream(name) ^ 2, (uint64_t)i, count);
}

/* How far a tensor is from its fingerprint, `expected`: the largest difference
 * of the norm, relative to the norm, and of the sampled entries, relative to
 * the largest of them or the tensor's root mean square, whichever is more. */
static inline double golden_deviation(const char *name, const float *values, int64_t count,
                                      const double expected[1 + GOLDEN_SAMPLES])
{
    double squares = 0, largest = expected[0] / sqrt((double)count), worst;

    for (int64_t i = 0; i < count; i++) squares += (double)values[i] * values[i];
    for (int i = 1; i <= GOLDEN_SAMPLES; i++)
        if (fabs(expected[i]) > largest) largest = fabs(expected[i]);
    if (largest == 0) return sqrt(squares);
    worst = fabs(sqrt(squares) - expected[0]) / expected[0];
    for (int i = 0; i < GOLDEN_SAMPLES; i++) {
        double value = values[golden_sample(name, i, count)];
        double off = fabs(value - expected[1 + i]) / largest;
        if (!(off <= worst)) worst = off;
    }
    return worst;
}

/* The numbers called "part.name" in `file`; the test ends if they are not
 * there. */
static inline const void *golden_find(const struct safetensors *file, const char *part,
                                      const char *name)
{
    char key[128];
    const struct safetensors_entry *entry;

    snprintf(key, sizeof key, "%s.%s", part, name);
    entry = safetensors_find(file, key);
    if (entry) return entry->data;
    printf("tests/golden/ has no %s\n", key);
    exit(1);
}

/* The file `name` of tests/golden/, to be freed with safetensors_free. */
static inline struct safetensors *golden_open(const char *name)
{
    struct safetensors *file;
    char path[128];

    snprintf(path, sizeof path, "tests/golden/%s.safetensors", name);
    if (safetensors_read(&file, path) == 0) return file;
    printf("%s cannot be read\n", path);
    exit(1);
}

#endif
