/* Whole augmented samples against albumentations 0.5.2 on OpenCV: the sequence with its order, its
 * odds and its random numbers. */
#include "augment.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "memory.h"
#include "pair.h"

/* ---- against albumentations ---- */

struct sample {
    int64_t height, width, crop;
    int32_t flags;
    uint64_t sample;
    const char *image, *target;
};

#define CUT(...)
#define ROTATE(...)
#define BLUR(...)
#define GREY(...)
#define SAMPLE(...) {__VA_ARGS__},
static const struct sample samples[] = {
#include "../golden/augment.inc"
};
enum { SAMPLES = sizeof samples / sizeof *samples };

/* Two grey levels: one of the resize, times a contrast of up to 1.3. */
static void whole_samples_are_those_of_albumentations(void)
{
    CHECK(SAMPLES == 16);
    for (int i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        struct pair in = make_source(s->height, s->width), out;
        CHECK_EQ(augment_sample(out.image, out.target, in.image, in.target, s->height, s->width,
                                s->crop, s->flags, SEED, s->sample),
                 CEM_OK);
        CHECK(grey_error(out.image, s->crop * s->crop, s->image) <= 2);
        CHECK(same_classes(out.target, s->crop * s->crop, s->target));
    }
}

/* ---- the sequence ---- */

static struct pair augmented(const struct pair *in, int64_t crop, int32_t flags, uint64_t sample)
{
    struct pair out = {.height = crop, .width = crop};

    augment_sample(out.image, out.target, in->image, in->target, in->height, in->width, crop, flags,
                   SEED, sample);
    return out;
}

/* How many of 2000 samples a flag changes. */
static int changed(const struct pair *in, int32_t flag)
{
    int count = 0;

    for (uint64_t sample = 0; sample < 2000; sample++) {
        struct pair with = augmented(in, 16, flag, sample), without = augmented(in, 16, 0, sample);
        count += memcmp(&with, &without, sizeof with) != 0;
    }
    return count;
}

static void each_augmentation_has_its_odds(void)
{
    struct pair in = make_source(16, 16), wide = make_source(40, 40);

    CHECK_EQ(changed(&in, 0), 0);
    CHECK_EQ(changed(&in, CEM_CROP_NONEMPTY), 0); /* the image is as large as the crop */
    for (int32_t flag = CEM_ROTATE; flag < CEM_FLIPS; flag *= 2) {
        int count = changed(&in, flag);
        CHECK(count > 900 && count < 1100);
    }
    CHECK(abs(changed(&in, CEM_FLIPS) - 1500) < 90); /* 1 - 1/4 */
    CHECK(changed(&in, CEM_RESIZED_CROP) > 1950);
    memset(wide.target, 0, sizeof wide.target);
    wide.target[0] = 1; /* a corner that few other crops would hold */
    int held = 0;
    for (uint64_t sample = 0; sample < 2000; sample++) {
        struct pair out = augmented(&wide, 16, CEM_CROP_NONEMPTY, sample);
        held += out.target[0] == 1;
    }
    CHECK(held > 1540 && held < 1670); /* 0.8, and 1 in 625 of the rest */
}

static void flips_across_and_down_are_drawn_apart(void)
{
    struct pair in = make_source(16, 16);
    int seen[4] = {0};

    for (uint64_t sample = 0; sample < 2000; sample++) {
        struct pair out = augmented(&in, 16, CEM_FLIPS, sample);
        for (int how = 0; how < 4; how++) {
            struct pair want = in;
            augment_flip(want.image, want.target, 16, 16, how & 1, how >> 1);
            seen[how] += memcmp(&out, &want, sizeof out) == 0;
        }
    }
    CHECK_EQ(seen[0] + seen[1] + seen[2] + seen[3], 2000);
    for (int how = 0; how < 4; how++) CHECK(seen[how] > 420 && seen[how] < 580);
}

