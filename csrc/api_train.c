/* The ABI: training. */
#include <math.h>
#include <stddef.h>

#include "api.h"
#include "error.h"
#include "memory.h"

enum { MOST_BATCH = 64, MOST_CROP = 4096, LAST_FLAG = CEM_FLIPS };

int32_t cem_trainer_defaults(cem_trainer_options *options, int64_t size, int32_t recipe)
{
    int32_t status = api_size(size, (int64_t)sizeof *options, "cem_trainer_options");

    if (status == CEM_OK) status = api_need(options, "options");
    if (status != CEM_OK) return status;
    if (recipe == CEM_INTERACTIVE)
        *options = (cem_trainer_options){.steps = 1000,
                                         .batch = 4,
                                         .crop = 256,
                                         .feature_bytes = (int64_t)1 << 31,
                                         .learning_rate = 3e-3,
                                         .weight_decay = 1e-2,
                                         .momentum = 0.9,
                                         .power = 0.9,
                                         .body_rate = 1,
                                         .recipe = recipe,
                                         .schedule = CEM_CONSTANT,
                                         .first_stage = STAGE_DECODER,
                                         .restatistics = 1,
                                         .augmentations = CEM_FLIPS};
    else if (recipe == CEM_CEM500K)
        *options = (cem_trainer_options){.steps = 1000,
                                         .batch = 16,
                                         .crop = 512,
                                         .learning_rate = 3e-3,
                                         .weight_decay = 1e-1,
                                         .momentum = 0.9,
                                         .power = 0.9,
                                         .body_rate = 1,
                                         .recipe = recipe,
                                         .schedule = CEM_ONECYCLE,
                                         .first_stage = STAGE_DECODER,
                                         .dense = 1,
                                         .augmentations = CEM_RESIZED_CROP | CEM_ROTATE |
                                                          CEM_BRIGHTNESS_CONTRAST | CEM_FLIPS};
    else
        return error_set(CEM_EARGUMENT, "recipe is %d, must be CEM_INTERACTIVE or CEM_CEM500K",
                         (int)recipe);
    return CEM_OK;
}

int32_t cem_trainer_suit(cem_trainer_options *options, cem_model *model)
{
    struct card_facts facts;
    int32_t status;

    if ((status = api_need(options, "options")) != CEM_OK) return status;
    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    card_read(&facts, model->model->card);
    if (options->recipe == CEM_INTERACTIVE && facts.decoder) {
        options->learning_rate = 2e-2;
        options->body_rate = 5e-3;
    }
    return handle_give(&model->handle, CEM_OK);
}

/* One line if `value` is not in [low, high]. */
static int32_t within(const char *what, double value, double low, double high)
{
    if (value >= low && value <= high) return CEM_OK;
    return error_set(CEM_EARGUMENT, "%s is %g, must be %g to %g", what, value, low, high);
}

static int32_t check_numbers(const cem_trainer_options *o)
{
    const struct {
        const char *what;
        double value, low, high;
    } limits[] = {{"steps", (double)o->steps, 1, 1e9},
                  {"batch", (double)o->batch, 1, MOST_BATCH},
                  {"crop", (double)o->crop, 32, MOST_CROP},
                  {"feature_bytes", (double)o->feature_bytes, 0, 1e18},
                  {"milestone_count", (double)o->milestone_count, 0, 1000},
                  {"learning_rate", o->learning_rate, 0, 1000},
                  {"weight_decay", o->weight_decay, 0, 1000},
                  {"momentum", o->momentum, 0, 1},
                  {"power", o->power, 0, 100},
                  {"body_rate", o->body_rate, 0, 1},
                  {"recipe", o->recipe, CEM_INTERACTIVE, CEM_CEM500K},
                  {"optimizer", o->optimizer, CEM_ADAMW, CEM_SGD},
                  {"schedule", o->schedule, CEM_CONSTANT, CEM_MULTISTEP},
                  {"first_stage", o->first_stage, STAGE_STEM, STAGE_DECODER},
                  {"train_norms", o->train_norms, 0, 1},
                  {"dense", o->dense, 0, 1},
                  {"restatistics", o->restatistics, 0, 1},
                  {"augmentations", o->augmentations, 0, 2 * LAST_FLAG - 1},
                  {"reserved", o->reserved, 0, 0}};
    int32_t status = CEM_OK;

    for (size_t i = 0; i < sizeof limits / sizeof limits[0] && status == CEM_OK; i++)
        status = within(limits[i].what, limits[i].value, limits[i].low, limits[i].high);
    return status;
}

static int32_t check_options(const cem_trainer_options *o, int classes)
{
    int32_t status;

    if ((status = check_numbers(o)) != CEM_OK) return status;
    if (o->crop % 32)
        return error_set(CEM_EARGUMENT, "crop is %lld, must be a multiple of 32",
                         (long long)o->crop);
    if (o->milestone_count && !o->milestones) return api_need(NULL, "milestones");
    if (o->recipe == CEM_INTERACTIVE && (o->first_stage != STAGE_DECODER || o->train_norms))
        return error_set(CEM_EARGUMENT, "the interactive recipe keeps the encoder frozen; use the "
                                        "recipe cem500k to train it");
    if (o->recipe == CEM_INTERACTIVE && (o->augmentations & ~CEM_FLIPS))
        return error_set(CEM_EARGUMENT,
                         "augmentations is %d; the interactive recipe has flips and "
                         "quarter turns only, CEM_FLIPS",
                         (int)o->augmentations);
    for (int c = 0; o->class_weights && c < classes; c++)
        if (!(o->class_weights[c] >= 0 && isfinite(o->class_weights[c])))
            return error_set(CEM_EARGUMENT, "class weight %d is %g, must be finite and at least 0",
                             c, o->class_weights[c]);
    return CEM_OK;
}

