/* Prediction through the ABI: the same bits for any threads, tile order and company; sizes from one
 * pixel up; cancel; bad arguments. */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cem.h"
#include "check.h"
#include "random.h"

static const cem_intensity INTENSITY = {128, 1.0 / 64};

static cem_model *new_model(int classes)
{
    cem_model_options options;
    cem_model *model = NULL;

    cem_model_defaults(&options, sizeof options);
    options.classes = classes;
    cem_model_new(&model, &options);
    return model;
}

static uint8_t *new_image(int64_t count)
{
    uint8_t *image = malloc((size_t)count);

    for (int64_t i = 0; i < count; i++) image[i] = (uint8_t)random_bits(3, 1, (uint64_t)i);
    return image;
}

static cem_predict_options options_for(int threads, int64_t tile, int64_t halo)
{
    cem_predict_options options;

    cem_predict_defaults(&options, sizeof options);
    options.threads = threads;
    options.tile = tile;
    options.halo = halo;
    return options;
}

static void the_bits_do_not_depend_on_threads_tile_order_or_company(void)
{
    enum { DEPTH = 2, HEIGHT = 150, WIDTH = 170, CLASSES = 3 };
    int64_t pixels = DEPTH * HEIGHT * WIDTH, floats = pixels * CLASSES;
    cem_model *model = new_model(CLASSES);
    uint8_t *image = new_image(pixels);
    float *one = calloc((size_t)floats, 4), *other = calloc((size_t)floats, 4);
    cem_predict_options o = options_for(1, 96, 32);
    int64_t tiles = cem_predict_tiles(DEPTH, HEIGHT, WIDTH, &o);

    CHECK_EQ(tiles, 2 * 3 * 4);
    CHECK_EQ(cem_predict(one, model, image, CEM_U8, DEPTH, HEIGHT, WIDTH, &INTENSITY, &o), CEM_OK);
    for (int threads = 2; threads <= 3; threads++) {
        o.threads = threads;
        memset(other, 0, (size_t)floats * 4);
        CHECK_EQ(cem_predict(other, model, image, CEM_U8, DEPTH, HEIGHT, WIDTH, &INTENSITY, &o),
                 CEM_OK);
        CHECK(memcmp(one, other, (size_t)floats * 4) == 0);
    }
    memset(other, 0, (size_t)floats * 4);
    for (o.first_tile = tiles - 1; o.first_tile >= 0; o.first_tile--) {
        o.tiles = 1;
        CHECK_EQ(cem_predict(other, model, image, CEM_U8, DEPTH, HEIGHT, WIDTH, &INTENSITY, &o),
                 CEM_OK);
    }
    CHECK(memcmp(one, other, (size_t)floats * 4) == 0);
    for (int64_t i = 0; i < HEIGHT * WIDTH; i++) {
        float sum = 0;
        for (int c = 0; c < CLASSES; c++) sum += one[c * HEIGHT * WIDTH + i];
        CHECK(fabsf(sum - 1) < 1e-5f);
    }
    free(image);
    free(one);
    free(other);
    cem_model_free(model);
}

static void images_of_any_size_from_one_pixel_up_are_predicted(void)
{
    const int64_t sides[][2] = {{1, 1}, {1, 40}, {33, 2}, {31, 32}, {65, 3}};
    cem_model *model = new_model(2);
    uint8_t *image = new_image(65 * 65);
    float out[2 * 65 * 65];

    for (int i = 0; i < 5; i++) {
        cem_predict_options o = options_for(2, 1024, 64);
        int64_t pixels = sides[i][0] * sides[i][1];
        CHECK_EQ(
            cem_predict(out, model, image, CEM_U8, 1, sides[i][0], sides[i][1], &INTENSITY, &o),
            CEM_OK);
        for (int64_t p = 0; p < pixels; p++) CHECK(fabsf(out[p] + out[pixels + p] - 1) < 1e-5f);
    }
    free(image);
    cem_model_free(model);
}

static void other_types_of_pixels_with_the_same_values_give_the_same_bits(void)
{
    enum { SIDE = 40, PIXELS = SIDE * SIDE };
    cem_model *model = new_model(2);
    uint8_t *image = new_image(PIXELS);
    uint16_t words[PIXELS];
    int32_t longs[PIXELS];
    double reals[PIXELS];
    float one[2 * PIXELS], other[2 * PIXELS];
    const void *arrays[] = {words, longs, reals};
    const int32_t types[] = {CEM_U16, CEM_I32, CEM_F64};
    cem_predict_options o = options_for(2, 1024, 64);

    for (int i = 0; i < PIXELS; i++) reals[i] = longs[i] = words[i] = image[i];
    CHECK_EQ(cem_predict(one, model, image, CEM_U8, 1, SIDE, SIDE, &INTENSITY, &o), CEM_OK);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(cem_predict(other, model, arrays[i], types[i], 1, SIDE, SIDE, &INTENSITY, &o),
                 CEM_OK);
        CHECK(memcmp(one, other, sizeof one) == 0);
    }
    free(image);
    cem_model_free(model);
}

