/* The card: known fields are checked, unknown ones kept, and the text is always the same. */
#include <string.h>

#include "card.h"
#include "cem.h"
#include "check.h"
#include "error.h"
#include "memory.h"
#include "scratch.h"

static const int32_t WIDTHS[NETWORK_BLOCKS] = {256, 128, 64, 32, 16};

#define START "{\"format\":\"napari-cem\",\"version\":1,\"architecture\":\"unet-resnet50\","
#define CLASSES "\"classes\":[{\"name\":\"rest\",\"value\":1},{\"name\":\"er\",\"value\":2}],"
#define SIZES "\"widths\":[64,32,16,16,8]"
#define MINIMAL START CLASSES SIZES

/* True if the card's text is `text`. */
static bool text_is(struct card *card, const char *text)
{
    const char *have = NULL;

    if (card_text(&have, card) != CEM_OK) return false;
    if (strcmp(have, text) != 0) printf("have %s\nwant %s\n", have, text);
    return strcmp(have, text) == 0;
}

static void a_new_card_says_what_the_network_is(void)
{
    struct card *card;
    struct card_facts facts;

    CHECK_EQ(card_new(&card, 3, WIDTHS), CEM_OK);
    card_read(&facts, card);
    CHECK_EQ(facts.classes, 3);
    for (int i = 0; i < 3; i++) CHECK_EQ(facts.values[i], i + 1);
    for (int i = 0; i < NETWORK_BLOCKS; i++) CHECK_EQ(facts.widths[i], WIDTHS[i]);
    CHECK(facts.threshold == -1);
    CHECK(text_is(card, "{\"architecture\":\"unet-resnet50\",\"classes\":["
                        "{\"color\":\"#000000\",\"name\":\"background\",\"value\":1},"
                        "{\"color\":\"#e69f00\",\"name\":\"class 1\",\"value\":2},"
                        "{\"color\":\"#56b4e9\",\"name\":\"class 2\",\"value\":3}],"
                        "\"format\":\"napari-cem\",\"norms\":null,\"precision\":\"f32\","
                        "\"threshold\":null,\"version\":1,\"widths\":[256,128,64,32,16]}"));
    card_free(card);
}

static void a_new_card_is_one_that_can_be_read(void)
{
    struct card *card, *again;
    const char *text;

    CHECK_EQ(card_new(&card, CARD_CLASSES, WIDTHS), CEM_OK);
    CHECK_EQ(card_text(&text, card), CEM_OK);
    CHECK_EQ(card_parse(&again, text, "x"), CEM_OK);
    CHECK(text_is(again, text));
    card_free(card);
    card_free(again);
    CHECK_EQ(card_new(&card, 1, WIDTHS), CEM_EARGUMENT);
    CHECK_EQ(card_new(&card, 256, WIDTHS), CEM_EARGUMENT);
    CHECK(strstr(error_line(), "256"));
}

static void unknown_fields_survive(void)
{
    struct card *card;

    CHECK_EQ(card_parse(&card,
                        MINIMAL ",\"zoo\":{\"b\":[1,2.5,null,true,{}],\"a\":\"\\u00e9\\n\"},"
                                "\"big\":9223372036854775807,\"tenth\":0.1}",
                        "x"),
             CEM_OK);
    CHECK(text_is(card, "{\"architecture\":\"unet-resnet50\",\"big\":9223372036854775807,"
                        "\"classes\":[{\"name\":\"rest\",\"value\":1},{\"name\":\"er\",\"value\":2}"
                        "],\"format\":\"napari-cem\",\"tenth\":0.10000000000000001,\"version\":1,"
                        "\"widths\":[64,32,16,16,8],"
                        "\"zoo\":{\"a\":\"\xc3\xa9\\n\",\"b\":[1,2.5,null,true,{}]}}"));
    card_free(card);
}