/* Checks, takes the model's handle, makes a trainer new or from `path`, wraps it. */
static int32_t make(cem_trainer **out, cem_model *model, const cem_trainer_options *options,
                    const char *path)
{
    struct trainer *trainer = NULL;
    cem_trainer_options o;
    cem_trainer *handle;
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = api_need(options, "options")) != CEM_OK) return status;
    o = *options;
    if ((status = check_options(&o, cem_model_classes(model))) != CEM_OK) return status;
    if ((status = api_threads(&o.threads)) != CEM_OK) return status;
    if (!(handle = memory_new(1, sizeof *handle))) return CEM_EMEMORY;
    if ((status = handle_take(&model->handle)) == CEM_OK) {
        status = path ? trainer_load(&trainer, model->model, &o, path)
                      : trainer_new(&trainer, model->model, &o);
        handle_give(&model->handle, CEM_OK);
    }
    if (status != CEM_OK) {
        memory_free(handle);
        return status;
    }
    handle->trainer = trainer;
    *out = handle;
    return CEM_OK;
}

int32_t cem_trainer_new(cem_trainer **out, cem_model *model, const cem_trainer_options *options)
{
    return make(out, model, options, NULL);
}

int32_t cem_trainer_load(cem_trainer **out, cem_model *model, const cem_trainer_options *options,
                         const char *path)
{
    int32_t status = api_need(path, "path");

    return status == CEM_OK ? make(out, model, options, path) : status;
}

void cem_trainer_free(cem_trainer *trainer)
{
    if (!trainer) return;
    trainer_free(trainer->trainer);
    memory_free(trainer);
    memory_trim();
}

int32_t cem_trainer_set(cem_trainer *trainer, int64_t key, const void *pixels, int32_t type,
                        const int32_t *labels, int64_t height, int64_t width,
                        const cem_intensity *intensity)
{
    struct stack stack = {pixels, type, 1, height, width, {0, 1}};
    int32_t status;

    if ((status = api_need(trainer, "trainer")) != CEM_OK) return status;
    if ((status = api_need(labels, "labels")) != CEM_OK) return status;
    if ((status = api_need(intensity, "intensity")) != CEM_OK) return status;
    stack.intensity = *intensity;
    if ((status = api_stack(&stack)) != CEM_OK) return status;
    if (trainer->trainer->options.recipe == CEM_CEM500K && type != CEM_U8)
        return error_set(CEM_EARGUMENT,
                         "the recipe cem500k takes 8-bit images, this one has the "
                         "type %d; scale it to 0..255 first",
                         (int)type);
    if ((status = handle_take(&trainer->handle)) != CEM_OK) return status;
    return handle_give(&trainer->handle, trainer_set(trainer->trainer, key, &stack, labels));
}

int32_t cem_trainer_step(cem_trainer_report *report, cem_trainer *trainer, int64_t steps)
{
    int32_t status;

    if ((status = api_need(trainer, "trainer")) != CEM_OK) return status;
    if (steps < 0)
        return error_set(CEM_EARGUMENT, "steps is %lld, must not be negative", (long long)steps);
    if ((status = handle_take(&trainer->handle)) != CEM_OK) return status;
    status = trainer_step(report, trainer->trainer, steps, &trainer->handle.cancel);
    return handle_give(&trainer->handle, status);
}

int32_t cem_trainer_evaluate(double *iou, int64_t *pixels, cem_trainer *trainer)
{
    int32_t status;

    if ((status = api_need(iou, "iou")) != CEM_OK) return status;
    if ((status = api_need(pixels, "pixels")) != CEM_OK) return status;
    if ((status = api_need(trainer, "trainer")) != CEM_OK) return status;
    if ((status = handle_take(&trainer->handle)) != CEM_OK) return status;
    status = trainer_evaluate(iou, pixels, trainer->trainer, &trainer->handle.cancel);
    return handle_give(&trainer->handle, status);
}

/* Takes both handles, calls, gives both back. */
static int32_t with_model(cem_trainer *trainer, cem_model *model,
                          int32_t (*call)(struct trainer *, struct model *))
{
    int32_t status;

    if ((status = api_need(trainer, "trainer")) != CEM_OK) return status;
    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = handle_take(&trainer->handle)) != CEM_OK) return status;
    if ((status = handle_take(&model->handle)) == CEM_OK)
        status = handle_give(&model->handle, call(trainer->trainer, model->model));
    return handle_give(&trainer->handle, status);
}

int32_t cem_trainer_commit(cem_trainer *trainer, cem_model *model)
{
    return with_model(trainer, model, trainer_commit);
}

int32_t cem_trainer_snapshot(cem_trainer *trainer, cem_model *model)
{
    return with_model(trainer, model, trainer_snapshot);
}

int32_t cem_trainer_restart(cem_trainer *trainer, cem_model *model)
{
    return with_model(trainer, model, trainer_restart);
}

int32_t cem_trainer_revert(cem_trainer *trainer, cem_model *model)
{
    return with_model(trainer, model, trainer_revert);
}

int32_t cem_trainer_save(cem_trainer *trainer, const char *path)
{
    int32_t status;

    if ((status = api_need(trainer, "trainer")) != CEM_OK) return status;
    if ((status = api_need(path, "path")) != CEM_OK) return status;
    if ((status = handle_take(&trainer->handle)) != CEM_OK) return status;
    return handle_give(&trainer->handle, trainer_save(trainer->trainer, path));
}
