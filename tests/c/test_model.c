/* Models: what is drawn, what goes into a file and comes back, and what is refused. */
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "cem.h"
#include "check.h"
#include "error.h"
#include "memory.h"
#include "model.h"
#include "safetensors.h"
#include "scratch.h"

static const int32_t WIDTHS[NETWORK_BLOCKS] = {256, 128, 64, 32, 16};
static const int32_t SLIM[NETWORK_BLOCKS] = {64, 32, 16, 16, 8};

enum { ENCODER_TENSORS = 318, TENSORS = 380 };

static int find_tensor(struct network_tensor *tensor, const struct model *model, const char *name)
{
    for (int i = 0; i < model->network->tensors; i++) {
        network_tensor_get(tensor, model->network, i);
        if (strcmp(tensor->name, name) == 0) return i;
    }
    abort();
}

static float *values_of(const struct model *model, const char *name, int64_t *count)
{
    struct network_tensor tensor;

    find_tensor(&tensor, model, name);
    *count = tensor.count;
    return model->parameters.values + tensor.place;
}

static bool same_values(const struct model *a, const struct model *b)
{
    return a->network->parameters == b->network->parameters &&
           memcmp(a->parameters.values, b->parameters.values,
                  (size_t)a->network->parameters * sizeof(float)) == 0 &&
           memcmp(a->parameters.batches, b->parameters.batches,
                  (size_t)a->network->count * sizeof(int64_t)) == 0;
}

static bool same_cards(struct model *a, struct model *b)
{
    const char *one, *other;

    return card_text(&one, a->card) == CEM_OK && card_text(&other, b->card) == CEM_OK &&
           strcmp(one, other) == 0;
}

/* A change to the entry of the same name while a file is written. */
struct edit {
    struct safetensors_entry entry;
    const char *rename; /* or NULL */
};

/* Writes entries [0, count) of the file `from` to `to`, with another card unless it is NULL. */
static int32_t rewrite(const char *to, const char *from, int64_t count, const char *card,
                       const struct edit *edit)
{
    struct safetensors_entry entries[TENSORS + 1];
    struct safetensors *file = NULL;
    int32_t status = safetensors_read(&file, from);

    if (status != CEM_OK) return status;
    for (int64_t i = 0; i < count; i++) {
        entries[i] = *safetensors_at(file, i);
        if (edit && strcmp(entries[i].name, edit->entry.name) == 0) {
            entries[i] = edit->entry;
            if (edit->rename) entries[i].name = edit->rename;
        }
    }
    status = safetensors_write(to, entries, count, "card",
                               card ? card : safetensors_metadata(file, "card"), 1);
    safetensors_free(file);
    return status;
}

/* True if the error line says all of `reason`, for `file`. */
static bool says(const char *file, const char *reason)
{
    if (strstr(error_line(), file) && strstr(error_line(), reason)) return true;
    printf("%s\n", error_line());
    return false;
}

static void two_classes_are_one_output_and_more_are_one_each(void)
{
    struct model *model;

    CHECK_EQ(model_new(&model, 2, SLIM, 0), CEM_OK);
    CHECK_EQ(model->network->outputs, 1);
    model_free(model);
    CHECK_EQ(model_new(&model, 3, SLIM, 0), CEM_OK);
    CHECK_EQ(model->network->outputs, 3);
    model_free(model);
    CHECK_EQ(model_new(&model, 1, SLIM, 0), CEM_EARGUMENT);
}

static void the_seed_decides_the_weights(void)
{
    struct model *a, *b, *c;

    CHECK_EQ(model_new(&a, 2, SLIM, 5), CEM_OK);
    CHECK_EQ(model_new(&b, 2, SLIM, 5), CEM_OK);
    CHECK_EQ(model_new(&c, 2, SLIM, 6), CEM_OK);
    CHECK(same_values(a, b));
    CHECK(!same_values(a, c));
    CHECK(a->parameters.version != b->parameters.version);
    model_free(a);
    model_free(b);
    model_free(c);
}

