/* cem.h - the whole public interface of libcem.
 *
 * libcem segments cellular electron-microscopy images with a U-Net whose encoder is a ResNet-50,
 * and fine-tunes that network on a few annotated pixels.  It runs on the CPU, through oneDNN.
 *
 * Rules that hold for every function here, stated once:
 *
 *   Errors     An int32_t result is a status: CEM_OK, or a negative CEM_E*.  cem_last_error() then
 *              says what went wrong, in one line.  On failure no output is written, unless the
 *              function says so.
 *   Order      Outputs come first, then the handle, then inputs, then options.
 *   Memory     Arrays are C-contiguous, borrowed for the call, and never kept.  Outputs go into
 *              memory of the caller.  Only handles are owned by the library: X_new, X_load or
 *              X_open makes one, X_free ends it, and X_free(NULL) does nothing.  No call may be
 *              using what is freed.
 *   Threads    Any thread may call.  A handle in use by one call answers CEM_EBUSY to another.
 *   Cancel     cem_cancel() may be called from any thread; the call in progress on that handle, or
 *              else the next one that computes, returns CEM_ECANCELLED within 0.3 s, and the
 *              handle is as after its last whole step.
 *   Process    Nothing here prints, exits, aborts, or reads the environment.
 *   Text       Strings are UTF-8.
 *   Options    X_options is filled by X_defaults(&o, sizeof o): a caller whose layout is out of
 *              step gets CEM_EARGUMENT and nothing is written.  Defaults stand in [ ].
 *   Sameness   The same library, instruction set, seed and data give the same bits, whatever the
 *              number of threads and the order of tiles.
 */
#ifndef CEM_H
#define CEM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Between the two marks: plain C declarations and nothing of the preprocessor, so that cffi can
 * read this text as it stands. */
/* ---- begin ---- */

/* ==== Status ==== */

enum {
    CEM_OK = 0,
    CEM_EARGUMENT = -1,  /* an argument is out of its documented range */
    CEM_EMEMORY = -2,    /* out of memory; the handle is still usable */
    CEM_EFILE = -3,      /* a file cannot be opened, read or written, or exists already */
    CEM_EFORMAT = -4,    /* the content of a file is not what it has to be */
    CEM_ECANCELLED = -5, /* cem_cancel() was called */
    CEM_EBUSY = -6,      /* another call is using this handle */
    CEM_EBACKEND = -7    /* oneDNN refused */
};

/* One line, never NULL: the calling thread's last failure.  Valid until this thread's next cem_
 * call; owned by the library. */
const char *cem_last_error(void);

/* ==== Library ==== */

/* The version of the library that was loaded, "0.1.0". */
const char *cem_version(void);

/* What computes: oneDNN's version and the instruction set it uses on this CPU. */
const char *cem_backend(void);

/* CPU cores this process may run on: what `threads = 0` means. */
int32_t cem_cores(void);

/* ==== Cancel ==== */

/* Asks the call in progress on `handle` (a cem_model or a cem_trainer) to stop.  NULL is ignored.
 */
void cem_cancel(void *handle);

/* ==== Pixels ==== */

/* Types of pixels. */
enum {
    CEM_U8 = 1,
    CEM_U16 = 2,
    CEM_U32 = 3,
    CEM_I8 = 4,
    CEM_I16 = 5,
    CEM_I32 = 6,
    CEM_F32 = 7,
    CEM_F64 = 8
};

/* Running statistics of a volume's pixels.  All zeros is empty. */
typedef struct cem_statistics {
    int64_t count;      /* pixels seen */
    int64_t at_minimum; /* of those, how many have the smallest value */
    int64_t at_maximum; /* and how many the largest */
    double minimum;
    double maximum;
    double shift;   /* first pixel seen; sums are taken relative to it */
    double sum;     /* of (pixel - shift) */
    double squares; /* of (pixel - shift)^2 */
} cem_statistics;

/* Adds `count` pixels of `type` to `statistics`.  Values that are not finite are refused. */
int32_t cem_statistics_add(cem_statistics *statistics, const void *pixels, int32_t type,
                           int64_t count);

/* How grey values enter the network: x = (pixel - offset) * scale. */
typedef struct cem_intensity {
    double offset;
    double scale;
} cem_intensity;

/* The one rule for every pixel type: zero mean and unit deviation over the volume, its smallest and
 * largest values left out (padding and saturation).  The result does not change when the same
 * volume comes as 8-bit, 12-bit in 16, float or signed.  A constant volume is refused. */