static void blurs_come_in_sizes_3_5_5_7_7(void)
{
    struct pair in = make_source(16, 16);
    int seen[4] = {0}; /* none, 3, 5, 7 */

    for (uint64_t sample = 0; sample < 2000; sample++) {
        struct pair out = augmented(&in, 16, CEM_GAUSSIAN_BLUR, sample);
        for (int k = 0; k < 4; k++) {
            struct pair want = in;
            int16_t scratch[256];
            if (k) augment_blur(want.image, scratch, 16, 16, 2 * k + 1);
            seen[k] += memcmp(&out, &want, sizeof out) == 0;
        }
    }
    CHECK_EQ(seen[0] + seen[1] + seen[2] + seen[3], 2000);
    CHECK(abs(seen[1] - 200) < 60 && abs(seen[2] - 400) < 80 && abs(seen[3] - 400) < 80);
}

/* Grey 128 in every pixel stays so under all geometry, so that noise and the change of brightness
 * show alone. */
static void noise_and_brightness_are_drawn_over_their_whole_ranges(void)
{
    struct pair in = make_source(32, 32);
    double least = 1e9, most = 0;
    int darkest = 255, brightest = 0;

    memset(in.image, 128, sizeof in.image);
    for (uint64_t sample = 0; sample < 2000; sample++) {
        struct pair noisy = augmented(&in, 32, CEM_GAUSS_NOISE, sample);
        struct pair grey = augmented(&in, 32, CEM_BRIGHTNESS_CONTRAST, sample);
        double squares = 0;
        for (int i = 0; i < 1024; i++) squares += pow(noisy.image[i] - 127.5, 2);
        if (squares / 1024 > 1) least = fmin(least, squares / 1024);
        most = fmax(most, squares / 1024);
        darkest = grey.image[5] < darkest ? grey.image[5] : darkest;
        brightest = grey.image[5] > brightest ? grey.image[5] : brightest;
    }
    CHECK(least > 340 && least < 440 && most > 1120 && most < 1380);
    CHECK(darkest >= 13 && darkest < 30 && brightest > 228 && brightest <= 242);
}

static void augmentations_come_in_the_order_of_their_flags(void)
{
    struct pair in = make_source(40, 40);
    int all = 0;

    for (uint64_t sample = 0; sample < 300; sample++) {
        struct pair out = augmented(&in, 16, 127, sample), step, next;
        double noise = 400 + 800 * random_uniform(SEED, sample, SLOT_VARIANCE);
        const int sizes[5] = {3, 5, 5, 7, 7};
        int size = sizes[random_below(SEED, sample, SLOT_KERNEL, 5)];
        int16_t scratch[256];
        bool does[5];
        for (int i = 0; i < 5; i++) {
            const uint64_t slots[5] = {SLOT_ROTATE, SLOT_GREY, SLOT_NOISE, SLOT_BLUR, 0};
            does[i] = random_uniform(SEED, sample, slots[i]) < (i == 4 ? 0.8 : 0.5);
        }
        if (!(does[0] && does[1] && does[2] && does[3] && does[4])) continue;
        all++;
        step = augmented(&in, 16, CEM_CROP_NONEMPTY | CEM_RESIZED_CROP, sample);
        next.height = next.width = 16;
        memset(&next, 0, sizeof next);
        augment_rotate(next.image, next.target, step.image, step.target, 16, 16,
                       360 * random_uniform(SEED, sample, SLOT_ANGLE) - 180);
        augment_brightness_contrast(next.image, 256,
                                    0.7 + 0.6 * random_uniform(SEED, sample, SLOT_CONTRAST),
                                    0.6 * random_uniform(SEED, sample, SLOT_BRIGHTNESS) - 0.3);
        augment_noise(next.image, 256, sqrt(noise), SEED, sample);
        augment_blur(next.image, scratch, 16, 16, size);
        augment_flip(next.image, next.target, 16, 16,
                     random_uniform(SEED, sample, SLOT_FLIP_ACROSS) < 0.5,
                     random_uniform(SEED, sample, SLOT_FLIP_DOWN) < 0.5);
        CHECK(memcmp(out.image, next.image, 256) == 0);
        CHECK(memcmp(out.target, next.target, 256 * sizeof *out.target) == 0);
    }
    CHECK(all >= 8);
}

