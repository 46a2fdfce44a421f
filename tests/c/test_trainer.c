/* Training through the ABI: the same bits for any threads and after a resume; what is frozen stays;
 * held-out strokes; commit and revert; cancel; bad labels. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cem.h"
#include "check.h"
#include "random.h"

enum { SIDE = 64, PIXELS = SIDE * SIDE };

static const cem_intensity INTENSITY = {128, 1.0 / 64};

static cem_model *new_model(int classes)
{
    cem_model_options options;
    cem_model *model = NULL;

    cem_model_defaults(&options, sizeof options);
    options.classes = classes;
    for (int i = 0; i < 5; i++) options.widths[i] /= 4; /* the encoder is enough work */
    cem_model_new(&model, &options);
    return model;
}

static cem_trainer_options options_for(int recipe, int threads)
{
    cem_trainer_options o;

    cem_trainer_defaults(&o, sizeof o, recipe);
    o.threads = threads;
    o.batch = 3;
    o.crop = SIDE;
    o.steps = 8;
    return o;
}

/* Dark discs on a bright ground: learnable. */
static void draw(uint8_t *image, int32_t *truth, uint64_t seed)
{
    for (int i = 0; i < PIXELS; i++) {
        int y = i / SIDE % 24 - 12, x = i % SIDE % 24 - 12;
        bool disc = y * y + x * x < 49;
        image[i] = (uint8_t)((disc ? 60 : 150) + random_below(seed, 1, (uint64_t)i, 60));
        truth[i] = disc ? 2 : 1;
    }
}

/* Every third column of every twelfth row is a stroke; the rest is not annotated. */
static void paint(int32_t *labels, const int32_t *truth)
{
    for (int i = 0; i < PIXELS; i++)
        labels[i] = i / SIDE % 6 == 0 && i % SIDE % 16 < 9 ? truth[i] : 0;
}

struct scene {
    uint8_t image[PIXELS];
    int32_t truth[PIXELS], strokes[PIXELS];
};

static struct scene scene_of(uint64_t seed)
{
    struct scene s;

    draw(s.image, s.truth, seed);
    paint(s.strokes, s.truth);
    return s;
}

static int32_t add(cem_trainer *trainer, int64_t key, const struct scene *scene, bool dense)
{
    return cem_trainer_set(trainer, key, scene->image, CEM_U8,
                           dense ? scene->truth : scene->strokes, SIDE, SIDE, &INTENSITY);
}

/* The committed model after `steps` steps on two scenes, and the losses. */
static cem_model *train(int recipe, int threads, int64_t steps, double *losses)
{
    cem_model *model = new_model(2);
    cem_trainer_options o = options_for(recipe, threads);
    struct scene a = scene_of(1), b = scene_of(2);
    cem_trainer *trainer = NULL;
    cem_trainer_report report;

    if (cem_trainer_new(&trainer, model, &o) != CEM_OK) return NULL;
    add(trainer, 1, &a, recipe == CEM_CEM500K);
    add(trainer, 2, &b, recipe == CEM_CEM500K);
    for (int64_t i = 0; i < steps; i++) {
        if (cem_trainer_step(&report, trainer, 1) != CEM_OK) printf("%s\n", cem_last_error());
        losses[i] = report.loss;
    }
    cem_trainer_commit(trainer, model);
    cem_trainer_free(trainer);
    return model;
}

static bool same_tensors(cem_model *a, cem_model *b, const char *prefix)
{
    bool same = true;

    for (int32_t i = 0; i < cem_model_tensors(a); i++) {
        const char *name;
        int64_t shape[4], count = 1;
        float *x, *y;
        cem_model_tensor_shape(&name, shape, a, i);
        if (strncmp(name, prefix, strlen(prefix)) != 0) continue;
        for (int d = 0; d < 4 && shape[d]; d++) count *= shape[d];
        x = malloc((size_t)count * 4);
        y = malloc((size_t)count * 4);
        cem_model_tensor_get(x, a, i);
        cem_model_tensor_get(y, b, i);
        same &= memcmp(x, y, (size_t)count * 4) == 0;
        free(x);
        free(y);
    }
    return same;
}

static void training_has_the_same_bits_on_one_two_and_three_threads(void)
{
    for (int recipe = CEM_INTERACTIVE; recipe <= CEM_CEM500K; recipe++) {
        double one[3], more[3];
        cem_model *a = train(recipe, 1, 3, one);
        for (int threads = 2; threads <= 3; threads++) {
            cem_model *b = train(recipe, threads, 3, more);
            CHECK(memcmp(one, more, sizeof one) == 0);
            CHECK(same_tensors(a, b, ""));
            cem_model_free(b);
        }
        cem_model_free(a);
    }
}

