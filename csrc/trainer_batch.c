/* The samples of a step.  Which sample is what depends on seed and step alone: position p = step *
 * batch + i is in epoch p / n of n samples, each epoch a permutation of its own. */
#include <stddef.h>
#include <string.h>

#include "augment.h"
#include "error.h"
#include "memory.h"
#include "pool.h"
#include "random.h"
#include "trainer.h"

enum {
    STREAM_ORDER = 0x6f72646572,
    STREAM_TURN = 0x7475726e,
    TURNS = 8,
    LEAST_SIDE = 32,
    RESTATE_BATCHES = 4,
    RESTATE_SAMPLES = 4
};

/* Number `position % count` of the permutation of epoch `position / count`, by Fisher and Yates. */
static int64_t pick(const struct trainer *t, int64_t *order, int64_t position, int64_t count)
{
    uint64_t epoch = (uint64_t)(position / count);

    for (int64_t i = 0; i < count; i++) order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = random_below(t->options.seed ^ STREAM_ORDER, epoch, (uint64_t)i, i + 1);
        int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    return order[position % count];
}

/* ---- features ---- */

static int32_t encode_tile(float *out, struct trainer *t, const struct trainer_tile *tile,
                           int orientation, const _Atomic int32_t *cancel)
{
    const struct program *p = t->encode.program;
    float *image = frame_value(&t->encode.frame, p, p->image);
    float *upright = memory_raw(t->side * t->side, sizeof *upright);
    int32_t status;

    if (!upright) return CEM_EMEMORY;
    status = predict_read_tile(upright, &t->images[tile->image].stack, 0, tile->y, tile->x, t->side,
                               t->side);
    augment_turn_floats(image, upright, t->side, orientation);
    memory_free(upright);
    if (status == CEM_OK) status = engine_run(&t->encode, t->model, t->options.threads, cancel);
    if (status == CEM_OK) engine_take_features(out, &t->encode);
    return status;
}

int32_t trainer_features(const float **out, struct trainer *t, const struct trainer_tile *tile,
                         int orientation, const _Atomic int32_t *cancel)
{
    struct feature_key key = {.encoder = t->model->parameters.encoder,
                              .image = t->images[tile->image].key,
                              .tile = tile->number,
                              .orientation = orientation};
    float *room;
    int32_t status;

    if ((*out = feature_store_find(t->features, &key))) return CEM_OK;
    if (!(room = feature_store_put(t->features, &key, engine_feature_floats(&t->encode))))
        return CEM_EMEMORY;
    status = encode_tile(room, t, tile, orientation, cancel);
    if (status != CEM_OK) feature_store_drop(t->features, &key);
    *out = room;
    return status;
}

/* ---- the interactive recipe ---- */

/* Classes of the pixels of `tile` that train. */
static void read_target(int16_t *out, const struct trainer *t, const struct trainer_tile *tile)
{
    const struct trainer_image *image = &t->images[tile->image];

    for (int64_t y = 0; y < t->side; y++)
        for (int64_t x = 0; x < t->side; x++) {
            int64_t iy = tile->y + y, ix = tile->x + x, at = iy * image->stack.width + ix;
            bool inside = iy < image->stack.height && ix < image->stack.width;
            bool held = inside && image->held_out && image->held_out[at];
            out[y * t->side + x] = inside && !held ? image->labels[at] : -1;
        }
}

static int32_t fill_interactive(struct trainer *t, int64_t *order, int64_t sample,
                                const _Atomic int32_t *cancel)
{
    int64_t position = t->step * t->options.batch + sample, pixels = t->side * t->side;
    int64_t number = t->trained_tiles[pick(t, order, position, t->trained_count)];
    const struct trainer_tile *tile = &t->tiles[number];
    int turn = t->options.augmentations & CEM_FLIPS
                   ? (int)random_below(t->options.seed, STREAM_TURN, (uint64_t)position, TURNS)
                   : 0;
    int16_t *upright = memory_raw(pixels, sizeof *upright);
    const float *features;
    int32_t status;

    if (!upright) return CEM_EMEMORY;
    status = trainer_features(&features, t, tile, turn, cancel);
    if (status == CEM_OK) {
        engine_place_features(&t->train, features, sample);
        read_target(upright, t, tile);
        augment_turn_targets(t->target + sample * pixels, upright, t->side, turn);
    }
    memory_free(upright);
    return status;
}

/* ---- the recipe cem500k ---- */

struct augment_job {
    struct trainer *trainer;
    int64_t images[64]; /* of each sample */
};

static int32_t augment_one(void *context, int64_t step, int64_t part, int worker)
{
    const struct augment_job *job = context;
    struct trainer *t = job->trainer;
    const struct trainer_image *image = &t->images[job->images[part]];
    const struct program *p = t->train.program;
    int64_t pixels = t->side * t->side;
    float *to = frame_value(&t->train.frame, p, p->image) + part * pixels;
    uint8_t *grey = memory_raw(pixels, 1);
    int32_t status;

    (void)step, (void)worker;
    if (!grey) return CEM_EMEMORY;
    status =
        augment_sample(grey, t->target + part * pixels, image->stack.pixels, image->labels,
                       image->stack.height, image->stack.width, t->side, t->options.augmentations,
                       t->options.seed, (uint64_t)(t->step * t->options.batch + part));
    for (int64_t i = 0; i < pixels; i++)
        to[i] = (float)((grey[i] - image->stack.intensity.offset) * image->stack.intensity.scale);
    memory_free(grey);
    return status;
}

