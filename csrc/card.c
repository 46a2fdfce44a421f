/* Known fields are a table of names and checks; jansson holds the values, so that whatever else the
 * object says is written back as it came.  A change is made on a copy, checked, and then taken. */
#include "card.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cem.h"
#include "error.h"
#include "memory.h"

enum { TEXT_LIMIT = 1 << 20, SHOWN = 64 };

struct card {
    json_t *json;
    struct card_facts facts;
    char *text; /* NULL until asked for */
};

/* Whose fault a bad field is: that of a file, or of a caller (file NULL). */
struct blame {
    int32_t status;
    const char *file;
};

static const struct blame CALLER = {CEM_EARGUMENT, NULL};

/* ---- checks of single fields ---- */

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static bool is_format(const json_t *value)
{
    return is_text(value, "napari-cem");
}

static bool is_version(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) == 1;
}

static bool is_model_kind(const json_t *value)
{
    return is_text(value, "model");
}

static bool is_encoder_kind(const json_t *value)
{
    return is_text(value, "encoder");
}

static bool is_architecture(const json_t *value)
{
    return is_text(value, "unet-resnet50");
}

static bool is_encoder_architecture(const json_t *value)
{
    return is_text(value, "resnet50");
}

static bool is_precision(const json_t *value)
{
    return is_text(value, "f32");
}

static bool is_integer_within(const json_t *value, json_int_t low, json_int_t high)
{
    return json_is_integer(value) && json_integer_value(value) >= low &&
           json_integer_value(value) <= high;
}

static bool is_number_within(const json_t *value, double low, double high)
{
    return json_is_number(value) && json_number_value(value) >= low &&
           json_number_value(value) <= high;
}

static bool is_positive(const json_t *value)
{
    return json_is_number(value) && json_number_value(value) > 0;
}

static bool is_hexadecimal(const char *text, size_t digits)
{
    size_t i = 0;

    while (isxdigit((unsigned char)text[i])) i++;
    return i == digits && !text[i];
}

static bool is_color(const json_t *value)
{
    const char *text = json_string_value(value);

    return text && text[0] == '#' && is_hexadecimal(text + 1, 6);
}

static bool is_class(const json_t *value)
{
    const json_t *name = json_object_get(value, "name"), *color = json_object_get(value, "color");

    return json_string_length(name) > 0 &&
           is_integer_within(json_object_get(value, "value"), 0, UINT16_MAX) &&
           (!color || is_color(color));
}

static bool same_class(const json_t *one, const json_t *other)
{
    return json_equal(json_object_get(one, "name"), json_object_get(other, "name")) ||
           json_equal(json_object_get(one, "value"), json_object_get(other, "value"));
}

static bool is_classes(const json_t *value)
{
    const size_t count = json_array_size(value);

    if (count < 2 || count > CARD_CLASSES) return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_class(json_array_get(value, i))) return false;
        for (size_t k = 0; k < i; k++)
            if (same_class(json_array_get(value, i), json_array_get(value, k))) return false;
    }
    return true;
}

static bool is_widths(const json_t *value)
{
    if (json_array_size(value) != NETWORK_BLOCKS) return false;
    for (size_t i = 0; i < NETWORK_BLOCKS; i++)
        if (!is_integer_within(json_array_get(value, i), 1, 4096)) return false;
    return true;
}

static bool is_threshold(const json_t *value)
{
    return json_is_null(value) || (is_positive(value) && is_number_within(value, 0, 1));
}

static bool is_norms(const json_t *value)
{
    const json_t *deviation = json_array_get(value, 1);

    return json_is_null(value) ||
           (json_array_size(value) == 2 && is_number_within(json_array_get(value, 0), 0, 1) &&
            is_number_within(deviation, 0, 1) && is_positive(deviation));
}

