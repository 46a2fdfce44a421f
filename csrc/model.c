/* Everything here is a loop over the network's tensors.  The random weights follow
 * segmentation_models.pytorch: He et al. 2015 for the encoder (normal, fan out) and the decoder
 * (uniform, fan in), Glorot and Bengio 2010 for the head. */
#include "model.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cem.h"
#include "error.h"
#include "memory.h"
#include "random.h"
#include "safetensors.h"

static const char CARD_KEY[] = "card";

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

/* A model still without parameters, which takes `card` over, also on failure. */
static int32_t model_of(struct model **out, struct card *card)
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

/* ---- files ---- */

/* "[64, 1, 7, 7]" */
static void show_shape(char shown[SAFETENSORS_RANK * 24], int rank, const int64_t *shape)
{
    char *end = shown;

    *end++ = '[';
    for (int i = 0; i < rank; i++) end += sprintf(end, i ? ", %lld" : "%lld", (long long)shape[i]);
    strcpy(end, "]");
}

static int32_t check_entry(const struct safetensors_entry *entry,
                           const struct network_tensor *tensor, const char *path)
{
    const int32_t type = tensor->place < 0 ? SAFETENSORS_I64 : SAFETENSORS_F32;
    char have[SAFETENSORS_RANK * 24], want[SAFETENSORS_RANK * 24];

    if (!entry)
        return error_set(CEM_EFORMAT, "'%s' lacks tensor '%s'; use an intact copy", path,
                         tensor->name);
    if (entry->rank != tensor->rank ||
        memcmp(entry->shape, tensor->shape, (size_t)tensor->rank * sizeof *entry->shape) != 0) {
        show_shape(have, entry->rank, entry->shape);
        show_shape(want, tensor->rank, tensor->shape);
        return error_set(CEM_EFORMAT,
                         "'%s': tensor '%s' has shape %s, must be %s; use a file whose card and "
                         "weights belong together",
                         path, tensor->name, have, want);
    }
    if (entry->type != type)
        return error_set(CEM_EFORMAT, "'%s': tensor '%s' has the wrong type, must be %s", path,
                         tensor->name, type == SAFETENSORS_I64 ? "I64" : "F32");
    return CEM_OK;
}

/* Refuses values no network can have: not finite, a variance or a count below 0. */
static int32_t check_values(const void *data, const struct network_tensor *tensor, bool variance,
                            int32_t status, const char *path)
{
    const float *values = data;
    const int64_t *batches = data;
    const double lowest = variance ? 0 : -HUGE_VAL;

    if (tensor->place < 0) {
        if (*batches >= 0) return CEM_OK;
        return error_set(status, "'%s': tensor '%s' is %lld, must be at least 0", path,
                         tensor->name, (long long)*batches);
    }
    for (int64_t i = 0; i < tensor->count; i++)
        if (!isfinite(values[i]) || values[i] < lowest)
            return error_set(
                status, "'%s': tensor '%s' has the value %g, must be %s; use an intact model", path,
                tensor->name, (double)values[i], variance ? "finite and at least 0" : "finite");
    return CEM_OK;
}

static bool is_variance(const struct network *network, const struct network_tensor *tensor)
{
    return tensor->place >= 0 && tensor->place == network->layers[tensor->layer].variance;
}

/* Tensors [0, count) of the network are those of the encoder, or all. */
static int encoder_tensors(const struct network *network)
{
    struct network_tensor tensor;
    int count = 0;

    do network_tensor_get(&tensor, network, count);
    while (tensor.layer < network->encoder && ++count);
    return count;
}

/* Refuses a tensor of the file that is none of the first `count`, all of which are in it. */
static int32_t check_alone(const struct network *network, int count, const struct safetensors *file,
                           const char *path)
{
    const struct safetensors_entry *entry = NULL;
    struct network_tensor tensor;
    bool known = true;

    if (safetensors_count(file) == count) return CEM_OK;
    for (int64_t k = 0; known; k++) {
        entry = safetensors_at(file, k);
        known = false;
        for (int i = 0; i < count && !known; i++) {
            network_tensor_get(&tensor, network, i);
            known = strcmp(entry->name, tensor.name) == 0;
        }
    }
    return error_set(CEM_EFORMAT,
                     "'%s' has a tensor '%.80s' that does not belong to its network; use a file "
                     "whose card and weights belong together",
                     path, entry->name);
}

/* Sees that the first `count` tensors of the network are in the file, and good. */
static int32_t check_tensors(const struct network *network, int count,
                             const struct safetensors *file, const char *path)
{
    struct network_tensor tensor;
    int32_t status = CEM_OK;

    for (int i = 0; i < count && status == CEM_OK; i++) {
        network_tensor_get(&tensor, network, i);
        const struct safetensors_entry *entry = safetensors_find(file, tensor.name);
        status = check_entry(entry, &tensor, path);
        if (status == CEM_OK)
            status = check_values(entry->data, &tensor, is_variance(network, &tensor), CEM_EFORMAT,
                                  path);
    }
    return status;
}