static void the_encoder_does_not_depend_on_the_decoder(void)
{
    struct model *wide, *slim;
    int64_t count;

    CHECK_EQ(model_new(&wide, 2, WIDTHS, 5), CEM_OK);
    CHECK_EQ(model_new(&slim, 4, SLIM, 5), CEM_OK);
    const float *one = values_of(wide, "encoder.layer4.2.conv3.weight", &count);
    const float *other = values_of(slim, "encoder.layer4.2.conv3.weight", &count);
    CHECK(memcmp(one, other, (size_t)count * sizeof(float)) == 0);
    model_free(wide);
    model_free(slim);
}

static void random_weights_have_the_deviations_of_smp(void)
{
    static const struct {
        const char *name;
        double deviation;
        bool uniform;
    } cases[] = {
        {"encoder.conv1.weight", 0.0437409 /* sqrt(3 * 2 / (64 * 49)) */, false},
        {"encoder.layer1.0.conv1.weight", 0.1767767 /* sqrt(2 / 64) */, false},
        {"encoder.layer4.1.conv2.weight", 0.0208333 /* sqrt(2 / (512 * 9)) */, false},
        {"decoder.blocks.0.conv1.0.weight", 0.0085052 /* sqrt(2 / (3072 * 9)) */, true},
        {"decoder.blocks.4.conv2.0.weight", 0.1178511 /* sqrt(2 / (16 * 9)) */, true},
        {"segmentation_head.0.weight", 0.1143323 /* sqrt(2 / (17 * 9)) */, true},
    };
    struct model *model;

    CHECK_EQ(model_new(&model, 2, WIDTHS, 1), CEM_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double sum = 0, squares = 0, largest = 0;
        int64_t count;
        const float *values = values_of(model, cases[i].name, &count);
        for (int64_t k = 0; k < count; k++) {
            sum += (double)values[k];
            squares += (double)values[k] * (double)values[k];
            largest = fmax(largest, fabs((double)values[k]));
        }
        const double deviation = cases[i].deviation, error = 4 * deviation / sqrt((double)count);
        CHECK(fabs(sum / (double)count) < error);
        CHECK(fabs(sqrt(squares / (double)count) - deviation) < error);
        CHECK((largest <= deviation * sqrt(3) * 1.00001) == cases[i].uniform);
    }
    model_free(model);
}

static void batch_norms_start_as_the_identity(void)
{
    static const struct {
        const char *name;
        float value;
    } cases[] = {{"encoder.bn1.weight", 1},
                 {"encoder.bn1.bias", 0},
                 {"encoder.bn1.running_mean", 0},
                 {"encoder.bn1.running_var", 1},
                 {"decoder.blocks.4.conv2.1.weight", 1},
                 {"segmentation_head.0.bias", 0}};
    struct model *model;
    int64_t count;

    CHECK_EQ(model_new(&model, 2, SLIM, 1), CEM_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const float *values = values_of(model, cases[i].name, &count);
        for (int64_t k = 0; k < count; k++) CHECK(values[k] == cases[i].value);
    }
    for (int i = 0; i < model->network->count; i++) CHECK_EQ(model->parameters.batches[i], 0);
    model_free(model);
}

static void a_saved_model_comes_back_bit_for_bit(void)
{
    struct model *model, *again;
    size_t size;
    int64_t count;

    CHECK_EQ(model_new(&model, 4, SLIM, 3), CEM_OK);
    CHECK_EQ(card_merge(model->card, "{\"threshold\":0.25,\"unknown\":{\"kept\":[1,2.5]}}"),
             CEM_OK);
    for (int i = 0; i < model->network->count; i++)
        if (model->network->layers[i].norm[0])
            model->parameters.batches[i] = INT64_C(3000000000) + i;
    values_of(model, "encoder.bn1.bias", &count)[0] = -0.0f;
    values_of(model, "encoder.bn1.bias", &count)[1] = 1e-45f;
    CHECK_EQ(model_save(model, scratch("m"), 0), CEM_OK);
    CHECK_EQ(model_load(&again, scratch("m")), CEM_OK);
    CHECK(same_values(model, again));
    CHECK(same_cards(model, again));
    CHECK_EQ(again->network->outputs, 4);
    CHECK_EQ(model_save(again, scratch("n"), 0), CEM_OK);
    char *bytes = read_file(&size, scratch("m"));
    CHECK(file_is(scratch("n"), bytes, size));
    free(bytes);
    model_free(model);
    model_free(again);
    CHECK_EQ(scratch_files(true), 2);
}