static bool is_intensity(const json_t *value)
{
    const json_t *dtype = json_object_get(value, "dtype");

    return json_is_null(value) || (json_is_number(json_object_get(value, "offset")) &&
                                   is_positive(json_object_get(value, "scale")) &&
                                   (!dtype || json_is_null(dtype) || json_is_string(dtype)));
}

static bool is_intensity_rule(const json_t *value)
{
    return json_is_null(value) || is_text(value, "volume") || is_text(value, "norms");
}

static bool is_size(const json_t *value)
{
    return json_is_null(value) || is_positive(value);
}

static bool is_base(const json_t *value)
{
    const json_t *name = json_object_get(value, "name"), *hash = json_object_get(value, "sha256");
    const json_t *decoder = json_object_get(value, "decoder");

    return json_is_null(value) ||
           (json_is_object(value) && (!name || json_is_null(name) || json_is_string(name)) &&
            (!hash || json_is_null(hash) ||
             (json_is_string(hash) && is_hexadecimal(json_string_value(hash), 64))) &&
            (!decoder || json_is_boolean(decoder)));
}

static bool is_object(const json_t *value)
{
    return json_is_null(value) || json_is_object(value);
}

static bool is_array(const json_t *value)
{
    return json_is_null(value) || json_is_array(value);
}

static bool is_string(const json_t *value)
{
    return json_is_null(value) || json_is_string(value);
}

/* ---- the table ---- */

/* Which cards a field belongs to. */
enum { OF_MODEL = 1, OF_ENCODER = 2, OF_BOTH = 3 };

static const struct field {
    const char *name;
    int cards;
    bool required;
    bool (*valid)(const json_t *value);
    const char *must; /* "must be ..." */
} FIELDS[] = {
    {"format", OF_BOTH, true, is_format, "\"napari-cem\""},
    {"version", OF_BOTH, true, is_version, "1; for a newer one, update napari-cem"},
    {"kind", OF_MODEL, false, is_model_kind,
     "\"model\"; the weights of an encoder start a new model, they are none"},
    {"kind", OF_ENCODER, true, is_encoder_kind, "\"encoder\""},
    {"architecture", OF_MODEL, true, is_architecture, "\"unet-resnet50\""},
    {"architecture", OF_ENCODER, false, is_encoder_architecture, "\"resnet50\""},
    {"classes", OF_MODEL, true, is_classes,
     "2 to 255 objects, each with a name, a value from 0 to 65535, both its own, and perhaps a "
     "color like \"#ff8000\""},
    {"widths", OF_MODEL, true, is_widths, "5 numbers from 1 to 4096"},
    {"threshold", OF_MODEL, false, is_threshold, "null or a number above 0 and at most 1"},
    {"norms", OF_BOTH, false, is_norms,
     "null or [mean, deviation], numbers from 0 to 1, the deviation above 0"},
    {"intensity", OF_MODEL, false, is_intensity,
     "null or an object with the numbers offset and scale, scale above 0"},
    {"intensity_rule", OF_MODEL, false, is_intensity_rule, "null, \"volume\" or \"norms\""},
    {"pixel_nm", OF_MODEL, false, is_size, "null or a number above 0"},
    {"precision", OF_MODEL, false, is_precision, "\"f32\""},
    {"base", OF_BOTH, false, is_base,
     "null or an object with a name, a sha256 of 64 hexadecimal digits, and decoder true or false"},
    {"training", OF_MODEL, false, is_object, "null or an object"},
    {"data", OF_MODEL, false, is_array, "null or an array"},
    {"library", OF_MODEL, false, is_string, "null or text"},
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof FIELDS[0] };

/* The beginning of `value` as JSON text, for a message. */
static void show(char shown[SHOWN], const json_t *value)
{
    const size_t room = SHOWN - sizeof "...";
    size_t size;

    memset(shown, 0, SHOWN);
    size = json_dumpb(value, shown, room, JSON_COMPACT | JSON_ENCODE_ANY);
    if (size > room) memcpy(shown + strlen(shown), "...", sizeof "...");
}