int32_t cem_intensity_measure(cem_intensity *intensity, const cem_statistics *statistics);

/* Numbers, from 0, of at most `most` (>= 2) evenly spaced slices of a stack, its first and last
 * among them: CEM_SAMPLE_SLICES are looked at to measure a volume. slices  room for `most` Returns
 * how many there are, or a negative status. */
enum { CEM_SAMPLE_SLICES = 64 };
int64_t cem_sample(int64_t *slices, int64_t depth, int64_t most);

/* Mean and deviation of 8-bit pixels in units of 0..1, to six decimals: the second rule, "norms",
 * by which weights are pre-trained. */
int32_t cem_norms_measure(double *norms, const cem_statistics *statistics);

/* The constants of that rule, for 8-bit pixels. */
int32_t cem_intensity_from_norms(cem_intensity *intensity, const double *norms);

/* `count` pixels as 8-bit ones, [low, high] becoming [0, 255]. */
int32_t cem_stretch(uint8_t *out, const void *pixels, int32_t type, int64_t count, double low,
                    double high);

/* What tells a volume from its negative: quantiles (1, 10, 25, 50, 75, 90 and 99 %) of the pixels,
 * and of the differences of their means over 1, 3, 7 and 15 pixels, summed over some slices.  All
 * zeros is empty. */
typedef struct cem_contrast {
    int64_t slices;  /* slices seen */
    double sums[28]; /* (4, 7): bands, quantiles */
} cem_contrast;

/* Adds a slice, of which the middle 512 x 512 pixels are looked at.  Every n-th of the slices of
 * cem_sample is added, n being their number divided by CEM_CONTRAST_SLICES, rounded down, and at
 * least 1. */
enum { CEM_CONTRAST_SLICES = 8 };
int32_t cem_contrast_add(cem_contrast *contrast, const void *pixels, int32_t type, int64_t height,
                         int64_t width);

/* The mean, (4, 7), of the slices added, in units of what the network sees; four decimals. */
int32_t cem_contrast_mean(double *mean, const cem_contrast *contrast,
                          const cem_intensity *intensity);

/* `inverted` is 1 if the mean `seen` is at least twice as near to `trained` once it is inverted. */
int32_t cem_contrast_inverted(int32_t *inverted, const double *trained, const double *seen);

/* Nanometres of a `length` in `unit` ("nm", "micron", "um", ...), six digits; 0 if the unit is not
 * known or an electron microscope's pixel has another size (0.1 nm to 10 um). */
int32_t cem_pixel_nm(double *nm, double length, const char *unit);

/* ==== Model ==== */

typedef struct cem_model cem_model;

typedef struct cem_model_options {
    uint64_t seed;     /* of the random weights                       [ 0 ] */
    int32_t classes;   /* label classes, background included, 2..255  [ 2 ] */
    int32_t widths[5]; /* channels of the decoder's blocks            [ 256 128 64 32 16 ] */
} cem_model_options;

int32_t cem_model_defaults(cem_model_options *options, int64_t size);

/* A model with random weights.  Encoder: Kaiming normal, fan out; decoder: Kaiming uniform, fan in;
 * head: Xavier uniform. */
int32_t cem_model_new(cem_model **out, const cem_model_options *options);

/* A model read from the safetensors file at `path`, card included. */
int32_t cem_model_load(cem_model **out, const char *path);

/* Replaces the encoder of `model` by the one in the safetensors file at `path`: a file of weights
 * made by `napari-cem weights import`, or a whole model.  All 318 tensors must be there with the
 * right shapes. */
int32_t cem_model_load_encoder(cem_model *model, const char *path);

/* The same, and the decoder too, all but its last layer, if the file is a whole model whose decoder
 * has the widths of this one's.  In either kind of file weights may be kept in 8 bits: an I8 tensor
 * NAME and an F32 tensor NAME.scale of a factor for each output channel. */
int32_t cem_model_load_body(cem_model *model, const char *path);

/* Writes `model` to `path` by atomic rename.  With `overwrite` 0 an existing file is refused. */
int32_t cem_model_save(cem_model *model, const char *path, int32_t overwrite);

/* A second handle with its own copy of everything. */
int32_t cem_model_copy(cem_model **out, cem_model *model);

/* Makes `model` what `from` is, card included; their networks must be the same.  What was prepared
 * for predicting with `model` remains where it still fits. */
int32_t cem_model_assign(cem_model *model, cem_model *from);