/* The numbers of `tensor` in the model. */
static void *numbers_of(const struct parameters *parameters, const struct network_tensor *tensor)
{
    return tensor->place < 0 ? (void *)&parameters->batches[tensor->layer]
                             : (void *)&parameters->values[tensor->place];
}

/* Copies the first `count` tensors, which check_tensors has seen, into the model. */
static void take_tensors(struct model *model, int count, const struct safetensors *file)
{
    struct network_tensor tensor;

    for (int i = 0; i < count; i++) {
        network_tensor_get(&tensor, model->network, i);
        const struct safetensors_entry *entry = safetensors_find(file, tensor.name);
        memcpy(numbers_of(&model->parameters, &tensor), entry->data, (size_t)entry->bytes);
    }
    parameters_changed(&model->parameters);
}

/* Opens a file that has a card. */
static int32_t open_file(struct safetensors **out, const char **card, const char *path)
{
    int32_t status = safetensors_read(out, path);

    if (status != CEM_OK) return status;
    *card = safetensors_metadata(*out, CARD_KEY);
    return *card ? CEM_OK
                 : error_set(CEM_EFORMAT,
                             "'%s' has no card, so it is no model; convert weights from elsewhere "
                             "with `napari-cem weights import`",
                             path);
}

/* The tensors are checked before there is room for them, so that a small file with a wrong card
 * cannot ask for much. */
int32_t model_load(struct model **out, const char *path)
{
    struct safetensors *file = NULL;
    struct model *model = NULL;
    struct card *card = NULL;
    const char *text;
    int count;
    int32_t status;

    if ((status = open_file(&file, &text, path)) != CEM_OK) goto done;
    if ((status = card_parse(&card, text, path)) != CEM_OK) goto done;
    if ((status = model_of(&model, card)) != CEM_OK) goto done;
    count = model->network->tensors;
    if ((status = check_tensors(model->network, count, file, path)) != CEM_OK) goto done;
    if ((status = check_alone(model->network, count, file, path)) != CEM_OK) goto done;
    if ((status = parameters_new(&model->parameters, model->network)) != CEM_OK) goto done;
    take_tensors(model, count, file);
    *out = model;
    model = NULL;
done:
    model_free(model);
    safetensors_free(file);
    return status;
}

int32_t model_load_encoder(struct model *model, const char *path)
{
    const int count = encoder_tensors(model->network);
    struct safetensors *file = NULL;
    struct card *card = NULL;
    const char *text;
    bool whole;
    int32_t status;

    if ((status = open_file(&file, &text, path)) != CEM_OK) goto done;
    if ((status = card_copy(&card, model->card)) != CEM_OK) goto done;
    if ((status = card_set_base(&whole, card, text, path)) != CEM_OK) goto done;
    if ((status = check_tensors(model->network, count, file, path)) != CEM_OK) goto done;
    if (!whole && (status = check_alone(model->network, count, file, path)) != CEM_OK) goto done;
    take_tensors(model, count, file);
    card_free(model->card);
    model->card = card;
    card = NULL;
done:
    card_free(card);
    safetensors_free(file);
    return status;
}

/* Lists the model's tensors; the names lie in `tensors`. */
static int32_t list_entries(struct safetensors_entry *entries, struct network_tensor *tensors,
                            const struct model *model, const char *path)
{
    int32_t status = CEM_OK;

    for (int i = 0; i < model->network->tensors && status == CEM_OK; i++) {
        struct network_tensor *tensor = &tensors[i];
        struct safetensors_entry *entry = &entries[i];
        network_tensor_get(tensor, model->network, i);
        entry->name = tensor->name;
        entry->type = tensor->place < 0 ? SAFETENSORS_I64 : SAFETENSORS_F32;
        entry->rank = tensor->rank;
        memcpy(entry->shape, tensor->shape, sizeof tensor->shape);
        entry->data = numbers_of(&model->parameters, tensor);
        entry->bytes =
            tensor->count * (int64_t)(tensor->place < 0 ? sizeof(int64_t) : sizeof(float));
        status = check_values(entry->data, tensor, is_variance(model->network, tensor),
                              CEM_EARGUMENT, path);
    }
    return status;
}

int32_t model_save(struct model *model, const char *path, int32_t overwrite)
{
    const int count = model->network->tensors;
    struct network_tensor *tensors = NULL;
    struct safetensors_entry *entries = NULL;
    const char *text;
    int32_t status = CEM_EMEMORY;

    if (!(tensors = memory_new(count, sizeof *tensors))) goto done;
    if (!(entries = memory_new(count, sizeof *entries))) goto done;
    if ((status = list_entries(entries, tensors, model, path)) != CEM_OK) goto done;
    if ((status = card_text(&text, model->card)) != CEM_OK) goto done;
    status = safetensors_write(path, entries, count, CARD_KEY, text, overwrite);
done:
    memory_free(entries);
    memory_free(tensors);
    return status;
}