static void a_copy_is_a_model_of_its_own(void)
{
    struct model *model, *copy;
    int64_t count;

    CHECK_EQ(model_new(&model, 2, SLIM, 3), CEM_OK);
    CHECK_EQ(model_copy(&copy, model), CEM_OK);
    CHECK(same_values(model, copy));
    CHECK(same_cards(model, copy));
    CHECK_EQ(model->parameters.version, copy->parameters.version);
    values_of(model, "encoder.bn1.bias", &count)[0] = 9;
    CHECK(!same_values(model, copy));
    model_free(model);
    CHECK(values_of(copy, "encoder.bn1.bias", &count)[0] == 0);
    model_free(copy);
}

static void an_existing_file_is_refused_and_unchanged(void)
{
    struct model *model;

    write_file(scratch("m"), "precious", 8);
    CHECK_EQ(model_new(&model, 2, SLIM, 3), CEM_OK);
    CHECK_EQ(model_save(model, scratch("m"), 0), CEM_EFILE);
    CHECK(says("/m'", "exists already"));
    CHECK(file_is(scratch("m"), "precious", 8));
    CHECK_EQ(scratch_files(true), 1);
    model_free(model);
}

static void a_model_that_could_not_be_loaded_is_not_saved(void)
{
    struct model *model;
    int64_t count;

    CHECK_EQ(model_new(&model, 2, SLIM, 3), CEM_OK);
    values_of(model, "segmentation_head.0.bias", &count)[0] = NAN;
    write_file(scratch("m"), "precious", 8);
    CHECK_EQ(model_save(model, scratch("m"), 1), CEM_EARGUMENT);
    CHECK(says("/m'", "'segmentation_head.0.bias'"));
    values_of(model, "segmentation_head.0.bias", &count)[0] = 0;
    values_of(model, "encoder.bn1.running_var", &count)[3] = -1;
    CHECK_EQ(model_save(model, scratch("m"), 1), CEM_EARGUMENT);
    CHECK(says("/m'", "'encoder.bn1.running_var' has the value -1"));
    CHECK(file_is(scratch("m"), "precious", 8));
    CHECK_EQ(scratch_files(true), 1);
    model_free(model);
}

/* The tensors are looked at in their order, so that a file with the first few is enough here. */
static void a_tensor_that_is_wrong_is_named(void)
{
    static const float image[64 * 3 * 49], ones[64] = {1}, bad[64] = {1, 2, INFINITY};
    static const float negative[64] = {1, -0.5f};
    static const int64_t minus = -1, integers[64];
    static const struct {
        struct edit edit;
        const char *reason;
    } cases[] = {
        {{{"encoder.conv1.weight", SAFETENSORS_F32, 4, {64, 3, 7, 7}, sizeof image, image}, NULL},
         "tensor 'encoder.conv1.weight' has shape [64, 3, 7, 7], must be [64, 1, 7, 7]"},
        {{{"encoder.bn1.weight", SAFETENSORS_F32, 0, {0}, 4, ones}, NULL},
         "tensor 'encoder.bn1.weight' has shape [], must be [64]"},
        {{{"encoder.bn1.bias", SAFETENSORS_I64, 1, {64}, sizeof integers, integers}, NULL},
         "tensor 'encoder.bn1.bias' has the wrong type, must be F32"},
        {{{"encoder.bn1.bias", SAFETENSORS_F32, 1, {64}, sizeof bad, bad}, NULL},
         "tensor 'encoder.bn1.bias' has the value inf, must be finite"},
        {{{"encoder.bn1.running_var", SAFETENSORS_F32, 1, {64}, sizeof negative, negative}, NULL},
         "tensor 'encoder.bn1.running_var' has the value -0.5, must be finite and at least 0"},
        {{{"encoder.bn1.num_batches_tracked", SAFETENSORS_I64, 0, {0}, 8, &minus}, NULL},
         "tensor 'encoder.bn1.num_batches_tracked' is -1, must be at least 0"},
        {{{"encoder.bn1.num_batches_tracked", SAFETENSORS_F32, 0, {0}, 4, ones}, NULL},
         "tensor 'encoder.bn1.num_batches_tracked' has the wrong type, must be I64"},
        {{{"encoder.bn1.bias", SAFETENSORS_F32, 1, {64}, sizeof ones, ones}, "other"},
         "lacks tensor 'encoder.bn1.bias'"},
    };
    struct model *model, *loaded = NULL;
    const int64_t live = memory_live();

    CHECK_EQ(model_new(&model, 2, SLIM, 3), CEM_OK);
    CHECK_EQ(model_save(model, scratch("m"), 0), CEM_OK);
    CHECK_EQ(rewrite(scratch("few"), scratch("m"), 6, NULL, NULL), CEM_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(rewrite(scratch("bad"), scratch("few"), 6, NULL, &cases[i].edit), CEM_OK);
        CHECK_EQ(model_load(&loaded, scratch("bad")), CEM_EFORMAT);
        CHECK(says("/bad'", cases[i].reason));
        CHECK_EQ(model_load_encoder(model, scratch("bad")), CEM_EFORMAT);
        CHECK(says("/bad'", cases[i].reason));
    }
    CHECK(!loaded);
    CHECK_EQ(model_load(&loaded, scratch("m")), CEM_OK);
    CHECK(same_values(model, loaded));
    model_free(loaded);
    model_free(model);
    CHECK_EQ(memory_live(), live);
    scratch_files(true);
}