void cem_model_free(cem_model *model);

/* Label classes, background included, at least 2. */
int32_t cem_model_classes(const cem_model *model);

/* Maps the network itself puts out: 1 (a logit of the foreground) if there are 2 classes, else one
 * a class. */
int32_t cem_model_outputs(const cem_model *model);

/* The card, JSON text; docs/formats.md names its fields.  Valid until the next call on `model`. */
const char *cem_model_card(cem_model *model);

/* Merges `json`, an object, into the card: fields that are there replace the old ones, null removes
 * one.  Unknown fields are kept.  Values that contradict the network are refused. */
int32_t cem_model_set_card(cem_model *model, const char *json);

/* Tensors of the model, named as in the state dict of segmentation_models.pytorch's Unet. */
int32_t cem_model_tensors(const cem_model *model);

/* Name (owned by the model) and shape of tensor `index`; `shape` has room for 4, unused sizes are
 * 0. */
int32_t cem_model_tensor_shape(const char **name, int64_t *shape, const cem_model *model,
                               int32_t index);

/* Copies tensor `index` out or in, row-major float32 (OIHW for convolutions); a
 * `num_batches_tracked` is one number. */
int32_t cem_model_tensor_get(float *values, cem_model *model, int32_t index);
int32_t cem_model_tensor_set(cem_model *model, int32_t index, const float *values);

/* ==== Predict ==== */

enum { CEM_PROBABILITIES = 0, CEM_LOGITS = 1 };

typedef struct cem_predict_options {
    int64_t tile;       /* side of a tile with its halo, multiple of 32       [ 1024 ] */
    int64_t halo;       /* pixels around a tile's core that are not kept,
                           multiple of 32                                     [ 64 ] */
    int64_t first_tile; /* where in the grid over all slices to start         [ 0 ] */
    int64_t tiles;      /* how many tiles to compute; -1 is all that are left [ -1 ] */
    int32_t threads;    /* 0 is cem_cores()                                   [ 0 ] */
    int32_t output;     /* CEM_PROBABILITIES or CEM_LOGITS                    [ 0 ] */
    int64_t slice;      /* >= 0: the slice's name, under which the encoder's features of its tiles
                           are kept for the next call; -1 keeps none          [ -1 ] */
    int64_t feature_bytes; /* cap of what is kept, least recently used first  [ 2^30 ] */
} cem_predict_options;

int32_t cem_predict_defaults(cem_predict_options *options, int64_t size);

/* Tiles of the grid over `depth` slices of (height, width), or a negative status. */
int64_t cem_predict_tiles(int64_t depth, int64_t height, int64_t width,
                          const cem_predict_options *options);

/* Runs the network over a stack of slices.
 *   out     (depth, classes, height, width) probabilities, or (depth, outputs, height, width)
 *           logits; only the cores of the tiles asked for are written
 *   pixels  (depth, height, width) of `type`; values that are not finite are refused
 * A slice of any size from 1 pixel up is reflected to a multiple of 32; slices beyond `tile` are
 * cut by a fixed grid.  When cancelled, the tiles finished so far have been written.
 * With `slice` there is one slice (depth 1), and as long as the encoder of `model` and `intensity`
 * stay what they are, later calls with the same name and the same pixels run the decoder alone;
 * the result has the same bits. */
int32_t cem_predict(float *out, cem_model *model, const void *pixels, int32_t type, int64_t depth,
                    int64_t height, int64_t width, const cem_intensity *intensity,
                    const cem_predict_options *options);

/* Turns probabilities into label values.
 *   labels         (depth, pixels) uint16: the label values of the card
 *   probabilities  (depth, classes, pixels)
 * The card's threshold decides between background and the likeliest other class: it is taken when
 * 1 - p(background) >= threshold.  Without a threshold the likeliest class wins, the first of
 * equals. */
int32_t cem_classify(uint16_t *labels, cem_model *model, const float *probabilities, int64_t depth,
                     int64_t pixels);

/* Directions of slices through a volume (depth, height, width).  A slice of XY is (height, width),
 * of XZ (depth, width), of YZ (depth, height). */
enum { CEM_XY = 0, CEM_XZ = 1, CEM_YZ = 2 };

/* Copies slices [first, first + count) of `plane` out of a volume of `type`. */
int32_t cem_planes_gather(void *out, const void *volume, int32_t type, int64_t depth,
                          int64_t height, int64_t width, int32_t plane, int64_t first,
                          int64_t count);

