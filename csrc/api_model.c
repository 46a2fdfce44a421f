/* The ABI: models and prediction. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "api.h"
#include "error.h"
#include "memory.h"

int32_t cem_model_defaults(cem_model_options *options, int64_t size)
{
    int32_t status = api_size(size, (int64_t)sizeof *options, "cem_model_options");

    if (status == CEM_OK) status = api_need(options, "options");
    if (status == CEM_OK)
        *options = (cem_model_options){.classes = 2, .widths = {256, 128, 64, 32, 16}};
    return status;
}

/* A handle around `model`, which it owns from now on, also on failure. */
static int32_t wrap(cem_model **out, struct model *model)
{
    cem_model *handle = memory_new(1, sizeof *handle);

    if (!handle || predictor_new(&handle->predictor) != CEM_OK) {
        memory_free(handle);
        model_free(model);
        return CEM_EMEMORY;
    }
    handle->model = model;
    *out = handle;
    return CEM_OK;
}

int32_t cem_model_new(cem_model **out, const cem_model_options *options)
{
    struct model *model = NULL;
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(options, "options")) != CEM_OK) return status;
    if (options->classes < 2 || options->classes > 255)
        return error_set(CEM_EARGUMENT, "classes is %d, must be 2 to 255, background included",
                         (int)options->classes);
    status = model_new(&model, options->classes, options->widths, options->seed);
    return status == CEM_OK ? wrap(out, model) : status;
}

int32_t cem_model_load(cem_model **out, const char *path)
{
    struct model *model = NULL;
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(path, "path")) != CEM_OK) return status;
    status = model_load(&model, path);
    return status == CEM_OK ? wrap(out, model) : status;
}

int32_t cem_model_load_encoder(cem_model *model, const char *path)
{
    int32_t status;

    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = api_need(path, "path")) != CEM_OK) return status;
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    return handle_give(&model->handle, model_load_encoder(model->model, path));
}

int32_t cem_model_load_body(cem_model *model, const char *path)
{
    int32_t status;

    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = api_need(path, "path")) != CEM_OK) return status;
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    return handle_give(&model->handle, model_load_body(model->model, path));
}

int32_t cem_model_save(cem_model *model, const char *path, int32_t overwrite)
{
    int32_t status;

    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = api_need(path, "path")) != CEM_OK) return status;
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    return handle_give(&model->handle, model_save(model->model, path, overwrite));
}

int32_t cem_model_copy(cem_model **out, cem_model *model)
{
    struct model *copy = NULL;
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    status = handle_give(&model->handle, model_copy(&copy, model->model));
    return status == CEM_OK ? wrap(out, copy) : status;
}

int32_t cem_model_assign(cem_model *model, cem_model *from)
{
    int32_t status;

    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = api_need(from, "from")) != CEM_OK) return status;
    if (model == from) return CEM_OK;
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    if ((status = handle_take(&from->handle)) == CEM_OK)
        status = handle_give(&from->handle, model_assign(model->model, from->model));
    return handle_give(&model->handle, status);
}

void cem_model_free(cem_model *model)
{
    if (!model) return;
    predictor_free(model->predictor);
    model_free(model->model);
    memory_free(model);
    memory_trim();
}

int32_t cem_model_classes(const cem_model *model)
{
    struct card_facts facts;

    if (!model) return 0;
    card_read(&facts, model->model->card);
    return facts.classes;
}

int32_t cem_model_outputs(const cem_model *model)
{
    return model ? model->model->network->outputs : 0;
}

const char *cem_model_card(cem_model *model)
{
    const char *text;

    return model && card_text(&text, model->model->card) == CEM_OK ? text : "{}";
}

int32_t cem_model_set_card(cem_model *model, const char *json)
{
    int32_t status;

    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = api_need(json, "json")) != CEM_OK) return status;
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    return handle_give(&model->handle, card_merge(model->model->card, json));
}

/* ---- tensors ---- */

int32_t cem_model_tensors(const cem_model *model)
{
    return model ? model->model->network->tensors : 0;
}

static int32_t tensor_at(struct network_tensor *out, const cem_model *model, int32_t index)
{
    int32_t status = api_need(model, "model");

    if (status != CEM_OK) return status;
    if (index < 0 || index >= model->model->network->tensors)
        return error_set(CEM_EARGUMENT, "tensor is %d, must be 0 to %d", (int)index,
                         model->model->network->tensors - 1);
    network_tensor_get(out, model->model->network, index);
    return CEM_OK;
}

int32_t cem_model_tensor_shape(const char **name, int64_t *shape, const cem_model *model,
                               int32_t index)
{
    static _Thread_local char text[sizeof((struct network_tensor *)0)->name];
    struct network_tensor tensor;
    int32_t status;

    if ((status = api_need(name, "name")) != CEM_OK) return status;
    if ((status = api_need(shape, "shape")) != CEM_OK) return status;
    if ((status = tensor_at(&tensor, model, index)) != CEM_OK) return status;
    memcpy(text, tensor.name, sizeof text);
    memcpy(shape, tensor.shape, sizeof tensor.shape);
    *name = text;
    return CEM_OK;
}

int32_t cem_model_tensor_get(float *values, cem_model *model, int32_t index)
{
    struct network_tensor tensor;
    int32_t status;

    if ((status = api_need(values, "values")) != CEM_OK) return status;
    if ((status = tensor_at(&tensor, model, index)) != CEM_OK) return status;
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    if (tensor.place < 0) *values = (float)model->model->parameters.batches[tensor.layer];
    else
        memcpy(values, model->model->parameters.values + tensor.place,
               (size_t)tensor.count * sizeof *values);
    return handle_give(&model->handle, CEM_OK);
}

