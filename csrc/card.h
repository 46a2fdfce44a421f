/* The model's card: a JSON object whose known fields are checked and whose others are kept.
 * docs/formats.md describes the fields. */
#ifndef CEM_CARD_H
#define CEM_CARD_H

#include <stdbool.h>
#include <stdint.h>

#include "network.h"

enum { CARD_CLASSES = 255 };

struct card;

/* What the core itself reads from a card. */
struct card_facts {
    int classes;                    /* label classes, background included */
    int32_t values[CARD_CLASSES];   /* label value of each class, 0..65535 */
    int32_t widths[NETWORK_BLOCKS]; /* of the decoder */
    double threshold;               /* in (0, 1], or -1: the likeliest class wins */
    bool decoder;                   /* the model began with a decoder that was trained before */
};

/* The card of a new model: classes "background", "class 1"..., label values 1.., the widths. */
int32_t card_new(struct card **out, int classes, const int32_t *widths);

/* The card of a whole model, from its text; `name` is the file it comes from. */
int32_t card_parse(struct card **out, const char *json, const char *name);
int32_t card_copy(struct card **out, const struct card *card);
void card_free(struct card *card);

/* Merges the object `json` into the card (JSON merge patch at the top level: null removes).  On
 * failure the card is unchanged.  `classes` and `widths` may not contradict the network. */
int32_t card_merge(struct card *card, const char *json);

/* Takes over `norms` and `base` from the card `json` of the weights file or model `name`, whose
 * encoder the model has got; what that card lacks is removed.  `whole` says whether it is the card
 * of a whole model.  On failure the card is unchanged. */
int32_t card_set_base(bool *whole, struct card *card, const char *json, const char *name);

/* Notes in `base` whether the decoder, too, was trained before. */
int32_t card_set_decoder(struct card *card, bool decoder);

/* A threshold in (0, 1], or below 0: none. */
int32_t card_set_threshold(struct card *card, double threshold);

void card_read(struct card_facts *facts, const struct card *card);

/* Compact JSON with sorted keys: the same card gives the same text.  Owned by the card, valid until
 * it changes. */
int32_t card_text(const char **out, struct card *card);

#endif