/* Sets the error line, which begins with the file's name if a file is to blame. */
__attribute__((format(printf, 2, 3))) static int32_t complain(const struct blame *blame,
                                                              const char *format, ...)
{
    char line[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return blame->file ? error_set(blame->status, "'%s': %s", blame->file, line)
                       : error_set(blame->status, "%s", line);
}

static int32_t refuse(const struct blame *blame, const struct field *field, const char *is)
{
    return complain(blame, "the card's %s is %s, must be %s", field->name, is, field->must);
}

/* Checks the fields that belong to `cards`. */
static int32_t check_fields(const json_t *json, int cards, const struct blame *blame)
{
    char shown[SHOWN];

    for (int i = 0; i < FIELD_COUNT; i++) {
        const json_t *value = json_object_get(json, FIELDS[i].name);
        if (!(FIELDS[i].cards & cards)) continue;
        if (!value && FIELDS[i].required) return refuse(blame, &FIELDS[i], "missing");
        if (!value || FIELDS[i].valid(value)) continue;
        show(shown, value);
        return refuse(blame, &FIELDS[i], shown);
    }
    return CEM_OK;
}

/* Reads the facts of a checked card. */
static void find_facts(struct card_facts *facts, const json_t *json)
{
    const json_t *classes = json_object_get(json, "classes");
    const json_t *widths = json_object_get(json, "widths");
    const json_t *threshold = json_object_get(json, "threshold");

    memset(facts, 0, sizeof *facts);
    facts->classes = (int)json_array_size(classes);
    for (int i = 0; i < facts->classes; i++)
        facts->values[i] = (int32_t)json_integer_value(
            json_object_get(json_array_get(classes, (size_t)i), "value"));
    for (int i = 0; i < NETWORK_BLOCKS; i++)
        facts->widths[i] = (int32_t)json_integer_value(json_array_get(widths, (size_t)i));
    facts->threshold = json_is_number(threshold) ? json_number_value(threshold) : -1;
    facts->decoder = json_is_true(json_object_get(json_object_get(json, "base"), "decoder"));
}

/* A file may hold a little more than a caller may put into a card, so that what grew afterwards
 * (the threshold) is read again. */
static int32_t check_length(int64_t bytes, const struct blame *blame)
{
    const int limit = blame->file ? 2 * TEXT_LIMIT : TEXT_LIMIT;

    if (bytes <= limit) return CEM_OK;
    return complain(blame, "the card has %lld bytes, must have at most %d; shorten it",
                    (long long)bytes, limit);
}

static int32_t parse_object(json_t **out, const char *text, const struct blame *blame)
{
    const size_t length = strlen(text);
    json_error_t error;
    json_t *json;
    int32_t status;

    if ((status = check_length((int64_t)length, blame)) != CEM_OK) return status;
    json = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json_is_object(json)) {
        *out = json;
        return CEM_OK;
    }
    if (!json && (!error.text[0] || json_error_code(&error) == json_error_out_of_memory))
        return error_memory((int64_t)length);
    status = complain(blame, "the card must be a JSON object: %.120s",
                      json ? "it is another value" : error.text);
    json_decref(json);
    return status;
}

/* ---- cards ---- */

/* A card that takes `json`, checked, over; on failure the caller still owns it. */
static int32_t wrap(struct card **out, json_t *json)
{
    struct card *card = memory_new(1, sizeof *card);

    if (!card) return CEM_EMEMORY;
    card->json = json;
    find_facts(&card->facts, json);
    *out = card;
    return CEM_OK;
}

/* Gives the card the checked object `json`. */
static void replace(struct card *card, json_t *json)
{
    json_decref(card->json);
    memory_free(card->text);
    card->json = json;
    card->text = NULL;
    find_facts(&card->facts, json);
}