/* Adds the probabilities of such slices, (count, classes, their rows, their columns), to
 *   sums  (depth, classes - 1, height, width), without the background */
int32_t cem_planes_add(float *sums, const float *probabilities, int64_t classes, int64_t depth,
                       int64_t height, int64_t width, int32_t plane, int64_t first, int64_t count);

/* The mean over so many `planes`.
 *   out   (classes, pixels); the background is what the others leave
 *   sums  (classes - 1, pixels) */
int32_t cem_planes_mean(float *out, const float *sums, int64_t classes, int64_t pixels,
                        int32_t planes);

/* ==== Train ==== */

typedef struct cem_trainer cem_trainer;

enum { CEM_INTERACTIVE = 0, CEM_CEM500K = 1 };
enum { CEM_ADAMW = 0, CEM_SGD = 1 };
enum { CEM_CONSTANT = 0, CEM_ONECYCLE = 1, CEM_POLY = 2, CEM_MULTISTEP = 3 };

/* Augmentations, applied in this order (docs/method.md gives each one's definition). */
enum {
    CEM_CROP_NONEMPTY = 1,
    CEM_RESIZED_CROP = 2,
    CEM_ROTATE = 4,
    CEM_BRIGHTNESS_CONTRAST = 8,
    CEM_GAUSS_NOISE = 16,
    CEM_GAUSSIAN_BLUR = 32,
    CEM_FLIPS = 64
};

typedef struct cem_trainer_options {
    uint64_t seed;               /*                                    interactive   cem500k */
    int64_t steps;               /* length of the schedule, >= 1         [ 1000 ]    [ 1000 ] */
    int64_t batch;               /* samples a step, 1..64                [ 4 ]       [ 16 ] */
    int64_t crop;                /* side of a sample, multiple of 32     [ 256 ]     [ 512 ] */
    int64_t feature_bytes;       /* cap of the feature store             [ 2^31 ]    - */
    const double *class_weights; /* (classes), or NULL                   [ NULL ]    [ NULL ] */
    const int64_t *milestones;   /* steps at which MULTISTEP multiplies by 0.1 */
    int64_t milestone_count;     /*                                      [ 0 ]       [ 0 ] */
    double learning_rate;        /* of a constant schedule, or the peak  [ 3e-3 ]    [ 3e-3 ] */
    double weight_decay;         /*                                      [ 1e-2 ]    [ 1e-1 ] */
    double momentum;             /* SGD only                             [ 0.9 ]     [ 0.9 ] */
    double power;                /* POLY only                            [ 0.9 ]     [ 0.9 ] */
    double body_rate;            /* factor of the learning rate of all but the last layer
                                                                         [ 1 ]       [ 1 ] */
    int32_t recipe;              /* CEM_INTERACTIVE or CEM_CEM500K */
    int32_t optimizer;           /*                                      [ ADAMW ]   [ ADAMW ] */
    int32_t schedule;      /*                                      [ CONSTANT ] [ ONECYCLE ] */
    int32_t first_stage;   /* first encoder stage that trains: 0 all, 1..4 layer1..layer4,
                              5 none                               [ 5 ]       [ 5 ] */
    int32_t train_norms;   /* 1: affine parameters of a frozen encoder's batch norms train
                                                                   -           [ 0 ] */
    int32_t dense;         /* 1: every pixel counts, label 0 is a class [ 0 ]  [ 1 ] */
    int32_t restatistics;  /* 1: re-estimate the frozen encoder's batch-norm statistics on
                              the images before the first step     [ 1 ]       - */
    int32_t augmentations; /* sum of CEM_*                         [ 64 ]      [ 78 ] */
    int32_t threads;       /* 0 is cem_cores()                     [ 0 ]       [ 0 ] */
    int32_t reserved;      /* 0 */
} cem_trainer_options;

/* The defaults of `recipe`. */
int32_t cem_trainer_defaults(cem_trainer_options *options, int64_t size, int32_t recipe);

/* Changes what of the defaults suits `model` better: for the interactive recipe and a decoder that
 * was trained before (base.decoder in its card) learning_rate 2e-2 and body_rate 5e-3. */
int32_t cem_trainer_suit(cem_trainer_options *options, cem_model *model);

/* A trainer that starts from a copy of `model`'s weights; `model` itself is changed only by
 * cem_trainer_commit. */
int32_t cem_trainer_new(cem_trainer **out, cem_model *model, const cem_trainer_options *options);

void cem_trainer_free(cem_trainer *trainer);

