/* Fine-tuning, step by step.
 *
 *   trainer.c           making and ending a trainer; a step: batch, forward, loss, backward, update
 *   trainer_images.c    annotated images, held-out strokes, tiles
 *   trainer_batch.c     what a step's samples are, for both recipes
 *   trainer_evaluate.c  held-out strokes, best state, commit and revert
 *   trainer_file.c      a trainer's state on disk
 *
 * Interactive: the encoder is frozen, so the features of the tiles around the labels are computed
 * once and the program starts from them.  cem500k: crops of the images, augmented, through the
 * whole network with batch statistics (Conrad and Narayan 2021, Methods). */
#ifndef CEM_TRAINER_H
#define CEM_TRAINER_H

#include <stdatomic.h>

#include "cem.h"
#include "engine.h"
#include "feature_store.h"
#include "model.h"
#include "predict.h"

struct trainer_image {
    int64_t key;
    struct stack stack; /* one slice, pixels owned */
    int16_t *labels;    /* (height, width) class of each pixel, -1 not annotated */
    uint8_t *held_out;  /* (height, width) 1 where a held-out stroke is, or NULL */
    int64_t tiles;      /* tiles of its grid */
};

/* A tile with annotated pixels. */
struct trainer_tile {
    int image;
    int64_t number; /* in the image's grid */
    int64_t y, x;   /* of its first pixel */
    bool trains;    /* has annotated pixels that are not held out */
    bool held_out;  /* has pixels that are */
};

/* Floats of the blob [first, last) that train. */
struct span {
    int64_t first, last;
    bool head; /* of the network's last layer */
};

struct trainer {
    cem_trainer_options options; /* class_weights and milestones point to copies */
    struct card_facts facts;
    struct model *model;     /* the weights of now */
    int64_t origin;          /* place in the blob where what follows begins */
    float *gradient, *batch; /* (parameters - origin) */
    float *first_moment, *second_moment;
    struct span *spans;
    int64_t span_count;
    int64_t step;
    int64_t updates; /* steps of the optimiser since its moments were 0 */

    struct trainer_image *images;
    int image_count;
    struct trainer_tile *tiles;
    int64_t tile_count;
    int64_t *trained_tiles; /* those that train */
    int64_t trained_count;
    int64_t side; /* of a sample */
    bool images_changed;
    int64_t held_out;    /* pixels */
    int64_t annotations; /* hash of the labels and held-out strokes `best` belongs to */

    bool restated; /* the encoder's statistics are those of the images */
    struct feature_store *features;
    struct engine train, encode, decode;
    int16_t *target; /* (batch, side, side) */

    struct model *best; /* the best state, or NULL */
    double best_iou;
    struct model *previous; /* what the last commit replaced, or NULL */
};

int32_t trainer_new(struct trainer **out, const struct model *model,
                    const cem_trainer_options *options);
void trainer_free(struct trainer *trainer);

int32_t trainer_set(struct trainer *trainer, int64_t key, const struct stack *stack,
                    const int32_t *labels);
int32_t trainer_step(cem_trainer_report *report, struct trainer *trainer, int64_t steps,
                     const _Atomic int32_t *cancel);
int32_t trainer_evaluate(double *iou, int64_t *pixels, struct trainer *trainer,
                         const _Atomic int32_t *cancel);
int32_t trainer_commit(struct trainer *trainer, struct model *model);
int32_t trainer_snapshot(struct trainer *trainer, struct model *model);
int32_t trainer_restart(struct trainer *trainer, struct model *model);
int32_t trainer_revert(struct trainer *trainer, struct model *model);
int32_t trainer_save(struct trainer *trainer, const char *path);
int32_t trainer_load(struct trainer **out, const struct model *model,
                     const cem_trainer_options *options, const char *path);

/* ---- between the files of the trainer ---- */

/* Fowler, Noll and Vo's hash of some bytes, going on from `seed`. */
uint64_t trainer_hash(uint64_t seed, const void *bytes, int64_t count);

/* Gets everything ready for a step or an evaluation: tiles, held-out strokes, statistics,
 * programs. */
int32_t trainer_prepare(struct trainer *trainer, const _Atomic int32_t *cancel);

/* Held-out strokes, sample side and tiles, after images or labels have changed. */
int32_t trainer_survey(struct trainer *trainer);

/* The grid of sample-sized tiles over `image`. */
struct tiling trainer_tiling(const struct trainer *trainer, const struct trainer_image *image);

/* Re-estimates the encoder's batch-norm statistics on the images. */
int32_t trainer_restate(struct trainer *trainer, const _Atomic int32_t *cancel);

/* Fills the train program's inputs and the target with the samples of the step. */
int32_t trainer_fill_batch(struct trainer *trainer, const _Atomic int32_t *cancel);

/* The features of `tile` in `orientation`, encoded if they are not in the store. */
int32_t trainer_features(const float **out, struct trainer *trainer,
                         const struct trainer_tile *tile, int orientation,
                         const _Atomic int32_t *cancel);

#endif
