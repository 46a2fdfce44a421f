/* Annotated images: copied in, their labels turned into classes; held-out strokes; tiles. */
#include <stddef.h>
#include <string.h>

#include "error.h"
#include "memory.h"
#include "pixels.h"
#include "strokes.h"
#include "trainer.h"

enum { GRAIN = 32, HALO = 32, HALO_FROM = 128 };

/* ---- images ---- */

static int find_image(const struct trainer *t, int64_t key)
{
    int i = 0;

    while (i < t->image_count && t->images[i].key != key) i++;
    return i;
}

/* The class of label `value`, -1 if it is not annotated, -2 if there is none. */
static int class_of(const struct trainer *t, int32_t value)
{
    if (value == 0 && !t->options.dense) return -1;
    for (int c = 0; c < t->facts.classes; c++)
        if (t->facts.values[c] == value) return c;
    return -2;
}

static int32_t read_labels(int16_t *out, const struct trainer *t, const int32_t *labels,
                           int64_t height, int64_t width)
{
    for (int64_t i = 0; i < height * width; i++) {
        int class = class_of(t, labels[i]);
        if (class == -2)
            return error_set(CEM_EARGUMENT,
                             "label value %d at row %lld, column %lld is not one of the model's; "
                             "its %d classes have the values %d to %d",
                             (int)labels[i], (long long)(i / width), (long long)(i % width),
                             t->facts.classes, (int)t->facts.values[0],
                             (int)t->facts.values[t->facts.classes - 1]);
        out[i] = (int16_t) class;
    }
    return CEM_OK;
}

static int32_t check_annotated(const int16_t *classes, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (classes[i] >= 0) return CEM_OK;
    return error_set(CEM_EARGUMENT, "no pixel is annotated, all labels are 0; paint some first");
}

static int32_t copy_pixels(struct stack *out, const struct stack *from)
{
    int64_t pixels = from->height * from->width, size = pixels_size(from->type);
    void *copy = memory_raw(pixels, size);
    float line[1024];

    for (int64_t first = 0; first < pixels; first += 1024) {
        int64_t count = pixels - first < 1024 ? pixels - first : 1024;
        if (!pixels_scale(line, from->pixels, from->type, first, count, from->intensity.offset,
                          from->intensity.scale)) {
            memory_free(copy);
            return error_set(CEM_EARGUMENT,
                             "the image has a value that is not finite near row %lld; replace "
                             "such values first",
                             (long long)(first / from->width));
        }
    }
    if (!copy) return CEM_EMEMORY;
    memcpy(copy, from->pixels, (size_t)(pixels * size));
    *out = *from;
    out->pixels = copy;
    return CEM_OK;
}

static bool same_pixels(const struct stack *a, const struct stack *b)
{
    return a->type == b->type && a->height == b->height && a->width == b->width &&
           a->intensity.offset == b->intensity.offset && a->intensity.scale == b->intensity.scale &&
           memcmp(a->pixels, b->pixels, (size_t)(a->height * a->width * pixels_size(a->type))) == 0;
}

static int32_t append_image(struct trainer *t, const struct trainer_image *image)
{
    struct trainer_image *images = memory_new(t->image_count + 1, sizeof *images);

    if (!images) return CEM_EMEMORY;
    if (t->image_count) memcpy(images, t->images, (size_t)t->image_count * sizeof *images);
    images[t->image_count++] = *image;
    memory_free(t->images);
    t->images = images;
    return CEM_OK;
}

int32_t trainer_set(struct trainer *t, int64_t key, const struct stack *stack,
                    const int32_t *labels)
{
    int at = find_image(t, key);
    bool known = at < t->image_count;
    struct trainer_image image = {.key = key};
    int32_t status;

    if (known && !same_pixels(&t->images[at].stack, stack))
        return error_set(CEM_EARGUMENT,
                         "image %lld is already known with other pixels; use another key",
                         (long long)key);
    image.labels = memory_raw(stack->height * stack->width, sizeof *image.labels);
    if (!image.labels) return CEM_EMEMORY;
    status = read_labels(image.labels, t, labels, stack->height, stack->width);
    if (status == CEM_OK && !known) {
        status = check_annotated(image.labels, stack->height * stack->width);
        if (status == CEM_OK) status = copy_pixels(&image.stack, stack);
        if (status == CEM_OK && (status = append_image(t, &image)) != CEM_OK)
            memory_free((void *)(uintptr_t)image.stack.pixels);
    }
    if (status != CEM_OK) {
        memory_free(image.labels);
        return status;
    }
    if (known) {
        memory_free(t->images[at].labels);
        t->images[at].labels = image.labels;
    }
    t->images_changed = true;
    return CEM_OK;
}

