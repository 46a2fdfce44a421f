/* Any text as a card, as a change to a card, and as the card of weights: refused, or what comes of
 * it can be read again and is the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "cem.h"
#include "error.h"
#include "memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
    if (!condition) abort();
}

static void check_facts(const struct card *card)
{
    struct card_facts facts;

    card_read(&facts, card);
    must(facts.classes >= 2 && facts.classes <= CARD_CLASSES);
    for (int i = 0; i < facts.classes; i++)
        must(facts.values[i] >= 0 && facts.values[i] <= UINT16_MAX);
    for (int i = 0; i < NETWORK_BLOCKS; i++) must(facts.widths[i] >= 1 && facts.widths[i] <= 4096);
    must(facts.threshold == -1 || (facts.threshold > 0 && facts.threshold <= 1));
}

/* The card's text is a card with the same text; so is that of a copy. */
static void check_card(struct card *card)
{
    struct card *again = NULL, *copy = NULL;
    const char *text, *same;

    check_facts(card);
    must(card_text(&text, card) == CEM_OK);
    must(card_parse(&again, text, "fuzz") == CEM_OK);
    must(card_text(&same, again) == CEM_OK && strcmp(text, same) == 0);
    must(card_copy(&copy, card) == CEM_OK);
    must(card_text(&same, copy) == CEM_OK && strcmp(text, same) == 0);
    card_free(again);
    card_free(copy);
}

/* A change that is refused changes nothing. */
static void check_change(const char *json)
{
    static const int32_t widths[NETWORK_BLOCKS] = {64, 32, 16, 16, 8};
    struct card *card = NULL, *before = NULL;
    const char *text, *same;
    bool whole;

    must(card_new(&card, 2, widths) == CEM_OK);
    must(card_copy(&before, card) == CEM_OK && card_text(&same, before) == CEM_OK);
    if (card_merge(card, json) != CEM_OK && card_set_base(&whole, card, json, "fuzz") != CEM_OK)
        must(card_text(&text, card) == CEM_OK && strcmp(text, same) == 0);
    check_card(card);
    card_free(card);
    card_free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t live = memory_live();
    struct card *card = NULL;
    char *json = malloc(size + 1);

    if (!json) return 0;
    if (size) memcpy(json, data, size);
    json[size] = 0;
    if (card_parse(&card, json, "fuzz") == CEM_OK) check_card(card);
    else must(!card && error_line()[0]);
    card_free(card);
    check_change(json);
    free(json);
    must(memory_live() == live);
    return 0;
}
