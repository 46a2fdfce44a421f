/* Everything here is a loop over the network's tensors.  The random weights follow
 * segmentation_models.pytorch: He et al. 2015 for the encoder (normal, fan out) and the decoder
 * (uniform, fan in), Glorot and Bengio 2010 for the head. */
#include "model.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "cem.h"
#include "error.h"
#include "memory.h"
#include "random.h"

uint64_t model_next_version(void)
{
    static _Atomic uint64_t version;

    return atomic_fetch_add(&version, 1) + 1;
}

/* ---- parameters ---- */

void parameters_changed(struct parameters *parameters)
{
    parameters->version = parameters->encoder = model_next_version();
}

int32_t parameters_new(struct parameters *out, const struct network *network)
{
    struct parameters made = {0};

    made.values = memory_new(network->parameters, sizeof *made.values);
    made.batches = memory_new(network->count, sizeof *made.batches);
    if (!made.values || !made.batches) {
        parameters_free(&made);
        return CEM_EMEMORY;
    }
    parameters_changed(&made);
    *out = made;
    return CEM_OK;
}

void parameters_copy(struct parameters *to, const struct parameters *from,
                     const struct network *network)
{
    memcpy(to->values, from->values, (size_t)network->parameters * sizeof *to->values);
    memcpy(to->batches, from->batches, (size_t)network->count * sizeof *to->batches);
    to->version = from->version;
    to->encoder = from->encoder;
}

void parameters_free(struct parameters *parameters)
{
    memory_free(parameters->values);
    memory_free(parameters->batches);
    parameters->values = NULL;
    parameters->batches = NULL;
}

static void draw_uniform(float *values, int64_t count, double bound, uint64_t seed, uint64_t stream)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(bound * (2 * random_uniform(seed, stream, (uint64_t)i) - 1));
}

static void draw_normal(float *values, int64_t count, double deviation, uint64_t seed,
                        uint64_t stream)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(deviation * random_normal(seed, stream, (uint64_t)i));
}

static void fill(float *values, int64_t count, float value)
{
    for (int64_t i = 0; i < count; i++) values[i] = value;
}

/* The stem's weights are the sum of those of three channels: its deviation is sqrt(3) larger. */
static void draw_convolution(float *values, const struct layer *layer, int64_t count, uint64_t seed,
                             uint64_t stream)
{
    const double area = (double)layer->kernel * layer->kernel;
    const double fan_in = layer->in * area, fan_out = layer->out * area;

    if (layer->stage == STAGE_HEAD)
        draw_uniform(values, count, sqrt(6 / (fan_in + fan_out)), seed, stream);
    else if (layer->stage == STAGE_DECODER)
        draw_uniform(values, count, sqrt(6 / fan_in), seed, stream);
    else
        draw_normal(values, count, sqrt((layer->input == NETWORK_IMAGE ? 3 : 1) * 2 / fan_out),
                    seed, stream);
}

void parameters_draw(struct parameters *parameters, const struct network *network, uint64_t seed)
{
    struct network_tensor tensor;

    for (int i = 0; i < network->tensors; i++) {
        network_tensor_get(&tensor, network, i);
        const struct layer *layer = &network->layers[tensor.layer];
        float *values = parameters->values + tensor.place;
        if (tensor.place < 0) parameters->batches[tensor.layer] = 0;
        else if (tensor.place == layer->weight)
            draw_convolution(values, layer, tensor.count, seed, (uint64_t)i);
        else
            fill(values, tensor.count,
                 tensor.place == layer->gamma || tensor.place == layer->variance ? 1 : 0);
    }
    parameters_changed(parameters);
}

/* ---- models ---- */

void model_free(struct model *model)
{
    if (!model) return;
    network_free(model->network);
    parameters_free(&model->parameters);
    card_free(model->card);
    memory_free(model);
}

int32_t model_of(struct model **out, struct card *card)
{
    struct model *model = memory_new(1, sizeof *model);
    struct card_facts facts;
    int32_t status;

    if (!model) {
        card_free(card);
        return CEM_EMEMORY;
    }
    model->card = card;
    card_read(&facts, card);
    status = network_new(&model->network, facts.classes == 2 ? 1 : facts.classes, facts.widths);
    if (status == CEM_OK) *out = model;
    else model_free(model);
    return status;
}

int32_t model_new(struct model **out, int classes, const int32_t *widths, uint64_t seed)
{
    struct card *card = NULL;
    struct model *model = NULL;
    int32_t status;

    if ((status = card_new(&card, classes, widths)) != CEM_OK) goto done;
    if ((status = model_of(&model, card)) != CEM_OK) goto done;
    if ((status = parameters_new(&model->parameters, model->network)) != CEM_OK) goto done;
    parameters_draw(&model->parameters, model->network, seed);
    *out = model;
    model = NULL;
done:
    model_free(model);
    return status;
}

int32_t model_copy(struct model **out, const struct model *from)
{
    struct card *card = NULL;
    struct model *model = NULL;
    int32_t status;

    if ((status = card_copy(&card, from->card)) != CEM_OK) goto done;
    if ((status = model_of(&model, card)) != CEM_OK) goto done;
    if ((status = parameters_new(&model->parameters, model->network)) != CEM_OK) goto done;
    parameters_copy(&model->parameters, &from->parameters, model->network);
    *out = model;
    model = NULL;
done:
    model_free(model);
    return status;
}

int32_t model_check_same_network(const struct model *a, const struct model *b)
{
    if (a->network->outputs == b->network->outputs &&
        memcmp(a->network->widths, b->network->widths, sizeof a->network->widths) == 0)
        return CEM_OK;
    return error_set(CEM_EARGUMENT,
                     "one model has %d outputs, the other %d, or their decoders differ; use models "
                     "of the same classes, of which one is a copy of the other",
                     a->network->outputs, b->network->outputs);
}

int32_t model_assign(struct model *model, const struct model *from)
{
    struct card *card = NULL;
    int32_t status = model_check_same_network(model, from);

    if (status != CEM_OK) return status;
    if ((status = card_copy(&card, from->card)) != CEM_OK) return status;
    card_free(model->card);
    model->card = card;
    parameters_copy(&model->parameters, &from->parameters, model->network);
    return CEM_OK;
}