static void every_known_field_is_accepted_in_its_range(void)
{
    static const char *fields[] = {
        "\"kind\":\"model\"",
        "\"threshold\":null",
        "\"threshold\":1",
        "\"threshold\":0.25",
        "\"norms\":[0.57571,0.12765]",
        "\"intensity\":{\"offset\":-3,\"scale\":0.01,\"dtype\":\"uint8\"}",
        "\"intensity_rule\":\"norms\"",
        "\"pixel_nm\":4.6",
        "\"pixel_nm\":null",
        "\"precision\":\"f32\"",
        "\"base\":{\"name\":\"cem500k\",\"sha256\":null}",
        "\"base\":{\"sha256\":\"0123456789abcdef0123456789abcdef"
        "0123456789abcdef0123456789abcdef\"}",
        "\"training\":{\"steps\":10,\"anything\":[]}",
        "\"data\":[{\"sha256\":\"\"}]",
        "\"library\":\"0.1.0\"",
    };
    char text[1024];
    struct card *card;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        snprintf(text, sizeof text, MINIMAL ",%s}", fields[i]);
        CHECK_EQ(card_parse(&card, text, "x"), CEM_OK);
        card_free(card);
    }
}

static void a_wrong_field_is_named_with_its_value(void)
{
    static const struct {
        const char *field, *value;
    } cases[] = {
        {"format", "\"other\""},
        {"version", "2"},
        {"version", "1.0"},
        {"kind", "\"encoder\""},
        {"architecture", "\"unet\""},
        {"classes", "[]"},
        {"classes", "[{\"name\":\"a\",\"value\":1}]"},
        {"classes", "[{\"name\":\"a\",\"value\":1},{\"name\":\"a\",\"value\":2}]"},
        {"classes", "[{\"name\":\"a\",\"value\":1},{\"name\":\"b\",\"value\":1}]"},
        {"classes", "[{\"name\":\"\",\"value\":1},{\"name\":\"b\",\"value\":2}]"},
        {"classes", "[{\"name\":\"a\",\"value\":-1},{\"name\":\"b\",\"value\":2}]"},
        {"classes", "[{\"name\":\"a\",\"value\":1},{\"name\":\"b\",\"value\":65536}]"},
        {"classes", "[{\"name\":\"a\",\"value\":1},{\"name\":\"b\",\"value\":2.0}]"},
        {"classes", "[{\"name\":\"a\"},{\"name\":\"b\",\"value\":2}]"},
        {"classes", "[{\"color\":\"red\",\"name\":\"a\",\"value\":1},"
                    "{\"name\":\"b\",\"value\":2}]"},
        {"classes", "[1,2]"},
        {"widths", "[1,2,3,4]"},
        {"widths", "[1,2,3,4,5,6]"},
        {"widths", "[0,2,3,4,5]"},
        {"widths", "[4097,2,3,4,5]"},
        {"threshold", "0"},
        {"threshold", "1.5"},
        {"threshold", "\"0.5\""},
        {"norms", "[0.5]"},
        {"norms", "[130.0,30.0]"},
        {"norms", "[0.5,0]"},
        {"intensity", "{\"offset\":1}"},
        {"intensity", "{\"offset\":0,\"scale\":-1}"},
        {"intensity", "5"},
        {"intensity_rule", "\"other\""},
        {"pixel_nm", "0"},
        {"pixel_nm", "-4"},
        {"precision", "\"f64\""},
        {"base", "\"cem500k\""},
        {"base", "{\"sha256\":\"12\"}"},
        {"base", "{\"name\":7}"},
        {"training", "[]"},
        {"data", "{}"},
        {"library", "1"},
    };
    struct card *card = NULL;
    json_t *json;
    char *text, wanted[256];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json = json_loads(MINIMAL "}", 0, NULL);
        json_object_set_new(json, cases[i].field,
                            json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        text = json_dumps(json, 0);
        CHECK_EQ(card_parse(&card, text, "m.safetensors"), CEM_EFORMAT);
        snprintf(wanted, sizeof wanted, "'m.safetensors': the card's %s is %.30s", cases[i].field,
                 cases[i].value);
        if (!strstr(error_line(), wanted)) printf("%s\n%s\n", error_line(), wanted);
        CHECK(strstr(error_line(), wanted));
        CHECK(strstr(error_line(), "must be "));
        free(text);
        json_decref(json);
    }
    CHECK(!card);
}

