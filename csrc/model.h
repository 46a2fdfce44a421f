/* A model: the network's table, its parameters and its card. */
#ifndef CEM_MODEL_H
#define CEM_MODEL_H

#include "card.h"
#include "network.h"

struct parameters {
    float *values;    /* (network->parameters), all tensors of the table */
    int64_t *batches; /* (network->count), num_batches_tracked of each layer */
    uint64_t version; /* changes whenever the values do */
    uint64_t encoder; /* changes whenever the encoder's do */
};

struct model {
    struct network *network;
    struct parameters parameters;
    struct card *card;
};

int32_t model_new(struct model **out, int classes, const int32_t *widths, uint64_t seed);

/* A model still without parameters, which takes `card` over, also on failure. */
int32_t model_of(struct model **out, struct card *card);

/* A file is taken only if its card and its tensors agree: every tensor of the card's network with
 * its shape and nothing else, all values finite, no variance below 0. */
int32_t model_load(struct model **out, const char *path);

/* Takes the encoder of a weights file or of a whole model, and its card's `norms` and `base`.  On
 * failure the model is unchanged. */
int32_t model_load_encoder(struct model *model, const char *path);

/* The same, and the decoder as well, its head excepted, if the file is a whole model whose decoder
 * has the widths of this one's. */
int32_t model_load_body(struct model *model, const char *path);

/* A model that model_load would refuse is not written. */
int32_t model_save(struct model *model, const char *path, int32_t overwrite);
int32_t model_copy(struct model **out, const struct model *model);

/* Makes `model` what `from` is; refused unless their networks are the same. */
int32_t model_assign(struct model *model, const struct model *from);
int32_t model_check_same_network(const struct model *a, const struct model *b);
void model_free(struct model *model);

/* A version no parameters had before.  Copies keep the version: the same version, the same values.
 */
uint64_t model_next_version(void);

/* Both versions of `parameters` become new ones. */
void parameters_changed(struct parameters *parameters);

/* All zeros. */
int32_t parameters_new(struct parameters *out, const struct network *network);
void parameters_copy(struct parameters *to, const struct parameters *from,
                     const struct network *network);
void parameters_free(struct parameters *parameters);

/* The initialisation of the SMP U-Net, from `seed` (cem.h, cem_model_new).  Each tensor has its own
 * stream of random numbers. */
void parameters_draw(struct parameters *parameters, const struct network *network, uint64_t seed);

#endif