/* ---- classes ---- */

static int32_t check_classes(const struct trainer *t)
{
    bool present[255] = {false};
    int background = t->facts.values[0];

    for (int i = 0; i < t->image_count; i++) {
        const struct stack *s = &t->images[i].stack;
        for (int64_t p = 0; p < s->height * s->width; p++)
            if (t->images[i].labels[p] >= 0) present[t->images[i].labels[p]] = true;
    }
    for (int c = 0; c < t->facts.classes && t->options.recipe == CEM_INTERACTIVE; c++)
        if (!present[c])
            return error_set(CEM_EARGUMENT,
                             c == 0 ? "no background is annotated; paint some background too, with "
                                      "the value %d"
                                    : "nothing is annotated with the value %d; paint some of that "
                                      "class too",
                             c == 0 ? background : (int)t->facts.values[c]);
    return CEM_OK;
}

/* ---- held-out strokes ---- */

/* The strokes of all images: components, then the class and size of each. */
struct survey {
    int32_t **components; /* of each image */
    int64_t *first;       /* number of each image's first stroke */
    int16_t *classes;
    int64_t *sizes;
    uint8_t *held_out;
    int64_t count;
};

static void free_survey(struct survey *s, int images)
{
    for (int i = 0; s->components && i < images; i++) memory_free(s->components[i]);
    memory_free(s->components);
    memory_free(s->first);
    memory_free(s->classes);
    memory_free(s->sizes);
    memory_free(s->held_out);
}

static int32_t find_strokes(struct survey *s, const struct trainer *t)
{
    s->components = memory_new(t->image_count, sizeof *s->components);
    s->first = memory_new(t->image_count, sizeof *s->first);
    if (!s->components || !s->first) return CEM_EMEMORY;
    for (int i = 0; i < t->image_count; i++) {
        const struct trainer_image *image = &t->images[i];
        int64_t pixels = image->stack.height * image->stack.width, count;
        int32_t status;
        if (!(s->components[i] = memory_raw(pixels, sizeof **s->components))) return CEM_EMEMORY;
        status = strokes_label(s->components[i], &count, image->labels, image->stack.height,
                               image->stack.width);
        if (status != CEM_OK) return status;
        s->first[i] = s->count;
        s->count += count;
    }
    s->classes = memory_new(s->count, sizeof *s->classes);
    s->sizes = memory_new(s->count, sizeof *s->sizes);
    s->held_out = memory_new(s->count, sizeof *s->held_out);
    return s->classes && s->sizes && s->held_out ? CEM_OK : CEM_EMEMORY;
}

static void measure_strokes(struct survey *s, const struct trainer *t)
{
    for (int i = 0; i < t->image_count; i++) {
        const struct trainer_image *image = &t->images[i];
        for (int64_t p = 0; p < image->stack.height * image->stack.width; p++) {
            int64_t stroke = s->first[i] + s->components[i][p];
            if (s->components[i][p] < 0) continue;
            s->classes[stroke] = image->labels[p];
            s->sizes[stroke]++;
        }
    }
}

static int32_t mark_held_out(struct trainer *t, const struct survey *s)
{
    t->held_out = 0;
    for (int i = 0; i < t->image_count; i++) {
        struct trainer_image *image = &t->images[i];
        int64_t pixels = image->stack.height * image->stack.width;
        if (!image->held_out && !(image->held_out = memory_raw(pixels, 1))) return CEM_EMEMORY;
        for (int64_t p = 0; p < pixels; p++) {
            int64_t stroke = s->first[i] + s->components[i][p];
            image->held_out[p] = s->components[i][p] >= 0 && s->held_out[stroke];
            t->held_out += image->held_out[p];
        }
    }
    return CEM_OK;
}

static int32_t hold_out_strokes(struct trainer *t)
{
    struct survey survey = {0};
    int32_t status = CEM_OK;

    if (t->options.recipe != CEM_INTERACTIVE || t->options.dense) return CEM_OK;
    if ((status = find_strokes(&survey, t)) != CEM_OK) goto done;
    measure_strokes(&survey, t);
    status = strokes_hold_out(survey.held_out, survey.classes, survey.sizes, survey.count,
                              t->facts.classes, t->options.seed);
    if (status == CEM_OK) status = mark_held_out(t, &survey);
done:
    free_survey(&survey, t->image_count);
    return status;
}

