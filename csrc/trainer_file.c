/* A trainer's state on disk: a safetensors file with the parameters, the optimiser's moments, the
 * best state and a few numbers.  The images are not in it. */
#include <stddef.h>
#include <string.h>

#include "error.h"
#include "memory.h"
#include "safetensors.h"
#include "trainer.h"

/* The numbers under "state". */
enum {
    STATE_STEP,
    STATE_UPDATES,
    STATE_OPTIONS,
    STATE_RESTATED,
    STATE_BEST_IOU,
    STATE_THRESHOLD,
    STATE_ANNOTATIONS,
    STATES
};

enum { MOST_ENTRIES = 7 };

static const char KIND[] = "trainer";

/* Of every option that changes the result. */
static int64_t hash_options(const struct trainer *t)
{
    cem_trainer_options o = t->options;
    uint64_t h;

    o.threads = 0;
    o.feature_bytes = 0;
    o.class_weights = NULL;
    o.milestones = NULL;
    h = trainer_hash(0, &o, sizeof o);
    if (t->options.class_weights)
        h = trainer_hash(h, t->options.class_weights, t->facts.classes * (int64_t)sizeof(double));
    if (t->options.milestones)
        h = trainer_hash(h, t->options.milestones, o.milestone_count * (int64_t)sizeof(int64_t));
    return (int64_t)h;
}

static int64_t bits_of(double value)
{
    int64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(int64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static struct safetensors_entry entry(const char *name, int type, int64_t count, const void *data)
{
    int64_t size = type == SAFETENSORS_F32 ? 4 : 8;

    return (struct safetensors_entry){.name = name,
                                      .type = type,
                                      .rank = 1,
                                      .shape = {count},
                                      .bytes = count * size,
                                      .data = data};
}

/* The file's tensors, `state` among them; returns how many. */
static int64_t list_entries(struct safetensors_entry *out, const struct trainer *t,
                            const int64_t *state)
{
    int64_t all = t->model->network->parameters, layers = t->model->network->count;
    const struct parameters *p = &t->model->parameters;
    int64_t count = 0;

    out[count++] = entry("batches", SAFETENSORS_I64, layers, p->batches);
    if (t->best) {
        out[count++] = entry("best", SAFETENSORS_F32, all, t->best->parameters.values);
        out[count++] = entry("best_batches", SAFETENSORS_I64, layers, t->best->parameters.batches);
    }
    out[count++] = entry("first_moment", SAFETENSORS_F32, all - t->origin, t->first_moment);
    out[count++] = entry("parameters", SAFETENSORS_F32, all, p->values);
    out[count++] = entry("second_moment", SAFETENSORS_F32, all - t->origin, t->second_moment);
    out[count++] = entry("state", SAFETENSORS_I64, STATES, state);
    return count;
}

int32_t trainer_save(struct trainer *t, const char *path)
{
    struct safetensors_entry entries[MOST_ENTRIES];
    int64_t state[STATES] = {0}, count;
    struct card_facts facts = {.threshold = -1};

    if (t->best) card_read(&facts, t->best->card);
    state[STATE_STEP] = t->step;
    state[STATE_UPDATES] = t->updates;
    state[STATE_OPTIONS] = hash_options(t);
    state[STATE_RESTATED] = t->restated;
    state[STATE_BEST_IOU] = bits_of(t->best_iou);
    state[STATE_THRESHOLD] = bits_of(facts.threshold);
    state[STATE_ANNOTATIONS] = t->annotations;
    count = list_entries(entries, t, state);
    return safetensors_write(path, entries, count, "kind", KIND, 1);
}

/* Copies entry `name` of the file, which has to have `count` numbers, to `to`. */
static int32_t take(void *to, const struct safetensors *file, const char *path, const char *name,
                    int type, int64_t count)
{
    const struct safetensors_entry *e = safetensors_find(file, name);
    int64_t bytes = count * (type == SAFETENSORS_F32 ? 4 : 8);

    if (!e || e->type != type || e->bytes != bytes)
        return error_set(CEM_EFORMAT,
                         "%s: tensor %s is missing or does not fit the model; give the model and "
                         "the options this training was begun with",
                         path, name);
    memcpy(to, e->data, (size_t)bytes);
    return CEM_OK;
}

static int32_t take_best(struct trainer *t, const struct safetensors *file, const char *path,
                         const int64_t *state)
{
    double threshold = double_of(state[STATE_THRESHOLD]);
    int32_t status;

    t->best_iou = double_of(state[STATE_BEST_IOU]);
    if (!safetensors_find(file, "best")) return CEM_OK;
    if (!(threshold == -1 || (threshold > 0 && threshold <= 1)) ||
        !(t->best_iou >= -1 && t->best_iou <= 1))
        return error_set(CEM_EFORMAT, "%s: the best state's numbers are out of range", path);
    if ((status = model_copy(&t->best, t->model)) != CEM_OK) return status;
    status = take(t->best->parameters.values, file, path, "best", SAFETENSORS_F32,
                  t->model->network->parameters);
    if (status == CEM_OK)
        status = take(t->best->parameters.batches, file, path, "best_batches", SAFETENSORS_I64,
                      t->model->network->count);
    return status == CEM_OK ? card_set_threshold(t->best->card, threshold) : status;
}

static int32_t take_state(struct trainer *t, const struct safetensors *file, const char *path)
{
    int64_t all = t->model->network->parameters, layers = t->model->network->count;
    struct parameters *p = &t->model->parameters;
    int64_t state[STATES];
    int32_t status;

    if ((status = take(state, file, path, "state", SAFETENSORS_I64, STATES)) != CEM_OK)
        return status;
    if (state[STATE_OPTIONS] != hash_options(t) || state[STATE_STEP] < 0 ||
        state[STATE_UPDATES] < 0)
        return error_set(CEM_EARGUMENT,
                         "%s: this training was begun with other options; give the same ones",
                         path);
    if ((status = take_best(t, file, path, state)) != CEM_OK) return status;
    t->step = state[STATE_STEP];
    t->updates = state[STATE_UPDATES];
    t->restated = state[STATE_RESTATED] != 0;
    t->annotations = state[STATE_ANNOTATIONS];
    if ((status = take(p->values, file, path, "parameters", SAFETENSORS_F32, all)) != CEM_OK ||
        (status = take(p->batches, file, path, "batches", SAFETENSORS_I64, layers)) != CEM_OK ||
        (status = take(t->first_moment, file, path, "first_moment", SAFETENSORS_F32,
                       all - t->origin)) != CEM_OK ||
        (status = take(t->second_moment, file, path, "second_moment", SAFETENSORS_F32,
                       all - t->origin)) != CEM_OK)
        return status;
    parameters_changed(p);
    return CEM_OK;
}

int32_t trainer_load(struct trainer **out, const struct model *model,
                     const cem_trainer_options *options, const char *path)
{
    struct safetensors *file = NULL;
    struct trainer *t = NULL;
    const char *kind;
    int32_t status;

    if ((status = safetensors_read(&file, path)) != CEM_OK) return status;
    kind = safetensors_metadata(file, "kind");
    if (!kind || strcmp(kind, KIND) != 0) {
        status = error_set(CEM_EFORMAT, "%s is not a training checkpoint", path);
        goto done;
    }
    if ((status = trainer_new(&t, model, options)) != CEM_OK) goto done;
    if ((status = take_state(t, file, path)) != CEM_OK) goto done;
    *out = t;
    t = NULL;
done:
    trainer_free(t);
    safetensors_free(file);
    return status;
}