static void the_interactive_loss_falls_and_strokes_are_held_out(void)
{
    cem_model *model = new_model(2);
    cem_trainer_options o = options_for(CEM_INTERACTIVE, 2);
    struct scene a = scene_of(1);
    cem_trainer *trainer = NULL;
    cem_trainer_report first, last;
    double iou[2];
    int64_t pixels[2];

    CHECK_EQ(cem_trainer_new(&trainer, model, &o), CEM_OK);
    CHECK_EQ(add(trainer, 1, &a, false), CEM_OK);
    CHECK_EQ(cem_trainer_step(&first, trainer, 1), CEM_OK);
    CHECK(first.held_out > 0 && first.iou == -1);
    CHECK_EQ(cem_trainer_step(&last, trainer, 15), CEM_OK);
    CHECK(last.loss < first.loss / 2);
    CHECK_EQ(cem_trainer_evaluate(iou, pixels, trainer), CEM_OK);
    CHECK_EQ(pixels[0] + pixels[1], first.held_out);
    CHECK_EQ(cem_trainer_step(&last, trainer, 0), CEM_OK);
    CHECK(fabs(last.iou - (iou[0] + iou[1]) / 2) < 1e-12);
    CHECK_EQ(cem_trainer_commit(trainer, model), CEM_OK);
    CHECK(strstr(cem_model_card(model), "\"threshold\":0."));
    cem_trainer_free(trainer);
    cem_model_free(model);
}

static void the_interactive_encoder_keeps_its_weights_and_without_restatistics_everything(void)
{
    cem_model *model = new_model(2), *before = NULL, *shown = NULL;
    cem_trainer_options o = options_for(CEM_INTERACTIVE, 2);
    struct scene a = scene_of(1);
    cem_trainer *trainer = NULL;

    o.restatistics = 0;
    CHECK_EQ(cem_model_copy(&before, model), CEM_OK);
    CHECK_EQ(cem_model_copy(&shown, model), CEM_OK);
    CHECK_EQ(cem_trainer_new(&trainer, model, &o), CEM_OK);
    CHECK_EQ(add(trainer, 1, &a, false), CEM_OK);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 3), CEM_OK);
    CHECK_EQ(cem_trainer_commit(trainer, model), CEM_OK);
    CHECK(same_tensors(model, before, "encoder."));
    CHECK(!same_tensors(model, before, "decoder."));
    CHECK_EQ(cem_trainer_step(NULL, trainer, 1), CEM_OK);
    CHECK_EQ(cem_trainer_restart(trainer, before), CEM_OK);
    CHECK_EQ(cem_trainer_snapshot(trainer, shown), CEM_OK);
    CHECK(same_tensors(shown, before, ""));
    CHECK_EQ(cem_trainer_revert(trainer, model), CEM_OK);
    CHECK(same_tensors(model, before, ""));
    CHECK_EQ(cem_trainer_revert(trainer, model), CEM_EARGUMENT);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 1), CEM_OK);
    cem_trainer_free(trainer);
    cem_model_free(shown);
    cem_model_free(before);
    cem_model_free(model);
}

static void freezing_leaves_the_weights_below_the_first_stage_as_they_are(void)
{
    cem_model *model = new_model(2), *before = NULL;
    cem_trainer_options o = options_for(CEM_CEM500K, 2);
    struct scene a = scene_of(1);
    cem_trainer *trainer = NULL;

    o.first_stage = 4;
    CHECK_EQ(cem_model_copy(&before, model), CEM_OK);
    CHECK_EQ(cem_trainer_new(&trainer, model, &o), CEM_OK);
    CHECK_EQ(add(trainer, 1, &a, true), CEM_OK);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 1), CEM_OK);
    CHECK_EQ(cem_trainer_commit(trainer, model), CEM_OK);
    CHECK(same_tensors(model, before, "encoder.layer3.5.conv3"));
    CHECK(same_tensors(model, before, "encoder.layer1.0.bn1.weight"));
    CHECK(!same_tensors(model, before, "encoder.layer1.0.bn1.running_mean"));
    CHECK(!same_tensors(model, before, "encoder.layer4.0.conv1"));
    cem_trainer_free(trainer);
    cem_model_free(before);
    cem_model_free(model);
}

static void a_resumed_training_goes_on_with_the_same_bits(void)
{
    char path[] = "/tmp/cem_trainer_XXXXXX";
    struct scene a = scene_of(1), b = scene_of(2);

    close(mkstemp(path));
    for (int recipe = CEM_INTERACTIVE; recipe <= CEM_CEM500K; recipe++) {
        cem_model *model = new_model(2), *straight = NULL, *resumed = NULL;
        cem_trainer_options o = options_for(recipe, 2);
        cem_trainer *trainer = NULL, *again = NULL;
        cem_trainer_report r, s;
        double iou[2];
        int64_t pixels[2];
        CHECK_EQ(cem_model_copy(&straight, model), CEM_OK);
        CHECK_EQ(cem_model_copy(&resumed, model), CEM_OK);
        CHECK_EQ(cem_trainer_new(&trainer, model, &o), CEM_OK);
        add(trainer, 1, &a, recipe == CEM_CEM500K);
        add(trainer, 2, &b, recipe == CEM_CEM500K);
        CHECK_EQ(cem_trainer_step(NULL, trainer, 2), CEM_OK);
        CHECK_EQ(cem_trainer_evaluate(iou, pixels, trainer), CEM_OK);
        CHECK_EQ(cem_trainer_save(trainer, path), CEM_OK);
        CHECK_EQ(cem_trainer_step(&r, trainer, 2), CEM_OK);
        CHECK_EQ(cem_trainer_load(&again, model, &o, path), CEM_OK);
        add(again, 1, &a, recipe == CEM_CEM500K);
        add(again, 2, &b, recipe == CEM_CEM500K);
        CHECK_EQ(cem_trainer_step(&s, again, 2), CEM_OK);
        CHECK(memcmp(&r, &s, sizeof r) == 0);
        CHECK_EQ(cem_trainer_commit(trainer, straight), CEM_OK);
        CHECK_EQ(cem_trainer_commit(again, resumed), CEM_OK);
        CHECK(same_tensors(straight, resumed, ""));
        cem_trainer_free(again);
        o.seed = 9;
        CHECK_EQ(cem_trainer_load(&again, model, &o, path), CEM_EARGUMENT);
        CHECK(strstr(cem_last_error(), "other options"));
        cem_trainer_free(trainer);
        cem_model_free(model);
        cem_model_free(straight);
        cem_model_free(resumed);
    }
    unlink(path);
}