/* Background black, then the palette of Okabe and Ito, told apart by the colour-blind. */
static json_t *new_class(int index)
{
    static const char *COLORS[] = {"#e69f00", "#56b4e9", "#009e73", "#f0e442",
                                   "#0072b2", "#d55e00", "#cc79a7"};
    const int count = sizeof COLORS / sizeof COLORS[0];
    char name[SHOWN];

    snprintf(name, sizeof name, index ? "class %d" : "background", index);
    return json_pack("{s:s, s:i, s:s}", "name", name, "value", index + 1, "color",
                     index ? COLORS[(index - 1) % count] : "#000000");
}

/* The object of card_new, or NULL if there is no memory. */
static json_t *new_object(int classes, const int32_t *widths)
{
    json_t *list = json_array();
    int failed = !list;

    for (int i = 0; i < classes && !failed; i++) failed = json_array_append_new(list, new_class(i));
    if (failed) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:s, s:i, s:s, s:o, s:[i,i,i,i,i], s:s, s:n, s:n}", "format", "napari-cem",
                     "version", 1, "architecture", "unet-resnet50", "classes", list, "widths",
                     (int)widths[0], (int)widths[1], (int)widths[2], (int)widths[3], (int)widths[4],
                     "precision", "f32", "threshold", "norms");
}

int32_t card_new(struct card **out, int classes, const int32_t *widths)
{
    json_t *json = NULL;
    int32_t status;

    if (classes < 2 || classes > CARD_CLASSES)
        return error_set(CEM_EARGUMENT, "classes is %d, must be 2 to %d", classes, CARD_CLASSES);
    if (!(json = new_object(classes, widths))) return error_memory(TEXT_LIMIT);
    if ((status = check_fields(json, OF_MODEL, &CALLER)) == CEM_OK) status = wrap(out, json);
    if (status != CEM_OK) json_decref(json);
    return status;
}

int32_t card_parse(struct card **out, const char *text, const char *name)
{
    const struct blame blame = {CEM_EFORMAT, name};
    json_t *json = NULL;
    int32_t status;

    if ((status = parse_object(&json, text, &blame)) != CEM_OK) return status;
    if ((status = check_fields(json, OF_MODEL, &blame)) == CEM_OK) status = wrap(out, json);
    if (status != CEM_OK) json_decref(json);
    return status;
}

int32_t card_copy(struct card **out, const struct card *card)
{
    json_t *json = json_deep_copy(card->json);
    int32_t status;

    if (!json) return error_memory(TEXT_LIMIT);
    if ((status = wrap(out, json)) != CEM_OK) json_decref(json);
    return status;
}

void card_free(struct card *card)
{
    if (!card) return;
    json_decref(card->json);
    memory_free(card->text);
    memory_free(card);
}

static int64_t length_of(const json_t *json)
{
    return (int64_t)json_dumpb(json, NULL, 0, JSON_COMPACT);
}

static int32_t check_same_network(const struct card *card, const json_t *merged)
{
    const struct card_facts *have = &card->facts;
    struct card_facts facts;

    find_facts(&facts, merged);
    if (facts.classes != have->classes)
        return error_set(CEM_EARGUMENT, "the card names %d classes, the network has %d",
                         facts.classes, have->classes);
    for (int i = 0; i < NETWORK_BLOCKS; i++)
        if (facts.widths[i] != have->widths[i])
            return error_set(CEM_EARGUMENT, "the card's width %d is %d, the network has %d", i,
                             (int)facts.widths[i], (int)have->widths[i]);
    return check_length(length_of(merged), &CALLER);
}

/* Sets the fields of `patch` in `json`, those that are null removed.  0, or -1 for no memory. */
static int patch_object(json_t *json, json_t *patch)
{
    const char *key;
    json_t *value;

    json_object_foreach(patch, key, value)
    {
        if (json_is_null(value)) (void)json_object_del(json, key); /* it may not be there */
        else if (json_object_set(json, key, value) != 0) return -1;
    }
    return 0;
}

