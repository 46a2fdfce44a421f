/* Each augmentation against its definition and against what albumentations 0.5.2 on OpenCV makes of
 * the same image. */
#include "augment.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "memory.h"
#include "pair.h"
#include "tiling.h"

/* Smooth stripes, and classes by place: for what must not depend on noise. */
static struct pair make_ramp(int64_t height, int64_t width)
{
    struct pair p = {.height = height, .width = width};

    for (int64_t i = 0; i < height * width; i++) {
        p.image[i] = (uint8_t)(3 * (i / width) + 2 * (i % width));
        p.target[i] = (int16_t)(i % 5 - 1);
    }
    return p;
}

/* ---- against OpenCV ---- */

struct cut {
    int64_t height, width, top, left, rows, columns, side;
    const char *image, *target;
};
struct rotation {
    int64_t height, width;
    double degrees;
    const char *image, *target;
};
struct blur {
    int64_t height, width;
    int size;
    const char *image, *target;
};
struct grey {
    double contrast, brightness;
    const char *image, *target;
};

#define CUT(...) {__VA_ARGS__},
#define ROTATE(...)
#define BLUR(...)
#define GREY(...)
#define SAMPLE(...)
static const struct cut cuts[] = {
#include "../golden/augment.inc"
};
#undef CUT
#define CUT(...)
#undef ROTATE
#define ROTATE(...) {__VA_ARGS__},
static const struct rotation rotations[] = {
#include "../golden/augment.inc"
};
#undef ROTATE
#define ROTATE(...)
#undef BLUR
#define BLUR(...) {__VA_ARGS__},
static const struct blur blurs[] = {
#include "../golden/augment.inc"
};
#undef BLUR
#define BLUR(...)
#undef GREY
#define GREY(...) {__VA_ARGS__},
static const struct grey greys[] = {
#include "../golden/augment.inc"
};
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static void windows_are_scaled_as_by_opencv_to_within_a_grey_level(void)
{
    CHECK(COUNT(cuts) == 7);
    for (int i = 0; i < COUNT(cuts); i++) {
        const struct cut *c = &cuts[i];
        const struct augment_window window = {c->top, c->left, c->rows, c->columns};
        struct pair in = make_source(c->height, c->width), out;
        CHECK_EQ(augment_cut(out.image, out.target, c->side, in.image, in.target, c->height,
                             c->width, &window),
                 CEM_OK);
        CHECK(grey_error(out.image, c->side * c->side, c->image) <= 1);
        CHECK(same_classes(out.target, c->side * c->side, c->target));
    }
}

static void rotations_are_exactly_opencvs(void)
{
    CHECK(COUNT(rotations) == 6);
    for (int i = 0; i < COUNT(rotations); i++) {
        const struct rotation *r = &rotations[i];
        struct pair in = make_source(r->height, r->width), out;
        augment_rotate(out.image, out.target, in.image, in.target, r->height, r->width, r->degrees);
        CHECK(grey_error(out.image, r->height * r->width, r->image) == 0);
        CHECK(same_classes(out.target, r->height * r->width, r->target));
    }
}

static void blurs_are_exactly_opencvs(void)
{
    CHECK(COUNT(blurs) == 4);
    for (int i = 0; i < COUNT(blurs); i++) {
        const struct blur *b = &blurs[i];
        struct pair in = make_source(b->height, b->width);
        int16_t scratch[MOST];
        augment_blur(in.image, scratch, b->height, b->width, b->size);
        CHECK(grey_error(in.image, b->height * b->width, b->image) == 0);
    }
}

static void brightness_and_contrast_are_exactly_albumentations(void)
{
    CHECK(COUNT(greys) == 4);
    for (int i = 0; i < COUNT(greys); i++) {
        uint8_t levels[256];
        for (int v = 0; v < 256; v++) levels[v] = (uint8_t)v;
        augment_brightness_contrast(levels, 256, greys[i].contrast, greys[i].brightness);
        CHECK(grey_error(levels, 256, greys[i].image) == 0);
    }
}

/* ---- geometry against its definition ---- */

static void a_window_of_its_own_size_is_copied_and_reflected_outside(void)
{
    struct pair in = make_source(6, 9), out;
    const struct augment_window window = {-9, -4, 20, 20};

    CHECK_EQ(augment_cut(out.image, out.target, 20, in.image, in.target, 6, 9, &window), CEM_OK);
    for (int64_t i = 0; i < 400; i++) {
        int64_t y = tiling_reflect(i / 20 - 9, 6), x = tiling_reflect(i % 20 - 4, 9);
        CHECK_EQ(out.image[i], in.image[y * 9 + x]);
        CHECK_EQ(out.target[i], in.target[y * 9 + x]);
    }
}