static void a_card_that_disagrees_with_the_tensors_is_refused(void)
{
    static const char *cards[] = {
        "{\"format\":\"napari-cem\",\"version\":1,\"architecture\":\"unet-resnet50\",\"classes\":"
        "[{\"name\":\"a\",\"value\":1},{\"name\":\"b\",\"value\":2}],\"widths\":[64,32,16,16,9]}",
        "{\"format\":\"napari-cem\",\"version\":1,\"architecture\":\"unet-resnet50\",\"classes\":"
        "[{\"name\":\"a\",\"value\":1},{\"name\":\"b\",\"value\":2},{\"name\":\"c\",\"value\":3}],"
        "\"widths\":[64,32,16,16,8]}",
        "{\"format\":\"napari-cem\",\"version\":1,\"kind\":\"encoder\"}",
        "{}",
    };
    static const char *reasons[] = {
        "'decoder.blocks.4.conv1.0.weight' has shape [8, 16, 3, 3], must be [9, 16, 3, 3]",
        "'segmentation_head.0.weight' has shape [1, 8, 3, 3], must be [3, 8, 3, 3]",
        "the card's kind is \"encoder\", must be \"model\"",
        "the card's format is missing",
    };
    struct model *model, *loaded = NULL;

    CHECK_EQ(model_new(&model, 2, SLIM, 3), CEM_OK);
    CHECK_EQ(model_save(model, scratch("m"), 0), CEM_OK);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(rewrite(scratch("bad"), scratch("m"), i < 2 ? TENSORS : 1, cards[i], NULL),
                 CEM_OK);
        CHECK_EQ(model_load(&loaded, scratch("bad")), CEM_EFORMAT);
        CHECK(says("/bad'", reasons[i]));
    }
    CHECK_EQ(safetensors_write(scratch("bad"), NULL, 0, "other", "", 1), CEM_OK);
    CHECK_EQ(model_load(&loaded, scratch("bad")), CEM_EFORMAT);
    CHECK(says("/bad'", "has no card"));
    CHECK(!loaded);
    model_free(model);
    scratch_files(true);
}

static void a_tensor_too_many_is_refused(void)
{
    struct safetensors_entry entries[TENSORS + 1];
    struct model *model, *loaded = NULL;
    struct safetensors *file;

    CHECK_EQ(model_new(&model, 2, SLIM, 3), CEM_OK);
    CHECK_EQ(model_save(model, scratch("m"), 0), CEM_OK);
    CHECK_EQ(safetensors_read(&file, scratch("m")), CEM_OK);
    CHECK_EQ(safetensors_count(file), TENSORS);
    for (int i = 0; i < TENSORS; i++) entries[i] = *safetensors_at(file, i);
    entries[TENSORS] = *safetensors_find(file, "encoder.bn1.bias");
    entries[TENSORS].name = "encoder.fc.bias";
    CHECK_EQ(safetensors_write(scratch("more"), entries, TENSORS + 1, "card",
                               safetensors_metadata(file, "card"), 0),
             CEM_OK);
    safetensors_free(file);
    CHECK_EQ(model_load(&loaded, scratch("more")), CEM_EFORMAT);
    CHECK(says("/more'", "'encoder.fc.bias' that does not belong"));
    CHECK(!loaded);
    model_free(model);
    scratch_files(true);
}