static void a_missing_field_is_named(void)
{
    static const char *fields[] = {"format", "version", "architecture", "classes", "widths"};
    struct card *card = NULL;
    char *text, wanted[64];

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        json_t *json = json_loads(MINIMAL "}", 0, NULL);
        CHECK_EQ(json_object_del(json, fields[i]), 0);
        text = json_dumps(json, 0);
        CHECK_EQ(card_parse(&card, text, "x"), CEM_EFORMAT);
        snprintf(wanted, sizeof wanted, "the card's %s is missing", fields[i]);
        CHECK(strstr(error_line(), wanted));
        free(text);
        json_decref(json);
    }
}

static void a_long_value_is_cut_in_the_message(void)
{
    struct card *card = NULL;
    char text[8192] = MINIMAL ",\"library\":[", *end = text + strlen(text);

    for (int i = 0; i < 1000; i++) end += sprintf(end, "%d,", i);
    strcpy(end, "0]}");
    CHECK_EQ(card_parse(&card, text, "x"), CEM_EFORMAT);
    CHECK(strstr(error_line(), "[0,1,2,3,"));
    CHECK(strstr(error_line(), "..., must be null or text"));
    CHECK(strlen(error_line()) < 200);
}

static void what_is_no_object_is_refused(void)
{
    static const char *texts[] = {
        "", "null", "[]", "\"\"", "7", "{", MINIMAL, MINIMAL "} x", MINIMAL ",\"format\":1}"};
    struct card *card = NULL;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CHECK_EQ(card_parse(&card, texts[i], "x"), CEM_EFORMAT);
        CHECK(strstr(error_line(), "'x': the card must be a JSON object"));
    }
    CHECK(!card);
}

static void a_card_cut_at_any_byte_is_refused(void)
{
    static const char whole[] = MINIMAL ",\"threshold\":0.5,\"other\":\"\xc3\xa9\"}";
    struct card *card = NULL;
    const int64_t live = memory_live();

    for (size_t cut = 0; cut + 1 < sizeof whole; cut++) {
        char *text = calloc(cut + 1, 1);
        memcpy(text, whole, cut);
        CHECK_EQ(card_parse(&card, text, "x"), CEM_EFORMAT);
        free(text);
    }
    CHECK_EQ(memory_live(), live);
}

static void an_endless_card_is_refused(void)
{
    enum { LENGTH = 3 << 20 };
    struct card *card;
    char *text = malloc(LENGTH + 1);

    memset(text, '[', LENGTH);
    text[LENGTH] = 0;
    CHECK_EQ(card_parse(&card, text, "x"), CEM_EFORMAT);
    CHECK(strstr(error_line(), "3145728 bytes"));
    memset(text, ' ', LENGTH);
    memcpy(text, "{\"note\":\"", 9);
    memcpy(text + LENGTH - 2, "\"}", 2);
    CHECK_EQ(card_new(&card, 2, WIDTHS), CEM_OK);
    CHECK_EQ(card_merge(card, text), CEM_EARGUMENT);
    CHECK(strstr(error_line(), "shorten"));
    card_free(card);
    free(text);
}

static void a_merge_replaces_adds_and_removes(void)
{
    struct card *card;
    struct card_facts facts;

    CHECK_EQ(card_parse(&card, MINIMAL ",\"note\":1,\"old\":{\"a\":1,\"b\":2}}", "x"), CEM_OK);
    CHECK_EQ(card_merge(card, "{\"note\":null,\"old\":{\"c\":3},\"new\":[],\"absent\":null,"
                              "\"threshold\":0.75,\"classes\":[{\"name\":\"er\",\"value\":7},"
                              "{\"name\":\"rest\",\"value\":9}]}"),
             CEM_OK);
    CHECK(text_is(card, "{\"architecture\":\"unet-resnet50\",\"classes\":["
                        "{\"name\":\"er\",\"value\":7},{\"name\":\"rest\",\"value\":9}],"
                        "\"format\":\"napari-cem\",\"new\":[],\"old\":{\"c\":3},"
                        "\"threshold\":0.75,\"version\":1,\"widths\":[64,32,16,16,8]}"));
    card_read(&facts, card);
    CHECK_EQ(facts.values[0], 7);
    CHECK_EQ(facts.values[1], 9);
    CHECK(facts.threshold == 0.75);
    CHECK_EQ(card_merge(card, "{\"threshold\":null}"), CEM_OK);
    card_read(&facts, card);
    CHECK(facts.threshold == -1);
    card_free(card);
}