static void small_images_are_padded_about_their_middle(void)
{
    struct augment_window w = augment_pad(10, 100, 32);

    CHECK(w.top == -11 && w.left == 0 && w.height == 32 && w.width == 100);
    w = augment_pad(31, 31, 32); /* the odd row goes below */
    CHECK(w.top == 0 && w.left == 0 && w.height == 32 && w.width == 32);
}

static void scaling_keeps_a_ramp_a_ramp(void)
{
    struct pair in = make_ramp(32, 32), out;
    const struct augment_window window = {4, 4, 16, 16};

    CHECK_EQ(augment_cut(out.image, out.target, 64, in.image, in.target, 32, 32, &window), CEM_OK);
    for (int64_t y = 2; y < 62; y++)
        for (int64_t x = 2; x < 62; x++) {
            double v = ((double)y + 0.5) / 4 + 3.5, u = ((double)x + 0.5) / 4 + 3.5;
            CHECK(fabs(out.image[y * 64 + x] - (3 * v + 2 * u)) <= 0.5 + 1e-2);
            CHECK_EQ(out.target[y * 64 + x], in.target[(4 + y / 4) * 32 + 4 + x / 4]);
        }
}

/* About (h / 2, w / 2): a turn by 90 degrees brings (y, x) of a square from (x, h - y). */
static void quarter_turns_move_whole_pixels(void)
{
    enum { N = 20 };
    struct pair in = make_source(N, N), out;

    for (int turn = 0; turn < 4; turn++) {
        augment_rotate(out.image, out.target, in.image, in.target, N, N, 90.0 * turn - 90);
        for (int64_t y = 0; y < N; y++)
            for (int64_t x = 0; x < N; x++) {
                const int64_t v[4] = {N - x, y, x, N - y}, u[4] = {y, x, N - y, N - x};
                int64_t from = tiling_reflect(v[turn], N) * N + tiling_reflect(u[turn], N);
                CHECK_EQ(out.image[y * N + x], in.image[from]);
                CHECK_EQ(out.target[y * N + x], in.target[from]);
            }
    }
}

static void a_rotation_is_counter_clockwise_and_interpolates(void)
{
    enum { N = 41 };
    struct pair in = make_ramp(N, N), out;
    double angle = 25 * 3.14159265358979 / 180, c = cos(angle), s = sin(angle);

    augment_rotate(out.image, out.target, in.image, in.target, N, N, 25);
    for (int64_t y = 13; y < 28; y++)
        for (int64_t x = 13; x < 28; x++) {
            double dy = (double)y - N / 2.0, dx = (double)x - N / 2.0;
            double v = N / 2.0 + c * dy + s * dx, u = N / 2.0 - s * dy + c * dx;
            CHECK(fabs(out.image[y * N + x] - (3 * v + 2 * u)) < 0.7);
        }
    memset(in.image, 0, sizeof in.image); /* a dot at the right goes up */
    in.image[20 * N + 38] = 255;
    augment_rotate(out.image, out.target, in.image, in.target, N, N, 90);
    CHECK_EQ(out.image[3 * N + 20], 255);
}

static void flips_mirror_and_twice_is_nothing(void)
{
    struct pair in = make_source(5, 8), out = in;

    augment_flip(out.image, out.target, 5, 8, 1, 0);
    for (int i = 0; i < 40; i++) CHECK_EQ(out.image[i], in.image[i / 8 * 8 + 7 - i % 8]);
    augment_flip(out.image, out.target, 5, 8, 1, 1);
    for (int i = 0; i < 40; i++) CHECK_EQ(out.target[i], in.target[(4 - i / 8) * 8 + i % 8]);
    augment_flip(out.image, out.target, 5, 8, 0, 1);
    CHECK(memcmp(&in, &out, sizeof in) == 0);
}

static void the_eight_orientations_are_the_flips_and_quarter_turns(void)
{
    enum { N = 3 };
    static const char *want[8] = {"012345678", "210543876", "678345012", "876543210",
                                  "036147258", "258147036", "630741852", "852741630"};
    float in[N * N], out[N * N];
    int16_t classes[N * N], turned[N * N];

    for (int i = 0; i < N * N; i++) in[i] = (float)i, classes[i] = (int16_t)i;
    for (int orientation = 0; orientation < 8; orientation++) {
        augment_turn_floats(out, in, N, orientation);
        augment_turn_targets(turned, classes, N, orientation);
        for (int i = 0; i < N * N; i++) {
            CHECK(out[i] == (float)(want[orientation][i] - '0'));
            CHECK_EQ(turned[i], want[orientation][i] - '0');
        }
    }
}

