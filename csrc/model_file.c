/* Models in files.  Weights may be kept in 8 bits: an I8 tensor NAME with an F32 tensor NAME.scale,
 * a factor for each output channel. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cem.h"
#include "error.h"
#include "memory.h"
#include "model.h"
#include "safetensors.h"

static const char CARD_KEY[] = "card";
static const double SCALE_LIMIT = 1e30; /* 127 times of which are finite */

enum { SCALE_NAME = 80 };

/* ---- checking ---- */

/* "[64, 1, 7, 7]" */
static void show_shape(char shown[SAFETENSORS_RANK * 24], int rank, const int64_t *shape)
{
    char *end = shown;

    *end++ = '[';
    for (int i = 0; i < rank; i++) end += sprintf(end, i ? ", %lld" : "%lld", (long long)shape[i]);
    strcpy(end, "]");
}

static int32_t check_shape(const struct safetensors_entry *entry, const char *name, int rank,
                           const int64_t *shape, const char *path)
{
    char have[SAFETENSORS_RANK * 24], want[SAFETENSORS_RANK * 24];

    if (!entry)
        return error_set(CEM_EFORMAT, "'%s' lacks tensor '%s'; use an intact copy", path, name);
    if (entry->rank == rank && memcmp(entry->shape, shape, (size_t)rank * sizeof *shape) == 0)
        return CEM_OK;
    show_shape(have, entry->rank, entry->shape);
    show_shape(want, rank, shape);
    return error_set(CEM_EFORMAT,
                     "'%s': tensor '%s' has shape %s, must be %s; use a file whose card and "
                     "weights belong together",
                     path, name, have, want);
}

/* "decoder.blocks.0.conv1.0.weight.scale" */
static void name_scale(char name[SCALE_NAME], const struct network_tensor *tensor)
{
    snprintf(name, SCALE_NAME, "%s.scale", tensor->name);
}

/* The factors of an 8-bit tensor. */
static int32_t check_scale(const struct safetensors *file, const struct network_tensor *tensor,
                           const char *path)
{
    const struct safetensors_entry *scale;
    const float *factors;
    char name[SCALE_NAME];
    int32_t status;

    name_scale(name, tensor);
    scale = safetensors_find(file, name);
    if ((status = check_shape(scale, name, 1, tensor->shape, path)) != CEM_OK) return status;
    if (scale->type != SAFETENSORS_F32)
        return error_set(CEM_EFORMAT, "'%s': tensor '%s' has the wrong type, must be F32", path,
                         name);
    factors = scale->data;
    for (int64_t c = 0; c < tensor->shape[0]; c++)
        if (!(factors[c] >= 0 && factors[c] <= SCALE_LIMIT))
            return error_set(CEM_EFORMAT,
                             "'%s': tensor '%s' has the value %g, must be 0 to %g; use an intact "
                             "model",
                             path, name, (double)factors[c], SCALE_LIMIT);
    return CEM_OK;
}

static bool may_be_8_bit(const struct network_tensor *tensor)
{
    return tensor->rank == 4;
}