static void a_merge_that_contradicts_the_network_changes_nothing(void)
{
    static const struct {
        const char *patch, *reason;
    } cases[] = {
        {"{\"note\":1,\"widths\":[256,128,64,32,16]}", "width 0 is 256, the network has 64"},
        {"{\"note\":1,\"classes\":[{\"name\":\"a\",\"value\":1},{\"name\":\"b\",\"value\":2},"
         "{\"name\":\"c\",\"value\":3}]}",
         "names 3 classes, the network has 2"},
        {"{\"note\":1,\"threshold\":2}", "threshold is 2"},
        {"{\"note\":1,\"classes\":null}", "classes is missing"},
        {"{\"note\":1,\"format\":null}", "format is missing"},
        {"{\"note\":1,\"kind\":\"encoder\"}", "kind is \"encoder\""},
        {"[1]", "must be a JSON object"},
        {"{\"note\":", "must be a JSON object"},
    };
    struct card *card;
    const char *text;

    CHECK_EQ(card_parse(&card, MINIMAL "}", "x"), CEM_OK);
    CHECK_EQ(card_text(&text, card), CEM_OK);
    char *before = strdup(text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(card_merge(card, cases[i].patch), CEM_EARGUMENT);
        CHECK(strstr(error_line(), cases[i].reason));
        CHECK(text_is(card, before));
    }
    free(before);
    card_free(card);
}

static void a_threshold_is_set_and_taken_back(void)
{
    struct card *card;
    struct card_facts facts;
    const char *text;

    CHECK_EQ(card_parse(&card, MINIMAL "}", "x"), CEM_OK);
    CHECK_EQ(card_text(&text, card), CEM_OK); /* now there is a text to forget */
    CHECK_EQ(card_set_threshold(card, 0.5), CEM_OK);
    card_read(&facts, card);
    CHECK(facts.threshold == 0.5);
    CHECK_EQ(card_text(&text, card), CEM_OK);
    CHECK(strstr(text, "\"threshold\":0.5"));
    CHECK_EQ(card_set_threshold(card, 1.01), CEM_EARGUMENT);
    CHECK_EQ(card_set_threshold(card, 0), CEM_EARGUMENT);
    CHECK_EQ(card_set_threshold(card, 0.0 / 0.0), CEM_EARGUMENT);
    card_read(&facts, card);
    CHECK(facts.threshold == 0.5);
    CHECK_EQ(card_set_threshold(card, -1), CEM_OK);
    CHECK_EQ(card_text(&text, card), CEM_OK);
    CHECK(!strstr(text, "threshold"));
    card_free(card);
}

static void the_base_comes_from_the_encoder_whose_weights_it_is(void)
{
    static const char *encoder = "{\"format\":\"napari-cem\",\"version\":1,\"kind\":\"encoder\","
                                 "\"norms\":[0.5,0.25],\"base\":{\"name\":\"w\"},\"note\":1}";
    struct card *card;
    const char *text;
    bool whole = true;

    CHECK_EQ(card_parse(&card, MINIMAL ",\"base\":{\"name\":\"old\"},\"threshold\":0.5}", "x"),
             CEM_OK);
    CHECK_EQ(card_set_base(&whole, card, encoder, "w"), CEM_OK);
    CHECK(!whole);
    CHECK_EQ(card_text(&text, card), CEM_OK);
    CHECK(strstr(text, "\"base\":{\"name\":\"w\"}") && strstr(text, "\"norms\":[0.5,0.25]"));
    CHECK(strstr(text, "\"threshold\":0.5") && !strstr(text, "note") && !strstr(text, "kind"));
    CHECK_EQ(card_set_base(&whole, card, MINIMAL "}", "m"), CEM_OK);
    CHECK(whole);
    CHECK_EQ(card_text(&text, card), CEM_OK);
    CHECK(!strstr(text, "base") && !strstr(text, "norms"));
    CHECK_EQ(card_set_base(&whole, card, "{\"kind\":\"encoder\"}", "w"), CEM_EFORMAT);
    CHECK(strstr(error_line(), "'w': the card's format is missing"));
    CHECK_EQ(card_set_base(&whole, card,
                           "{\"format\":\"napari-cem\",\"version\":1,\"kind\":\"encoder\","
                           "\"architecture\":\"vgg\"}",
                           "w"),
             CEM_EFORMAT);
    CHECK(strstr(error_line(), "the card's architecture is \"vgg\", must be \"resnet50\""));
    card_free(card);
}