static int32_t fill_augmented(struct trainer *t, int64_t *order)
{
    struct augment_job job = {.trainer = t};

    for (int64_t sample = 0; sample < t->options.batch; sample++)
        job.images[sample] = pick(t, order, t->step * t->options.batch + sample, t->image_count);
    return pool_for(t->options.threads, t->options.batch, augment_one, &job);
}

int32_t trainer_fill_batch(struct trainer *t, const _Atomic int32_t *cancel)
{
    bool interactive = t->options.recipe == CEM_INTERACTIVE;
    int64_t *order = memory_raw(interactive ? t->trained_count : t->image_count, sizeof *order);
    int32_t status = CEM_OK;

    if (!order) return CEM_EMEMORY;
    if (!interactive) status = fill_augmented(t, order);
    for (int64_t i = 0; interactive && i < t->options.batch && status == CEM_OK; i++)
        status = fill_interactive(t, order, i, cancel);
    memory_free(order);
    return status;
}

/* ---- statistics of the encoder on the user's images ---- */

/* Tile `number` of all the tiles of all the images, annotated or not. */
static struct trainer_tile any_tile(const struct trainer *t, int64_t number)
{
    struct trainer_tile tile = {0};
    const struct trainer_image *image = t->images;
    struct tiling tiling;
    struct interval y, x;

    for (; number >= image->tiles; image++) number -= image->tiles;
    tiling = trainer_tiling(t, image);
    tiling_tile(&y, &x, &tiling, number);
    tile.image = (int)(image - t->images);
    tile.number = number;
    tile.y = y.start;
    tile.x = x.start;
    return tile;
}

/* Runs the encoder with batch statistics over tiles [first, first + samples) of `count` evenly
 * spaced ones. */
static int32_t measure_statistics(float *batch, struct trainer *t, struct engine *engine,
                                  int64_t first, int64_t count, const _Atomic int32_t *cancel)
{
    const struct program *p = engine->program;
    struct program_run run = {.program = p,
                              .frame = &engine->frame,
                              .packed = engine->packed,
                              .parameters = &t->model->parameters,
                              .batch = batch,
                              .last = p->phase_count};
    int64_t all = 0, pixels = t->side * t->side;
    float *image = frame_value(&engine->frame, p, p->image);
    int32_t status = CEM_OK;

    for (int i = 0; i < t->image_count; i++) all += t->images[i].tiles;
    for (int64_t i = 0; i < p->options.samples && status == CEM_OK; i++) {
        struct trainer_tile tile = any_tile(t, (first + i) % count * all / count);
        status = predict_read_tile(image + i * pixels, &t->images[tile.image].stack, 0, tile.y,
                                   tile.x, t->side, t->side);
    }
    return status == CEM_OK ? program_run(&run, t->options.threads, cancel) : status;
}

/* mean += (now - mean) / batches, for every statistic of the encoder. */
static void average_statistics(float *mean, const float *now, const struct network *network,
                               int64_t batches)
{
    for (int i = 0; i < network->encoder; i++) {
        const struct layer *layer = &network->layers[i];
        if (!layer->norm[0]) continue;
        for (int64_t at = layer->mean; at < layer->mean + 2 * (int64_t)layer->out; at++)
            mean[at] = (float)(mean[at] + ((double)now[at] - mean[at]) / (double)batches);
    }
}

static void take_statistics(struct trainer *t, const float *statistics)
{
    const struct network *network = t->model->network;

    for (int i = 0; i < network->encoder; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->norm[0])
            memcpy(t->model->parameters.values + layer->mean, statistics + layer->mean,
                   2 * (size_t)layer->out * sizeof *statistics);
    }
    parameters_changed(&t->model->parameters);
}

int32_t trainer_restate(struct trainer *t, const _Atomic int32_t *cancel)
{
    struct program_options options = {
        .kind = PROGRAM_STATISTICS, .height = t->side, .width = t->side};
    const struct network *network = t->model->network;
    int64_t places = network->layers[network->encoder].weight, all = 0, count, batches;
    float *now, *mean;
    struct engine engine = {0};
    int32_t status = CEM_EMEMORY;

    for (int i = 0; i < t->image_count; i++) all += t->images[i].tiles;
    /* The deepest maps of one least tile hold one value each, which has no deviation. */
    if (all * t->side == LEAST_SIDE) return CEM_OK;
    if (!(now = memory_new(2 * places, sizeof *now))) return status;
    mean = now + places;
    count = all < RESTATE_BATCHES * RESTATE_SAMPLES ? all : RESTATE_BATCHES * RESTATE_SAMPLES;
    options.samples = count < RESTATE_SAMPLES ? count : RESTATE_SAMPLES;
    batches = (count + options.samples - 1) / options.samples;
    status = engine_new(&engine, t->model, &options, t->options.threads);
    for (int64_t i = 0; i < batches && status == CEM_OK; i++) {
        status = measure_statistics(now, t, &engine, i * options.samples, count, cancel);
        if (status == CEM_OK) average_statistics(mean, now, network, i + 1);
    }
    if (status == CEM_OK) take_statistics(t, mean);
    engine_free(&engine);
    memory_free(now);
    return status;
}