int32_t card_merge(struct card *card, const char *text)
{
    json_t *patch = NULL, *merged = NULL;
    int32_t status;

    if ((status = parse_object(&patch, text, &CALLER)) != CEM_OK) goto done;
    merged = json_copy(card->json);
    if (!merged || patch_object(merged, patch) != 0) {
        status = error_memory(TEXT_LIMIT);
        goto done;
    }
    if ((status = check_fields(merged, OF_MODEL, &CALLER)) != CEM_OK) goto done;
    if ((status = check_same_network(card, merged)) != CEM_OK) goto done;
    replace(card, merged);
    merged = NULL;
done:
    json_decref(merged);
    json_decref(patch);
    return status;
}

/* Copies field `name` from `from`, or removes it.  0, or -1 for no memory. */
static int take_field(json_t *to, const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);

    if (value) return json_object_set(to, name, value);
    (void)json_object_del(to, name);
    return 0;
}

int32_t card_set_base(bool *whole, struct card *card, const char *text, const char *name)
{
    const struct blame blame = {CEM_EFORMAT, name};
    json_t *from = NULL, *merged = NULL;
    bool model;
    int32_t status;

    if ((status = parse_object(&from, text, &blame)) != CEM_OK) goto done;
    model = !is_text(json_object_get(from, "kind"), "encoder");
    if ((status = check_fields(from, model ? OF_MODEL : OF_ENCODER, &blame)) != CEM_OK) goto done;
    merged = json_copy(card->json);
    if (!merged || take_field(merged, from, "norms") != 0 ||
        take_field(merged, from, "base") != 0) {
        status = error_memory(TEXT_LIMIT);
        goto done;
    }
    if ((status = check_length(length_of(merged), &blame)) != CEM_OK) goto done;
    replace(card, merged);
    merged = NULL;
    *whole = model;
done:
    json_decref(merged);
    json_decref(from);
    return status;
}

int32_t card_set_decoder(struct card *card, bool decoder)
{
    json_t *base = json_deep_copy(json_object_get(card->json, "base"));
    int status = 0;

    if (!json_is_object(base)) {
        json_decref(base);
        if (!decoder) return CEM_OK;
        base = json_object();
    }
    if (decoder) status = json_object_set_new(base, "decoder", json_true());
    else (void)json_object_del(base, "decoder");
    if (json_object_set_new(card->json, "base", base) != 0 || status != 0)
        return error_memory(TEXT_LIMIT);
    memory_free(card->text);
    card->text = NULL;
    find_facts(&card->facts, card->json);
    return CEM_OK;
}

int32_t card_set_threshold(struct card *card, double threshold)
{
    if (threshold < 0) {
        (void)json_object_del(card->json, "threshold");
    } else {
        if (!(threshold > 0 && threshold <= 1))
            return error_set(CEM_EARGUMENT, "the threshold is %g, must be above 0 and at most 1",
                             threshold);
        if (json_object_set_new(card->json, "threshold", json_real(threshold)) != 0)
            return error_memory(TEXT_LIMIT);
    }
    memory_free(card->text);
    card->text = NULL;
    find_facts(&card->facts, card->json);
    return CEM_OK;
}

void card_read(struct card_facts *facts, const struct card *card)
{
    *facts = card->facts;
}

int32_t card_text(const char **out, struct card *card)
{
    const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
    const size_t size = card->text ? 0 : json_dumpb(card->json, NULL, 0, flags);
    char *text;

    if (!card->text) {
        if (size == 0) return error_memory(TEXT_LIMIT);
        if (!(text = memory_new((int64_t)size + 1, 1))) return CEM_EMEMORY;
        if (json_dumpb(card->json, text, size, flags) != size) {
            memory_free(text);
            return error_memory((int64_t)size);
        }
        card->text = text;
    }
    *out = card->text;
    return CEM_OK;
}