static void ignored_pixels_stay_ignored_and_no_class_appears(void)
{
    struct pair in = make_source(40, 30);
    int ignored = 0;

    for (uint64_t sample = 0; sample < 200; sample++) {
        struct pair out = augmented(&in, 16, 127, sample);
        for (int i = 0; i < 256; i++) {
            CHECK(out.target[i] >= -1 && out.target[i] <= 3);
            ignored += out.target[i] == -1;
        }
    }
    CHECK(ignored > 2000);
    for (int i = 0; i < MOST; i++) in.target[i] = -1;
    for (uint64_t sample = 0; sample < 200; sample++) {
        struct pair out = augmented(&in, 16, 127, sample);
        for (int i = 0; i < 256; i++) CHECK_EQ(out.target[i], -1);
    }
}

/* The class of a pixel is written in its grey value, too: geometry must keep them together. */
static void classes_move_with_their_pixels(void)
{
    const int32_t geometry = CEM_CROP_NONEMPTY | CEM_RESIZED_CROP | CEM_ROTATE | CEM_FLIPS;
    struct pair in = make_source(60, 60);
    int64_t same = 0;

    for (int i = 0; i < 3600; i++) {
        in.target[i] = (int16_t)((i / 60 > 20) + 2 * (i % 60 > 35));
        in.image[i] = (uint8_t)(60 * in.target[i]);
    }
    for (uint64_t sample = 0; sample < 200; sample++) {
        struct pair out = augmented(&in, 32, geometry, sample);
        for (int i = 0; i < 1024; i++) same += out.image[i] == 60 * out.target[i];
    }
    CHECK(same * 10 > 200 * 1024 * 9); /* the rest is interpolated, along the borders */
}

static void images_of_any_size_give_a_sample(void)
{
    for (int64_t h = 1; h <= 40; h += h < 5 ? 1 : 7)
        for (int64_t w = 1; w <= 40; w += w < 5 ? 1 : 7)
            for (int64_t crop = 1; crop <= 32; crop += 31) {
                struct pair in = make_source(h, w);
                bool there[256] = {false};
                for (int64_t i = 0; i < h * w; i++) there[in.image[i]] = true;
                for (int32_t flags = 0; flags < 128; flags++) {
                    struct pair out = augmented(&in, crop, flags, (uint64_t)flags);
                    if (flags & ~(CEM_FLIPS | CEM_CROP_NONEMPTY)) continue;
                    for (int64_t i = 0; i < crop * crop; i++) CHECK(there[out.image[i]]);
                }
            }
}

static void a_sample_depends_on_seed_and_number_alone(void)
{
    struct pair in = make_source(40, 40), other;
    int different = 0;

    for (uint64_t sample = 0; sample < 50; sample++) {
        struct pair first = augmented(&in, 16, 127, sample), again;
        augmented(&in, 16, 127, sample + 77);
        again = augmented(&in, 16, 127, sample);
        CHECK(memcmp(&first, &again, sizeof first) == 0);
        other = augmented(&in, 16, 127, sample + 1);
        different += memcmp(&first, &other, sizeof first) != 0;
    }
    CHECK_EQ(different, 50);
}

static void every_failed_allocation_is_a_status(void)
{
    struct pair in = make_source(40, 40), out;
    int32_t status = CEM_EMEMORY;
    int64_t k = 0;

    while (status != CEM_OK) {
        memory_fail_at(++k);
        status =
            augment_sample(out.image, out.target, in.image, in.target, 40, 40, 16, 127, SEED, 6);
        CHECK(status == CEM_OK || status == CEM_EMEMORY);
        CHECK_EQ(memory_live(), 0);
    }
    memory_fail_at(0);
    CHECK_EQ(k, 4);
}

int main(void)
{
    RUN(whole_samples_are_those_of_albumentations);
    RUN(each_augmentation_has_its_odds);
    RUN(flips_across_and_down_are_drawn_apart);
    RUN(blurs_come_in_sizes_3_5_5_7_7);
    RUN(noise_and_brightness_are_drawn_over_their_whole_ranges);
    RUN(augmentations_come_in_the_order_of_their_flags);
    RUN(ignored_pixels_stay_ignored_and_no_class_appears);
    RUN(classes_move_with_their_pixels);
    RUN(images_of_any_size_give_a_sample);
    RUN(a_sample_depends_on_seed_and_number_alone);
    RUN(every_failed_allocation_is_a_status);
    return CHECK_DONE();
}