/* ---- intensity against its definition ---- */

static void noise_has_the_deviation_asked_for_and_drops_the_fraction(void)
{
    enum { N = 1 << 16 };
    uint8_t *image = memory_raw(N, 1);

    for (double deviation = 20; deviation < 36; deviation += 5) {
        double sum = 0, squares = 0, sideways = 0;
        memset(image, 128, N);
        augment_noise(image, N, deviation, 1, (uint64_t)deviation);
        for (int i = 0; i < N; i++) sum += image[i] - 128, squares += pow(image[i] - 127.5, 2);
        for (int i = 1; i < N; i++) sideways += (image[i] - 127.5) * (image[i - 1] - 127.5);
        CHECK(fabs(sum / N + 0.5) < 4 * deviation / sqrt(N)); /* half a level is lost */
        CHECK(fabs(sqrt(squares / N) / deviation - 1) < 0.02);
        CHECK(fabs(sideways / squares) < 0.02);
    }
    memory_free(image);
}

static void noise_is_cut_to_the_range_of_grey_values(void)
{
    uint8_t image[2000];
    int black = 0, white = 0;

    memset(image, 0, 1000);
    memset(image + 1000, 255, 1000);
    augment_noise(image, 2000, 34, 3, 3);
    for (int i = 0; i < 1000; i++) black += image[i] == 0, white += image[1000 + i] == 255;
    CHECK(black > 450 && black < 560 && white > 440 && white < 550);
    for (int i = 0; i < 1000; i++) CHECK(image[i] < 190 && image[1000 + i] > 65);
}

static void a_blurred_dot_is_the_kernel_and_a_plane_stays(void)
{
    const int want[3][4] = {
        {64, 32, 0, 0}, {36, 24, 6, 0}, {20, 16, 8, 2}}; /* of 255, middle row */
    uint8_t image[15 * 15];
    int16_t scratch[15 * 15];

    for (int size = 3; size <= 7; size += 2) {
        memset(image, 0, sizeof image);
        image[7 * 15 + 7] = 255;
        augment_blur(image, scratch, 15, 15, size);
        for (int k = 0; k < 4; k++) {
            CHECK_EQ(image[7 * 15 + 7 + k], want[size / 2 - 1][k]);
            CHECK_EQ(image[(7 - k) * 15 + 7], want[size / 2 - 1][k]);
        }
        memset(image, 201, sizeof image);
        augment_blur(image, scratch, 15, 15, size);
        for (int i = 0; i < 15 * 15; i++) CHECK_EQ(image[i], 201);
    }
}

static void the_ends_of_brightness_and_contrast(void)
{
    uint8_t image[3] = {0, 100, 255};

    augment_brightness_contrast(image, 3, 1, 0);
    CHECK(image[0] == 0 && image[1] == 100 && image[2] == 255);
    augment_brightness_contrast(image, 3, 1.25, -0.2);
    CHECK(image[0] == 0 && image[1] == 74 && image[2] == 255);
}

/* ---- where samples come from ---- */

static void crops_lie_anywhere_in_the_image_with_equal_odds(void)
{
    const struct augment_window image = {0, 0, 36, 34};
    int rows[5] = {0}, columns[3] = {0};

    for (uint64_t sample = 0; sample < 3000; sample++) {
        struct augment_window w = augment_crop(&image, 32, 1, sample);
        CHECK(w.height == 32 && w.width == 32);
        CHECK(w.top >= 0 && w.top <= 4 && w.left >= 0 && w.left <= 2);
        rows[w.top]++, columns[w.left]++;
    }
    for (int i = 0; i < 5; i++) CHECK(rows[i] > 520 && rows[i] < 680);
    for (int i = 0; i < 3; i++) CHECK(columns[i] > 920 && columns[i] < 1080);
}