int32_t cem_model_tensor_set(cem_model *model, int32_t index, const float *values)
{
    struct network_tensor tensor;
    int32_t status;

    if ((status = api_need(values, "values")) != CEM_OK) return status;
    if ((status = tensor_at(&tensor, model, index)) != CEM_OK) return status;
    for (int64_t i = 0; i < tensor.count; i++)
        if (!isfinite(values[i]))
            return error_set(CEM_EARGUMENT, "value %lld of tensor %s is not finite", (long long)i,
                             tensor.name);
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    if (tensor.place < 0) model->model->parameters.batches[tensor.layer] = (int64_t)*values;
    else
        memcpy(model->model->parameters.values + tensor.place, values,
               (size_t)tensor.count * sizeof *values);
    if (tensor.layer < model->model->network->encoder)
        parameters_changed(&model->model->parameters);
    else model->model->parameters.version = model_next_version();
    return handle_give(&model->handle, CEM_OK);
}

/* ---- prediction ---- */

int32_t cem_predict_defaults(cem_predict_options *options, int64_t size)
{
    int32_t status = api_size(size, (int64_t)sizeof *options, "cem_predict_options");

    if (status == CEM_OK) status = api_need(options, "options");
    if (status == CEM_OK)
        *options = (cem_predict_options){
            .tile = 1024, .halo = 64, .tiles = -1, .slice = -1, .feature_bytes = (int64_t)1 << 30};
    return status;
}

static int32_t check_options(const cem_predict_options *o)
{
    if (o->tile < 32 || o->tile > 16384 || o->tile % 32)
        return error_set(CEM_EARGUMENT, "tile is %lld, must be a multiple of 32 from 32 to 16384",
                         (long long)o->tile);
    if (o->halo < 0 || o->halo % 32 || 2 * o->halo >= o->tile)
        return error_set(CEM_EARGUMENT,
                         "halo is %lld, must be a multiple of 32, at least 0 and less than half of "
                         "tile",
                         (long long)o->halo);
    if (o->first_tile < 0)
        return error_set(CEM_EARGUMENT, "first_tile is %lld, must not be negative",
                         (long long)o->first_tile);
    if (o->output != CEM_PROBABILITIES && o->output != CEM_LOGITS)
        return error_set(CEM_EARGUMENT, "output is %d, must be CEM_PROBABILITIES or CEM_LOGITS",
                         (int)o->output);
    if (o->feature_bytes < 0)
        return error_set(CEM_EARGUMENT, "feature_bytes is %lld, must not be negative",
                         (long long)o->feature_bytes);
    return CEM_OK;
}

int64_t cem_predict_tiles(int64_t depth, int64_t height, int64_t width,
                          const cem_predict_options *options)
{
    struct tiling tiling;
    int32_t status;

    if ((status = api_need(options, "options")) != CEM_OK) return status;
    if ((status = check_options(options)) != CEM_OK) return status;
    if (depth < 1 || height < 1 || width < 1)
        return error_set(
            CEM_EARGUMENT,
            "the image has the shape (%lld, %lld, %lld), every side must be at least 1",
            (long long)depth, (long long)height, (long long)width);
    tiling = tiling_make(height, width, options->tile, options->halo);
    return depth * tiling_count(&tiling);
}

int32_t cem_predict(float *out, cem_model *model, const void *pixels, int32_t type, int64_t depth,
                    int64_t height, int64_t width, const cem_intensity *intensity,
                    const cem_predict_options *options)
{
    struct stack stack = {pixels, type, depth, height, width, {0, 1}};
    cem_predict_options o;
    int32_t status;

    if ((status = api_need(out, "out")) != CEM_OK) return status;
    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = api_need(intensity, "intensity")) != CEM_OK) return status;
    if ((status = api_need(options, "options")) != CEM_OK) return status;
    stack.intensity = *intensity;
    o = *options;
    if ((status = api_stack(&stack)) != CEM_OK) return status;
    if ((status = check_options(&o)) != CEM_OK) return status;
    if (o.slice >= 0 && depth != 1)
        return error_set(CEM_EARGUMENT, "depth is %lld, must be 1 to keep features of a slice",
                         (long long)depth);
    if ((status = api_threads(&o.threads)) != CEM_OK) return status;
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    status = predict_run(out, model->predictor, model->model, &stack, &o, &model->handle.cancel);
    return handle_give(&model->handle, status);
}

int32_t cem_classify(uint16_t *labels, cem_model *model, const float *probabilities, int64_t depth,
                     int64_t pixels)
{
    struct card_facts facts;
    int32_t status;

    if ((status = api_need(labels, "labels")) != CEM_OK) return status;
    if ((status = api_need(model, "model")) != CEM_OK) return status;
    if ((status = api_need(probabilities, "probabilities")) != CEM_OK) return status;
    if (depth < 0 || pixels < 0)
        return error_set(CEM_EARGUMENT,
                         "there are %lld slices of %lld pixels, must not be negative",
                         (long long)depth, (long long)pixels);
    if ((status = handle_take(&model->handle)) != CEM_OK) return status;
    card_read(&facts, model->model->card);
    for (int64_t slice = 0; slice < depth; slice++)
        for (int64_t i = 0; i < pixels; i++) {
            const float *p = probabilities + slice * facts.classes * pixels + i;
            int class = predict_class(p, pixels, facts.classes, facts.threshold);
            labels[slice * pixels + i] = (uint16_t)facts.values[class];
        }
    return handle_give(&model->handle, CEM_OK);
}