/* A card that promises widths of 4096 asks for gigabytes; nothing of that is allocated. */
static void a_small_file_cannot_ask_for_much_memory(void)
{
    static const char *card =
        "{\"format\":\"napari-cem\",\"version\":1,\"architecture\":\"unet-resnet50\",\"classes\":"
        "[{\"name\":\"a\",\"value\":1},{\"name\":\"b\",\"value\":2}],"
        "\"widths\":[4096,4096,4096,4096,4096]}";
    struct model *loaded = NULL;
    struct rusage before, after;

    CHECK_EQ(safetensors_write(scratch("m"), NULL, 0, "card", card, 0), CEM_OK);
    CHECK_EQ(getrusage(RUSAGE_SELF, &before), 0);
    CHECK_EQ(model_load(&loaded, scratch("m")), CEM_EFORMAT);
    CHECK(says("/m'", "lacks tensor 'encoder.conv1.weight'"));
    CHECK_EQ(getrusage(RUSAGE_SELF, &after), 0);
    CHECK(after.ru_maxrss - before.ru_maxrss < 1 << 19); /* kilobytes */
    scratch_files(true);
}

static const char ENCODER_CARD[] =
    "{\"format\":\"napari-cem\",\"version\":1,\"kind\":\"encoder\",\"norms\":[0.5,0.25],"
    "\"base\":{\"name\":\"w\",\"sha256\":null},\"note\":1}";

static void an_encoder_is_taken_from_weights_with_norms_and_base(void)
{
    struct model *from, *model, *untouched;
    struct network_tensor tensor;
    const char *text;

    CHECK_EQ(model_new(&from, 2, WIDTHS, 1), CEM_OK);
    CHECK_EQ(model_save(from, scratch("m"), 0), CEM_OK);
    CHECK_EQ(rewrite(scratch("w"), scratch("m"), ENCODER_TENSORS, ENCODER_CARD, NULL), CEM_OK);
    CHECK_EQ(model_new(&model, 4, SLIM, 2), CEM_OK);
    CHECK_EQ(model_copy(&untouched, model), CEM_OK);
    CHECK_EQ(model_load_encoder(model, scratch("w")), CEM_OK);
    CHECK(model->parameters.version != untouched->parameters.version);
    for (int i = 0; i < TENSORS; i++) {
        network_tensor_get(&tensor, model->network, i);
        if (tensor.place < 0) continue;
        const struct model *source = i < ENCODER_TENSORS ? from : untouched;
        CHECK(memcmp(model->parameters.values + tensor.place,
                     source->parameters.values + tensor.place,
                     (size_t)tensor.count * sizeof(float)) == 0);
    }
    CHECK_EQ(card_text(&text, model->card), CEM_OK);
    CHECK(strstr(text, "\"norms\":[0.5,0.25]") && strstr(text, "\"base\":{\"name\":\"w\""));
    CHECK(!strstr(text, "note") && !strstr(text, "kind"));
    model_free(from);
    model_free(model);
    model_free(untouched);
    scratch_files(true);
}

static void an_encoder_is_taken_from_a_whole_model(void)
{
    struct model *from, *model;
    int64_t count;

    CHECK_EQ(model_new(&from, 3, WIDTHS, 1), CEM_OK);
    from->parameters.batches[0] = 77;
    CHECK_EQ(model_save(from, scratch("m"), 0), CEM_OK);
    CHECK_EQ(model_new(&model, 2, SLIM, 2), CEM_OK);
    CHECK_EQ(model_load_encoder(model, scratch("m")), CEM_OK);
    const float *one = values_of(from, "encoder.layer3.5.conv2.weight", &count);
    const float *other = values_of(model, "encoder.layer3.5.conv2.weight", &count);
    CHECK(memcmp(one, other, (size_t)count * sizeof(float)) == 0);
    CHECK_EQ(model->parameters.batches[0], 77);
    model_free(from);
    model_free(model);
    scratch_files(true);
}