static int32_t check_type(const struct safetensors_entry *entry,
                          const struct network_tensor *tensor, const char *path)
{
    const int32_t type = tensor->place < 0 ? SAFETENSORS_I64 : SAFETENSORS_F32;

    if (entry->type == type || (entry->type == SAFETENSORS_I8 && may_be_8_bit(tensor)))
        return CEM_OK;
    return error_set(CEM_EFORMAT, "'%s': tensor '%s' has the wrong type, must be %s", path,
                     tensor->name, type == SAFETENSORS_I64 ? "I64" : "F32");
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

/* Tensors [0, count) of the network are those of layers [0, layers). */
static int tensors_of(const struct network *network, int layers)
{
    struct network_tensor tensor;
    int count = 0;

    do network_tensor_get(&tensor, network, count);
    while (tensor.layer < layers && ++count);
    return count;
}

/* Whether `name` is that of `tensor`, or of the factors it has in `file`. */
static bool belongs(const char *name, const struct network_tensor *tensor,
                    const struct safetensors *file)
{
    const size_t length = strlen(tensor->name);
    const struct safetensors_entry *entry;

    if (strncmp(name, tensor->name, length) != 0) return false;
    if (!name[length]) return true;
    if (strcmp(name + length, ".scale") != 0) return false;
    entry = safetensors_find(file, tensor->name);
    return entry && entry->type == SAFETENSORS_I8;
}

/* Refuses a tensor of the file that is none of the first `count`, all of which are in it. */
static int32_t check_alone(const struct network *network, int count, const struct safetensors *file,
                           const char *path)
{
    struct network_tensor tensor;

    for (int64_t k = 0; k < safetensors_count(file); k++) {
        const char *name = safetensors_at(file, k)->name;
        bool known = false;
        for (int i = 0; i < count && !known; i++) {
            network_tensor_get(&tensor, network, i);
            known = belongs(name, &tensor, file);
        }
        if (!known)
            return error_set(CEM_EFORMAT,
                             "'%s' has a tensor '%.80s' that does not belong to its network; use a "
                             "file whose card and weights belong together",
                             path, name);
    }
    return CEM_OK;
}

static int32_t check_tensor(const struct network *network, const struct network_tensor *tensor,
                            const struct safetensors *file, const char *path)
{
    const struct safetensors_entry *entry = safetensors_find(file, tensor->name);
    int32_t status = check_shape(entry, tensor->name, tensor->rank, tensor->shape, path);

    if (status == CEM_OK) status = check_type(entry, tensor, path);
    if (status != CEM_OK) return status;
    if (entry->type == SAFETENSORS_I8) return check_scale(file, tensor, path);
    return check_values(entry->data, tensor, is_variance(network, tensor), CEM_EFORMAT, path);
}

/* Sees that the first `count` tensors of the network are in the file, and good. */
static int32_t check_tensors(const struct network *network, int count,
                             const struct safetensors *file, const char *path)
{
    struct network_tensor tensor;
    int32_t status = CEM_OK;

    for (int i = 0; i < count && status == CEM_OK; i++) {
        network_tensor_get(&tensor, network, i);
        status = check_tensor(network, &tensor, file, path);
    }
    return status;
}

/* ---- reading ---- */

/* The numbers of `tensor` in the model. */
static void *numbers_of(const struct parameters *parameters, const struct network_tensor *tensor)
{
    return tensor->place < 0 ? (void *)&parameters->batches[tensor->layer]
                             : (void *)&parameters->values[tensor->place];
}

static void take_8_bit(float *out, const int8_t *weights, const struct network_tensor *tensor,
                       const struct safetensors *file)
{
    const int64_t each = tensor->count / tensor->shape[0];
    const float *factors;
    char name[SCALE_NAME];

    name_scale(name, tensor);
    factors = safetensors_find(file, name)->data;
    for (int64_t i = 0; i < tensor->count; i++) out[i] = factors[i / each] * (float)weights[i];
}

/* Copies the first `count` tensors, which check_tensors has seen, into the model. */
static void take_tensors(struct model *model, int count, const struct safetensors *file)
{
    struct network_tensor tensor;

    for (int i = 0; i < count; i++) {
        network_tensor_get(&tensor, model->network, i);
        const struct safetensors_entry *entry = safetensors_find(file, tensor.name);
        void *to = numbers_of(&model->parameters, &tensor);
        if (entry->type == SAFETENSORS_I8) take_8_bit(to, entry->data, &tensor, file);
        else memcpy(to, entry->data, (size_t)entry->bytes);
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

/* Whether the card `text` is that of a model whose decoder has the widths of `network`'s. */
static int32_t has_our_decoder(bool *has, const struct network *network, const char *text,
                               const char *path)
{
    struct card_facts facts;
    struct card *card = NULL;
    int32_t status = card_parse(&card, text, path);

    if (status != CEM_OK) return status;
    card_read(&facts, card);
    *has = memcmp(facts.widths, network->widths, sizeof facts.widths) == 0;
    card_free(card);
    return CEM_OK;
}

/* Takes the encoder, and with `body` the decoder too where it fits. */
static int32_t load_part(struct model *model, const char *path, bool body)
{
    const struct network *network = model->network;
    int count = tensors_of(network, network->encoder);
    struct safetensors *file = NULL;
    struct card *card = NULL;
    const char *text;
    bool whole;
    int32_t status;

    if ((status = open_file(&file, &text, path)) != CEM_OK) goto done;
    if ((status = card_copy(&card, model->card)) != CEM_OK) goto done;
    if ((status = card_set_base(&whole, card, text, path)) != CEM_OK) goto done;
    if (whole && body && (status = has_our_decoder(&body, network, text, path)) != CEM_OK)
        goto done;
    if (whole && body) count = tensors_of(network, network->count - 1);
    if ((status = card_set_decoder(card, whole && body)) != CEM_OK) goto done;
    if ((status = check_tensors(network, count, file, path)) != CEM_OK) goto done;
    if (!whole && (status = check_alone(network, count, file, path)) != CEM_OK) goto done;
    take_tensors(model, count, file);
    card_free(model->card);
    model->card = card;
    card = NULL;
done:
    card_free(card);
    safetensors_free(file);
    return status;
}

int32_t model_load_encoder(struct model *model, const char *path)
{
    return load_part(model, path, false);
}

int32_t model_load_body(struct model *model, const char *path)
{
    return load_part(model, path, true);
}

/* ---- writing ---- */

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