static void nonempty_crops_hold_a_pixel_of_a_class_above_zero(void)
{
    enum { H = 60, W = 50, CROP = 16 };
    static int16_t target[H * W];
    const struct augment_window image = {0, 0, H, W};
    int lone = 0, origins[CROP] = {0};

    for (int i = 0; i < H * W; i++) target[i] = (int16_t)(i % 7 ? 0 : -1);
    target[30 * W + 25] = 1;
    target[2 * W + 49] = 2;
    for (uint64_t sample = 0; sample < 2000; sample++) {
        struct augment_window w = augment_crop_nonempty(&image, target, H, W, CROP, 5, sample);
        bool first = w.top <= 30 && w.top > 14 && w.left <= 25 && w.left > 9;
        bool second = w.top <= 2 && w.left == W - CROP;
        CHECK(w.top >= 0 && w.left >= 0 && w.height == CROP && w.width == CROP);
        CHECK(first || second);
        lone += first;
        if (first) origins[30 - w.top]++;
    }
    CHECK(lone > 900 && lone < 1100);
    for (int i = 0; i < CROP; i++) CHECK(origins[i] > 30 && origins[i] < 100);
    target[30 * W + 25] = target[2 * W + 49] = 0; /* none: anywhere */
    for (uint64_t sample = 0; sample < 100; sample++) {
        struct augment_window w = augment_crop_nonempty(&image, target, H, W, CROP, 5, sample);
        struct augment_window any = augment_crop(&image, CROP, 5, sample);
        CHECK(memcmp(&w, &any, sizeof w) == 0);
    }
}

static void resized_crops_have_the_areas_and_ratios_of_the_method(void)
{
    const struct augment_window image = {-3, 5, 400, 500};
    double area_sum = 0, log_sum = 0, smallest = 1, largest = 0, narrow = 9, wide = 0;

    for (uint64_t sample = 0; sample < 2000; sample++) {
        struct augment_window w = augment_crop_resized(&image, 1, sample);
        double area = (double)(w.height * w.width) / 200000;
        double ratio = (double)w.width / (double)w.height;
        CHECK(w.top >= -3 && w.left >= 5 && w.height >= 1 && w.width >= 1);
        CHECK(w.top + w.height <= 397 && w.left + w.width <= 505);
        area_sum += area, log_sum += log(ratio);
        smallest = fmin(smallest, area), largest = fmax(largest, area);
        narrow = fmin(narrow, ratio), wide = fmax(wide, ratio);
    }
    CHECK(smallest > 0.078 && smallest < 0.1 && largest > 0.85);
    CHECK(narrow > 0.49 && narrow < 0.52 && wide > 1.45 && wide < 1.52);
    /* what 100 000 of albumentations' crops give, to four deviations of a mean of 2000 */
    CHECK(fabs(area_sum / 2000 - 0.4172) < 0.02);
    CHECK(fabs(log_sum / 2000 + 0.0515) < 0.027);
}

static void an_image_too_long_for_any_ratio_gives_its_middle(void)
{
    const struct augment_window flat = {0, 0, 10, 1000}, tall = {0, 0, 1000, 10};
    const struct augment_window dot = {0, 0, 1, 1}, line = {0, 0, 1, 1000};
    int middles = 0;

    for (uint64_t sample = 0; sample < 50; sample++) {
        struct augment_window w = augment_crop_resized(&flat, 1, sample);
        CHECK(w.top == 0 && w.left == 492 && w.height == 10 && w.width == 15);
        w = augment_crop_resized(&tall, 1, sample);
        CHECK(w.top == 490 && w.left == 0 && w.height == 20 && w.width == 10);
        w = augment_crop_resized(&dot, 1, sample);
        CHECK(w.top == 0 && w.left == 0 && w.height == 1 && w.width == 1);
        w = augment_crop_resized(&line, 1, sample);
        middles += w.left == 499 && w.height == 1 && w.width == 2;
    }
    CHECK_EQ(middles, 50);
}

int main(void)
{
    RUN(windows_are_scaled_as_by_opencv_to_within_a_grey_level);
    RUN(rotations_are_exactly_opencvs);
    RUN(blurs_are_exactly_opencvs);
    RUN(brightness_and_contrast_are_exactly_albumentations);
    RUN(a_window_of_its_own_size_is_copied_and_reflected_outside);
    RUN(small_images_are_padded_about_their_middle);
    RUN(scaling_keeps_a_ramp_a_ramp);
    RUN(quarter_turns_move_whole_pixels);
    RUN(a_rotation_is_counter_clockwise_and_interpolates);
    RUN(flips_mirror_and_twice_is_nothing);
    RUN(the_eight_orientations_are_the_flips_and_quarter_turns);
    RUN(noise_has_the_deviation_asked_for_and_drops_the_fraction);
    RUN(noise_is_cut_to_the_range_of_grey_values);
    RUN(a_blurred_dot_is_the_kernel_and_a_plane_stays);
    RUN(the_ends_of_brightness_and_contrast);
    RUN(crops_lie_anywhere_in_the_image_with_equal_odds);
    RUN(nonempty_crops_hold_a_pixel_of_a_class_above_zero);
    RUN(resized_crops_have_the_areas_and_ratios_of_the_method);
    RUN(an_image_too_long_for_any_ratio_gives_its_middle);
    return CHECK_DONE();
}