static void an_encoder_that_is_refused_changes_nothing(void)
{
    static const char *const reasons[] = {"lacks tensor 'encoder.layer4.2.bn3.num_batches_tracked'",
                                          "'decoder.blocks.0.conv1.0.weight' that does not belong"};
    struct model *model, *before;

    CHECK_EQ(model_new(&model, 2, SLIM, 1), CEM_OK);
    CHECK_EQ(model_copy(&before, model), CEM_OK);
    CHECK_EQ(model_save(model, scratch("m"), 0), CEM_OK);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(rewrite(scratch("w"), scratch("m"), i ? ENCODER_TENSORS + 1 : ENCODER_TENSORS - 1,
                         ENCODER_CARD, NULL),
                 CEM_OK);
        CHECK_EQ(model_load_encoder(model, scratch("w")), CEM_EFORMAT);
        CHECK(says("/w'", reasons[i]));
    }
    CHECK(same_values(model, before));
    CHECK(same_cards(model, before));
    CHECK_EQ(model->parameters.version, before->parameters.version);
    model_free(model);
    model_free(before);
    scratch_files(true);
}

static int32_t make(struct model *unused, struct model **out)
{
    (void)unused;
    return model_new(out, 2, SLIM, 1);
}

static int32_t copy(struct model *model, struct model **out)
{
    return model_copy(out, model);
}

static int32_t load(struct model *unused, struct model **out)
{
    (void)unused;
    return model_load(out, scratch("m"));
}

static int32_t save(struct model *model, struct model **unused)
{
    (void)unused;
    return model_save(model, scratch("n"), 1);
}

static int32_t load_encoder(struct model *model, struct model **unused)
{
    (void)unused;
    return model_load_encoder(model, scratch("m"));
}

static void a_failed_allocation_leaves_the_model_as_it_was(void)
{
    int32_t (*const actions[])(struct model *, struct model **) = {make, copy, load, save,
                                                                   load_encoder};
    struct model *model, *before, *made;
    int32_t status;
    int k;

    CHECK_EQ(model_new(&model, 2, SLIM, 1), CEM_OK);
    CHECK_EQ(model_copy(&before, model), CEM_OK);
    CHECK_EQ(model_save(model, scratch("m"), 0), CEM_OK);
    const int64_t live = memory_live() - 1; /* the card's text comes and goes */
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        for (k = 0, status = CEM_EMEMORY; status != CEM_OK;) {
            made = NULL;
            memory_fail_at(++k);
            status = actions[i](model, &made);
            memory_fail_at(0);
            CHECK(status == CEM_OK || (status == CEM_EMEMORY && !made));
            CHECK(status == CEM_OK || memory_live() - live <= 1);
        }
        CHECK(k > 3);
        model_free(made);
        CHECK(memory_live() - live <= 1);
        CHECK(same_values(model, before));
    }
    CHECK(same_cards(model, before));
    model_free(model);
    model_free(before);
    scratch_files(true);
}

int main(void)
{
    RUN(two_classes_are_one_output_and_more_are_one_each);
    RUN(the_seed_decides_the_weights);
    RUN(the_encoder_does_not_depend_on_the_decoder);
    RUN(random_weights_have_the_deviations_of_smp);
    RUN(batch_norms_start_as_the_identity);
    RUN(a_saved_model_comes_back_bit_for_bit);
    RUN(a_copy_is_a_model_of_its_own);
    RUN(an_existing_file_is_refused_and_unchanged);
    RUN(a_model_that_could_not_be_loaded_is_not_saved);
    RUN(a_tensor_that_is_wrong_is_named);
    RUN(a_card_that_disagrees_with_the_tensors_is_refused);
    RUN(a_tensor_too_many_is_refused);
    RUN(a_small_file_cannot_ask_for_much_memory);
    RUN(an_encoder_is_taken_from_weights_with_norms_and_base);
    RUN(an_encoder_is_taken_from_a_whole_model);
    RUN(an_encoder_that_is_refused_changes_nothing);
    RUN(a_failed_allocation_leaves_the_model_as_it_was);
    scratch_end();
    return CHECK_DONE();
}