static void a_copy_is_a_card_of_its_own(void)
{
    struct card *card, *copy;
    struct card_facts facts;

    CHECK_EQ(card_new(&card, 2, WIDTHS), CEM_OK);
    CHECK_EQ(card_copy(&copy, card), CEM_OK);
    CHECK_EQ(card_merge(copy, "{\"threshold\":0.5}"), CEM_OK);
    card_read(&facts, card);
    CHECK(facts.threshold == -1);
    card_free(card);
    card_read(&facts, copy);
    CHECK(facts.threshold == 0.5);
    card_free(copy);
}

/* Does everything a card can do; any step may report a failure. */
static int32_t use_a_card(void)
{
    struct card *made = NULL, *card = NULL, *copy = NULL;
    const char *text;
    bool whole;
    int32_t status;

    if ((status = card_new(&made, 2, WIDTHS)) != CEM_OK) goto done;
    if ((status = card_parse(&card, MINIMAL ",\"note\":[1,{\"a\":2.5}]}", "x")) != CEM_OK)
        goto done;
    if ((status = card_copy(&copy, card)) != CEM_OK) goto done;
    if ((status = card_merge(copy, "{\"new\":{\"b\":[]},\"note\":null}")) != CEM_OK) goto done;
    if ((status = card_set_base(&whole, copy, MINIMAL ",\"norms\":[0.5,0.5]}", "y")) != CEM_OK)
        goto done;
    if ((status = card_set_threshold(copy, 0.5)) != CEM_OK) goto done;
    status = card_text(&text, copy);
done:
    card_free(made);
    card_free(card);
    card_free(copy);
    return status;
}

static void a_failed_allocation_is_a_status_and_leaks_nothing(void)
{
    const int64_t live = memory_live();
    int32_t status = CEM_EMEMORY;
    int k = 0;

    while (status != CEM_OK) {
        memory_fail_at(++k);
        status = use_a_card();
        memory_fail_at(0);
        CHECK(status == CEM_OK || status == CEM_EMEMORY);
        CHECK_EQ(memory_live(), live);
    }
    CHECK(k > 3);
    for (k = 0, status = CEM_EMEMORY; status != CEM_OK;) {
        jansson_fail_at(++k);
        status = use_a_card();
        CHECK(status == CEM_OK || status == CEM_EMEMORY || status == CEM_EFORMAT ||
              status == CEM_EARGUMENT);
        CHECK_EQ(jansson_live, 0);
        CHECK_EQ(memory_live(), live);
    }
    CHECK(k > 50);
}

int main(void)
{
    RUN(a_new_card_says_what_the_network_is);
    RUN(a_new_card_is_one_that_can_be_read);
    RUN(unknown_fields_survive);
    RUN(every_known_field_is_accepted_in_its_range);
    RUN(a_wrong_field_is_named_with_its_value);
    RUN(a_missing_field_is_named);
    RUN(a_long_value_is_cut_in_the_message);
    RUN(what_is_no_object_is_refused);
    RUN(a_card_cut_at_any_byte_is_refused);
    RUN(an_endless_card_is_refused);
    RUN(a_merge_replaces_adds_and_removes);
    RUN(a_merge_that_contradicts_the_network_changes_nothing);
    RUN(a_threshold_is_set_and_taken_back);
    RUN(the_base_comes_from_the_encoder_whose_weights_it_is);
    RUN(a_copy_is_a_card_of_its_own);
    RUN(a_failed_allocation_is_a_status_and_leaks_nothing);
    return CHECK_DONE();
}