/* Adds an annotated image, or gives new labels to the one known by `key`, even none at all.
 *   pixels  (height, width) of `type`; recipe cem500k wants CEM_U8
 *   labels  (height, width); 0 is not annotated, otherwise a label value of the model's card; if
 *           `dense`, every value must be one of the card's
 * The same `key` with other pixels is refused. */
int32_t cem_trainer_set(cem_trainer *trainer, int64_t key, const void *pixels, int32_t type,
                        const int32_t *labels, int64_t height, int64_t width,
                        const cem_intensity *intensity);

typedef struct cem_trainer_report {
    int64_t step;     /* whole steps done since cem_trainer_new or cem_trainer_load */
    int64_t held_out; /* held-out annotated pixels, 0 if there are too few strokes */
    double loss;      /* mean loss of the steps of this call */
    double rate;      /* learning rate of the last step */
    double iou;       /* mean over classes of the held-out IoU at the last evaluation, or -1 */
} cem_trainer_report;

/* Does `steps` optimiser steps.  `report` may be NULL.  The first call also re-estimates statistics
 * and encodes the annotated tiles.  When cancelled, the whole steps done before remain. */
int32_t cem_trainer_step(cem_trainer_report *report, cem_trainer *trainer, int64_t steps);

/* Measures the held-out strokes with the weights of now and remembers the best state.
 *   iou     (classes) IoU of each class on the held-out pixels, -1 where a class has none
 *   pixels  (classes) held-out pixels of each class
 * With no strokes held out nothing is measured and both are filled with -1 and 0. */
int32_t cem_trainer_evaluate(double *iou, int64_t *pixels, cem_trainer *trainer);

/* Puts the best state (the last one, if none was evaluated) into `model`, with the threshold
 * calibrated on the held-out strokes, and keeps what `model` was. */
int32_t cem_trainer_commit(cem_trainer *trainer, cem_model *model);

/* Puts the weights of now into `model`, and the threshold if there is one: for looking at a round
 * in progress.  Commit and revert know nothing of it. */
int32_t cem_trainer_snapshot(cem_trainer *trainer, cem_model *model);

/* Goes on from the weights and the threshold of `model`, as if nothing had been trained since; the
 * images stay, and so does what the last commit kept. */
int32_t cem_trainer_restart(cem_trainer *trainer, cem_model *model);

/* Puts back what `model` was before the last commit, and goes on from there. */
int32_t cem_trainer_revert(cem_trainer *trainer, cem_model *model);

/* Writes everything needed to go on with the same bits (the images excepted) to `path` by atomic
 * rename, replacing it; and reads it into a new trainer, which must be given the same images. */
int32_t cem_trainer_save(cem_trainer *trainer, const char *path);
int32_t cem_trainer_load(cem_trainer **out, cem_model *model, const cem_trainer_options *options,
                         const char *path);

/* ==== TIFF ==== */

typedef struct cem_tiff cem_tiff;

typedef struct cem_tiff_info {
    int64_t pages;
    int64_t height;
    int64_t width;
    double pixel_nm;   /* side of a pixel in nanometres, 0 if the file does not say */
    double spacing_nm; /* distance of slices in nanometres, 0 if the file does not say */
    int32_t type;      /* CEM_U8 ... */
    int32_t reserved;  /* 0 */
} cem_tiff_info;

/* Opens a file whose pages are single-channel images of one shape and type.  Strips, tiles, planar
 * or not, either byte order, BigTIFF, every compression of libtiff. */
int32_t cem_tiff_open(cem_tiff **out, const char *path);

int32_t cem_tiff_describe(cem_tiff_info *info, const cem_tiff *tiff);

/* Reads page `page` into `pixels`, (height, width) of the file's type; on failure they hold
 * anything. */
int32_t cem_tiff_read(void *pixels, cem_tiff *tiff, int64_t page);

/* Starts a new file of info->pages pages, deflate-compressed, BigTIFF when it could pass 4 GB, that
 * ImageJ opens as a stack with its pixel size.  Nothing is at `path` until cem_tiff_finish.  With
 * `overwrite` 0 an existing file is refused.
 *   labels  0, or the largest label value, to be the display range */
int32_t cem_tiff_new(cem_tiff **out, const char *path, const cem_tiff_info *info, int32_t labels,
                     int32_t overwrite);

/* Appends the next page. */
int32_t cem_tiff_write(cem_tiff *tiff, const void *pixels);