static void a_cancelled_step_leaves_the_state_of_the_last_whole_one(void)
{
    struct scene a = scene_of(1), b = scene_of(2);
    double losses[3];
    cem_model *straight = train(CEM_INTERACTIVE, 2, 3, losses), *model = new_model(2);
    cem_trainer_options o = options_for(CEM_INTERACTIVE, 2);
    cem_trainer *trainer = NULL;

    CHECK_EQ(cem_trainer_new(&trainer, model, &o), CEM_OK);
    add(trainer, 1, &a, false);
    add(trainer, 2, &b, false);
    cem_cancel(trainer);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 1), CEM_ECANCELLED);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 1), CEM_OK);
    cem_cancel(trainer);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 1), CEM_ECANCELLED);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 2), CEM_OK);
    CHECK_EQ(cem_trainer_commit(trainer, model), CEM_OK);
    CHECK(same_tensors(straight, model, ""));
    cem_trainer_free(trainer);
    cem_model_free(model);
    cem_model_free(straight);
}

static void labels_that_cannot_train_are_refused_with_the_remedy(void)
{
    cem_model *model = new_model(2);
    cem_trainer_options o = options_for(CEM_INTERACTIVE, 1);
    struct scene a = scene_of(1), only = a;
    cem_trainer *trainer = NULL;

    CHECK_EQ(cem_trainer_new(&trainer, model, &o), CEM_OK);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 1), CEM_EARGUMENT);
    memset(only.strokes, 0, sizeof only.strokes);
    CHECK_EQ(add(trainer, 1, &only, false), CEM_EARGUMENT);
    CHECK(strstr(cem_last_error(), "all labels are 0"));
    only.strokes[77] = 7;
    CHECK_EQ(add(trainer, 1, &only, false), CEM_EARGUMENT);
    CHECK(strstr(cem_last_error(), "label value 7 at row 1, column 13"));
    only.strokes[77] = 2;
    CHECK_EQ(add(trainer, 1, &only, false), CEM_OK);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 1), CEM_EARGUMENT);
    CHECK(strstr(cem_last_error(), "paint some background too"));
    CHECK_EQ(add(trainer, 1, &a, false), CEM_OK);
    CHECK_EQ(cem_trainer_step(NULL, trainer, 1), CEM_OK);
    a.image[0] ^= 1;
    CHECK_EQ(add(trainer, 1, &a, false), CEM_EARGUMENT);
    cem_trainer_free(trainer);
    cem_model_free(model);
}

static void one_pixel_of_each_class_is_enough_to_train(void)
{
    cem_model *model = new_model(3);
    cem_trainer_options o = options_for(CEM_INTERACTIVE, 2);
    struct scene a = scene_of(1);
    cem_trainer *trainer = NULL;
    cem_trainer_report report;

    memset(a.strokes, 0, sizeof a.strokes);
    a.strokes[5] = 1;
    a.strokes[70] = 2;
    a.strokes[900] = 3;
    CHECK_EQ(cem_trainer_new(&trainer, model, &o), CEM_OK);
    CHECK_EQ(add(trainer, 1, &a, false), CEM_OK);
    CHECK_EQ(cem_trainer_step(&report, trainer, 2), CEM_OK);
    CHECK(isfinite(report.loss) && report.held_out == 0);
    cem_trainer_free(trainer);
    cem_model_free(model);
}

int main(void)
{
    RUN(training_has_the_same_bits_on_one_two_and_three_threads);
    RUN(the_interactive_loss_falls_and_strokes_are_held_out);
    RUN(the_interactive_encoder_keeps_its_weights_and_without_restatistics_everything);
    RUN(freezing_leaves_the_weights_below_the_first_stage_as_they_are);
    RUN(a_resumed_training_goes_on_with_the_same_bits);
    RUN(a_cancelled_step_leaves_the_state_of_the_last_whole_one);
    RUN(labels_that_cannot_train_are_refused_with_the_remedy);
    RUN(one_pixel_of_each_class_is_enough_to_train);
    return CHECK_DONE();
}