static void features_that_are_kept_give_the_same_bits(void)
{
    enum { HEIGHT = 150, WIDTH = 170, FLOATS = 2 * HEIGHT * WIDTH };
    cem_model *model = new_model(2);
    uint8_t *image = new_image(HEIGHT * WIDTH);
    float *one = calloc(FLOATS, 4), *other = calloc(FLOATS, 4), weight[16 * 9];
    cem_predict_options plain = options_for(2, 96, 32), kept = options_for(2, 96, 32);
    int32_t head = cem_model_tensors(model) - 2;

    kept.slice = 7;
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(cem_predict(one, model, image, CEM_U8, 1, HEIGHT, WIDTH, &INTENSITY, &plain),
                 CEM_OK);
        kept.threads = 1 + round;
        kept.feature_bytes = round < 2 ? 1 << 30 : 0;
        CHECK_EQ(cem_predict(other, model, image, CEM_U8, 1, HEIGHT, WIDTH, &INTENSITY, &kept),
                 CEM_OK);
        CHECK(memcmp(one, other, FLOATS * 4) == 0);
        CHECK_EQ(cem_model_tensor_get(weight, model, head), CEM_OK);
        for (int i = 0; i < 16 * 9; i++) weight[i] = -weight[i];
        CHECK_EQ(cem_model_tensor_set(model, head, weight), CEM_OK);
    }
    CHECK_EQ(cem_predict(one, model, image, CEM_U8, 2, HEIGHT / 2, WIDTH, &INTENSITY, &kept),
             CEM_EARGUMENT);
    free(image);
    free(one);
    free(other);
    cem_model_free(model);
}

static void *cancel_soon(void *model)
{
    const struct timespec pause = {0, 50000000};

    nanosleep(&pause, NULL);
    cem_cancel(model);
    return NULL;
}

static void a_cancel_from_another_thread_ends_the_call_and_is_forgotten(void)
{
    enum { SIDE = 1024 };
    cem_model *model = new_model(2);
    uint8_t *image = new_image(SIDE * SIDE);
    float *out = malloc(2 * SIDE * SIDE * sizeof *out);
    cem_predict_options o = options_for(2, 1024, 64);
    pthread_t thread;

    pthread_create(&thread, NULL, cancel_soon, model);
    CHECK_EQ(cem_predict(out, model, image, CEM_U8, 1, SIDE, SIDE, &INTENSITY, &o), CEM_ECANCELLED);
    pthread_join(thread, NULL);
    CHECK_EQ(cem_predict(out, model, image, CEM_U8, 1, 32, 32, &INTENSITY, &o), CEM_OK);
    free(image);
    free(out);
    cem_model_free(model);
}

static void bad_arguments_are_refused_with_a_line_that_names_them(void)
{
    cem_model *model = new_model(2);
    float out[2], bad[] = {NAN};
    uint8_t pixel = 0;
    cem_predict_options o = options_for(1, 1024, 64);
    const cem_intensity flat = {0, 0};

    CHECK_EQ(cem_predict(NULL, model, &pixel, CEM_U8, 1, 1, 1, &INTENSITY, &o), CEM_EARGUMENT);
    CHECK_EQ(cem_predict(out, model, &pixel, 99, 1, 1, 1, &INTENSITY, &o), CEM_EARGUMENT);
    CHECK(strstr(cem_last_error(), "99"));
    CHECK_EQ(cem_predict(out, model, &pixel, CEM_U8, 1, 0, 1, &INTENSITY, &o), CEM_EARGUMENT);
    CHECK_EQ(cem_predict(out, model, &pixel, CEM_U8, 1, INT64_MAX, INT64_MAX, &INTENSITY, &o),
             CEM_EARGUMENT);
    CHECK_EQ(cem_predict(out, model, &pixel, CEM_U8, 1, 1, 1, &flat, &o), CEM_EARGUMENT);
    CHECK_EQ(cem_predict(out, model, bad, CEM_F32, 1, 1, 1, &INTENSITY, &o), CEM_EARGUMENT);
    CHECK(strstr(cem_last_error(), "not finite"));
    o.tile = 100;
    CHECK_EQ(cem_predict(out, model, &pixel, CEM_U8, 1, 1, 1, &INTENSITY, &o), CEM_EARGUMENT);
    CHECK_EQ(cem_predict_defaults(&o, 8), CEM_EARGUMENT);
    cem_model_free(model);
}

int main(void)
{
    RUN(the_bits_do_not_depend_on_threads_tile_order_or_company);
    RUN(images_of_any_size_from_one_pixel_up_are_predicted);
    RUN(features_that_are_kept_give_the_same_bits);
    RUN(other_types_of_pixels_with_the_same_values_give_the_same_bits);
    RUN(a_cancel_from_another_thread_ends_the_call_and_is_forgotten);
    RUN(bad_arguments_are_refused_with_a_line_that_names_them);
    return CHECK_DONE();
}