/* ---- tiles ---- */

static int64_t sample_side(const struct trainer *t)
{
    int64_t longest = 1;

    if (t->options.recipe != CEM_INTERACTIVE) return t->options.crop;
    for (int i = 0; i < t->image_count; i++) {
        const struct stack *s = &t->images[i].stack;
        if (s->height > longest) longest = s->height;
        if (s->width > longest) longest = s->width;
    }
    longest = (longest + GRAIN - 1) / GRAIN * GRAIN;
    return longest < t->options.crop ? longest : t->options.crop;
}

struct tiling trainer_tiling(const struct trainer *t, const struct trainer_image *image)
{
    return tiling_make(image->stack.height, image->stack.width, t->side,
                       t->side >= HALO_FROM ? HALO : 0);
}

/* Fills in which kinds of annotated pixels `tile` has. */
static void inspect_tile(const struct trainer *t, struct trainer_tile *tile)
{
    const struct trainer_image *image = &t->images[tile->image];
    int64_t bottom = tile->y + t->side, right = tile->x + t->side;

    if (bottom > image->stack.height) bottom = image->stack.height;
    if (right > image->stack.width) right = image->stack.width;
    for (int64_t y = tile->y; y < bottom; y++)
        for (int64_t x = tile->x; x < right; x++) {
            int64_t at = y * image->stack.width + x;
            bool held = image->held_out && image->held_out[at];
            tile->held_out |= held;
            tile->trains |= !held && image->labels[at] >= 0;
        }
}

static void list_tiles(struct trainer *t)
{
    t->tile_count = t->trained_count = 0;
    for (int i = 0; i < t->image_count; i++) {
        struct tiling tiling = trainer_tiling(t, &t->images[i]);
        for (int64_t number = 0; number < t->images[i].tiles; number++) {
            struct trainer_tile tile = {.image = i, .number = number};
            struct interval y, x;
            tiling_tile(&y, &x, &tiling, number);
            tile.y = y.start;
            tile.x = x.start;
            inspect_tile(t, &tile);
            if (tile.trains) t->trained_tiles[t->trained_count++] = t->tile_count;
            if (tile.trains || tile.held_out) t->tiles[t->tile_count++] = tile;
        }
    }
}

uint64_t trainer_hash(uint64_t seed, const void *bytes, int64_t count)
{
    const uint8_t *b = bytes;
    uint64_t h = seed ^ 0xcbf29ce484222325u;

    for (int64_t i = 0; i < count; i++) h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

/* The best state was the best on the annotations of then. */
static void forget_other_best(struct trainer *t)
{
    uint64_t h = 0;

    for (int i = 0; i < t->image_count; i++) {
        const struct trainer_image *image = &t->images[i];
        int64_t pixels = image->stack.height * image->stack.width;
        h = trainer_hash(h, image->labels, pixels * (int64_t)sizeof *image->labels);
        if (image->held_out) h = trainer_hash(h, image->held_out, pixels);
    }
    if (t->annotations == (int64_t)h) return;
    t->annotations = (int64_t)h;
    model_free(t->best);
    t->best = NULL;
    t->best_iou = -1;
}

int32_t trainer_survey(struct trainer *t)
{
    int64_t all = 0;
    int32_t status;

    if ((status = check_classes(t)) != CEM_OK) return status;
    if ((status = hold_out_strokes(t)) != CEM_OK) return status;
    t->side = sample_side(t);
    forget_other_best(t);
    for (int i = 0; i < t->image_count; i++) {
        struct tiling tiling = trainer_tiling(t, &t->images[i]);
        all += t->images[i].tiles = tiling_count(&tiling);
    }
    memory_free(t->tiles);
    memory_free(t->trained_tiles);
    t->tiles = memory_new(all, sizeof *t->tiles);
    t->trained_tiles = memory_new(all, sizeof *t->trained_tiles);
    t->tile_count = t->trained_count = 0;
    if (!t->tiles || !t->trained_tiles) return CEM_EMEMORY;
    if (t->options.recipe == CEM_INTERACTIVE) list_tiles(t);
    return CEM_OK;
}
