/* Memory that runs out at the k-th allocation, for growing k, while predicting and training: a
 * status, no leak, and the handles go on. */
#include <stdlib.h>

#include "cem.h"
#include "check.h"
#include "memory.h"
#include "random.h"

enum { SIDE = 32, PIXELS = SIDE * SIDE };

static const cem_intensity INTENSITY = {128, 1.0 / 64};

static cem_model *new_model(void)
{
    cem_model_options options;
    cem_model *model = NULL;

    cem_model_defaults(&options, sizeof options);
    for (int i = 0; i < 5; i++) options.widths[i] /= 4;
    cem_model_new(&model, &options);
    return model;
}

static void fill(uint8_t *image, int32_t *labels)
{
    for (int i = 0; i < PIXELS; i++) {
        image[i] = (uint8_t)random_bits(3, 1, (uint64_t)i);
        labels[i] = i % 7 ? 0 : 1 + i / SIDE % 2;
    }
}

static int32_t predict(cem_model *model, const uint8_t *image)
{
    cem_predict_options o;
    float out[2 * PIXELS];

    cem_predict_defaults(&o, sizeof o);
    o.threads = 2;
    return cem_predict(out, model, image, CEM_U8, 1, SIDE, SIDE, &INTENSITY, &o);
}

static void while_predicting(void)
{
    uint8_t image[PIXELS];
    int32_t labels[PIXELS], status = CEM_EMEMORY;
    cem_model *model = new_model(), *copy = NULL;
    int64_t live = memory_live(), failures = 0;

    fill(image, labels);
    for (int64_t k = 1; status != CEM_OK && k < 100000; k += 1 + k / 6) {
        CHECK_EQ(cem_model_copy(&copy, model), CEM_OK);
        memory_fail_at(k);
        status = predict(copy, image);
        memory_fail_at(0);
        failures += status != CEM_OK;
        CHECK(status == CEM_OK || status == CEM_EMEMORY);
        CHECK_EQ(predict(copy, image), CEM_OK);
        cem_model_free(copy);
        CHECK_EQ(memory_live(), live);
    }
    CHECK(failures > 10);
    cem_model_free(model);
    CHECK_EQ(memory_live(), 0);
}

static int32_t train(cem_model *model, const uint8_t *image, const int32_t *labels)
{
    cem_trainer_options o;
    cem_trainer *trainer = NULL;
    double iou[2];
    int64_t pixels[2];
    int32_t status;

    cem_trainer_defaults(&o, sizeof o, CEM_INTERACTIVE);
    o.threads = 2;
    o.batch = 2;
    status = cem_trainer_new(&trainer, model, &o);
    if (status == CEM_OK)
        status = cem_trainer_set(trainer, 1, image, CEM_U8, labels, SIDE, SIDE, &INTENSITY);
    if (status == CEM_OK) status = cem_trainer_step(NULL, trainer, 1);
    if (status == CEM_OK) status = cem_trainer_evaluate(iou, pixels, trainer);
    cem_trainer_free(trainer);
    return status;
}

static void while_training(void)
{
    uint8_t image[PIXELS];
    int32_t labels[PIXELS], status = CEM_EMEMORY;
    cem_model *model = new_model();
    int64_t live = memory_live(), failures = 0;

    fill(image, labels);
    for (int64_t k = 1; status != CEM_OK && k < 100000; k += 1 + k / 6) {
        memory_fail_at(k);
        status = train(model, image, labels);
        memory_fail_at(0);
        failures += status != CEM_OK;
        CHECK(status == CEM_OK || status == CEM_EMEMORY);
        CHECK_EQ(memory_live(), live);
    }
    CHECK(failures > 10);
    cem_model_free(model);
    CHECK_EQ(memory_live(), 0);
}

int main(void)
{
    RUN(while_predicting);
    RUN(while_training);
    return CHECK_DONE();
}