/* Flushes, closes and renames into place a file all of whose pages were written.  The handle is
 * then good for cem_tiff_free only. */
int32_t cem_tiff_finish(cem_tiff *tiff);

/* Closes; of a file that was not finished nothing remains. */
void cem_tiff_free(cem_tiff *tiff);

/* ==== Curate ==== */

/* Rules by which pixels become 8 bits. */
enum {
    CEM_IMAGE = 0, /* one image */
    CEM_VOLUME = 1 /* slices of a volume */
};

/* Turns `count` pixels of `type` into 8 bits, truncated, as the curation of CEM500K means it.
 *   CEM_IMAGE   unsigned integers of n bits: v / 2^n * 255; signed: (v + 2^(n-1)) / 2^n * 255;
 *               floats: (v - smallest) / (largest - smallest) * 255 of these pixels, which must be
 *               finite (0 if all are equal)
 *   CEM_VOLUME  v / m * 255 with m 65535 (CEM_U16), 32767 (CEM_I16), 4294967295 (CEM_U32) or
 *               1 (CEM_F32); negative values, floats above 1 and other types are refused, and then
 *               `out` holds anything
 * CEM_U8 stays as it is. */
int32_t cem_eight_bit(uint8_t *out, const void *pixels, int32_t type, int64_t count, int32_t rule);

/* Patches along an axis of `size` pixels: size / side rounded, a half to even, but at least 1; or a
 * negative status.  Patch i covers [side * i, min(side * (i + 1), size)). */
int64_t cem_patches_along(int64_t size, int64_t side);

/* Axes across which a volume is cut into sections: 3, or 1 (z) if |pixel - spacing| / pixel is
 * above `anisotropy`; or a negative status.  `spacing` is the distance of slices, `pixel` the side
 * of a pixel, in any one unit. */
int32_t cem_patches_axes(double spacing, double pixel, double anisotropy);

/* Cuts patches of one shape out of the sections of a volume.
 *   out      (count, rows, columns)
 *   volume   (depth, height, width)
 *   corners  (count, 4): axis (0: sections are (y, x), 1: (z, x), 2: (z, y)), number of the
 *            section, row and column of the first pixel
 *   threads  0 is cem_cores() */
int32_t cem_patches_cut(uint8_t *out, const uint8_t *volume, int64_t depth, int64_t height,
                        int64_t width, const int64_t *corners, int64_t count, int64_t rows,
                        int64_t columns, int32_t threads);

/* The difference hash of each patch, the 64 bits that imagehash.dhash (hash size 8) gives for it
 * after Pillow has resized it to 224 x 224 (bilinear); the first bit is the most significant.  Of
 * patches with a side beyond 224 a bit may differ, where Pillow resizes the columns first.
 *   hashes   (count)
 *   patches  (count, height, width), sides 1 to 32768
 *   threads  0 is cem_cores() */
int32_t cem_dhash(uint64_t *hashes, const uint8_t *patches, int64_t count, int64_t height,
                  int64_t width, int32_t threads);

/* Figures that cem_patch_features gives for a patch. */
enum { CEM_FEATURES = 39 };

/* What tells whether a patch is worth having (docs/curation.md names the figures).
 *   features  (count, CEM_FEATURES)
 *   patches   (count, height, width), sides 1 to 32768
 *   threads   0 is cem_cores() */
int32_t cem_patch_features(float *features, const uint8_t *patches, int64_t count, int64_t height,
                           int64_t width, int32_t threads);

/* A random order of 0 .. count - 1, the same for the same seed everywhere. */
int32_t cem_deduplicate_order(int64_t *order, int64_t count, uint64_t seed);

/* Removes near-duplicates greedily: going through `order`, a hash belongs to the earliest exemplar
 * of which it differs in at most `distance` bits, and is an exemplar if there is none.
 *   exemplar     (count) the number of each hash's exemplar, its own for an exemplar; only those of
 *                order[first] .. order[last - 1] are written, and those of the places before
 *                `first` must be there from earlier calls: a host that wants to show progress or
 *                to stop asks for a part at a time
 *   hashes       (count)
 *   order        (count) every number from 0 to count - 1 once
 *   distance     0 to 64; the paper's is 12
 *   threads      0 is cem_cores() */
int32_t cem_deduplicate(int64_t *exemplar, const uint64_t *hashes, int64_t count,
                        const int64_t *order, int32_t distance, int64_t first, int64_t last,
                        int32_t threads);

/* ---- end ---- */

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
