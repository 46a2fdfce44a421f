/* Memory that runs out at the k-th allocation, for every k, while predicting and training: a
 * status, no leak, and the model goes on.  Each k is tried in a child process, which shares the
 * model's memory with this one until it writes there. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cem.h"
#include "check.h"
#include "memory.h"
#include "random.h"

enum { SIDE = 32, PIXELS = SIDE * SIDE };

static const cem_intensity INTENSITY = {128, 1.0 / 64};

static cem_model *shared;

static void make_shared_model(void)
{
    cem_model_options options;

    cem_model_defaults(&options, sizeof options);
    for (int i = 0; i < 5; i++) options.widths[i] /= 4;
    cem_model_new(&shared, &options);
}

static void fill(uint8_t *image, int32_t *labels)
{
    for (int i = 0; i < PIXELS; i++) {
        image[i] = (uint8_t)random_bits(3, 1, (uint64_t)i);
        labels[i] = i % 7 ? 0 : 1 + i / SIDE % 2;
    }
}

static int32_t predict(cem_model *model, const uint8_t *image, const int32_t *unused)
{
    cem_predict_options o;
    float out[2 * PIXELS];

    cem_predict_defaults(&o, sizeof o);
    (void)unused;
    o.threads = 2;
    return cem_predict(out, model, image, CEM_U8, 1, SIDE, SIDE, &INTENSITY, &o);
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

/* How a child ends; sanitizers end one with 1. */
enum { FAILED_WELL = 40, WENT_THROUGH, WRONG_STATUS, LEAKED, STUCK };

static int try_once(int32_t (*work)(cem_model *model, const uint8_t *image, const int32_t *labels),
                    int64_t k)
{
    uint8_t image[PIXELS];
    int32_t labels[PIXELS], status;

    fill(image, labels);
    memory_fail_at(k);
    status = work(shared, image, labels);
    memory_fail_at(0);
    if (status != CEM_OK && status != CEM_EMEMORY) return WRONG_STATUS;
    if (status != CEM_OK && k % 16 == 1 && work(shared, image, labels) != CEM_OK) return STUCK;
    cem_model_free(shared);
    if (memory_live() != 0) return LEAKED;
    return status == CEM_OK ? WENT_THROUGH : FAILED_WELL;
}

static int in_a_child(int32_t (*work)(cem_model *model, const uint8_t *image,
                                      const int32_t *labels),
                      int64_t k)
{
    int status = -1;
    pid_t child;

    fflush(stdout);
    if ((child = fork()) == 0) _exit(try_once(work, k));
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
               ? WEXITSTATUS(status)
               : -1;
}

static int every;

static void try_each(int32_t (*work)(cem_model *model, const uint8_t *image, const int32_t *labels))
{
    int64_t tried = 0, k = 1;
    int end;

    make_shared_model();
    while ((end = in_a_child(work, k)) == FAILED_WELL) {
        tried++;
        k += every ? 1 : 1 + k / 6;
    }
    CHECK_EQ(end, WENT_THROUGH);
    CHECK(tried > (every ? 200 : 15));
    cem_model_free(shared);
}

static void while_predicting(void)
{
    try_each(predict);
}

static void while_training(void)
{
    try_each(train);
}

int main(int argc, char **argv)
{
    every = argc > 1 && strcmp(argv[1], "every") == 0;
    RUN(while_predicting);
    RUN(while_training);
    return CHECK_DONE();
}
