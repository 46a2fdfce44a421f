/* The network: a ResNet-50 encoder with one input channel and a U-Net decoder, as a table.
 *
 *   value     made by                                              channels   scale
 *   f1        conv1 7x7/2, norm, ReLU                              64         1/2
 *   f2        max pool 3x3/2, layer1 (3 bottlenecks)               256        1/4
 *   f3        layer2 (4)                                           512        1/8
 *   f4        layer3 (6)                                           1024       1/16
 *   f5        layer4 (3)                                           2048       1/32
 *   d0..d4    twice up, join f4 f3 f2 f1 -, two 3x3 conv+norm+ReLU widths     1/16 .. 1
 *   logits    3x3 convolution with bias                            outputs    1
 *
 * (Conrad and Narayan 2021; the parameter names are those of segmentation_models.pytorch.)
 * Every walk over the network (building programs, loading, saving, counting) is a loop over this
 * table. */
#ifndef CEM_NETWORK_H
#define CEM_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

enum { LAYER_CONV, LAYER_MAXPOOL };

/* Where a layer reads from, when not from another layer. */
#define NETWORK_IMAGE (-1)
#define NETWORK_NONE (-2)

/* Stages of the network, in the order in which freezing counts them. */
enum { STAGE_STEM = 0, STAGE_DECODER = 5, STAGE_HEAD = 6 };

/* A convolution with what follows it: batch norm, residual sum, ReLU.  Or the max pool. */
struct layer {
    char name[40]; /* of the convolution's parameters, "encoder.layer1.0.conv1" */
    char norm[40]; /* of its batch norm's, "" if it has none */
    int kind;
    int stage;   /* 0 stem, 1..4 encoder, 5 decoder, 6 head */
    int in, out; /* channels; `in` counts those of `input` and `skip` together */
    int kernel, stride;
    int input;     /* the layer it reads, or NETWORK_IMAGE */
    int skip;      /* a layer joined behind the input's channels, or NETWORK_NONE */
    int add;       /* a layer whose value is added before the ReLU, or NETWORK_NONE */
    bool upsample; /* the input is doubled (nearest) before it is joined */
    bool relu;
    bool bias;
    int scale; /* log2 of image side over output side */
    /* offsets in the parameter blob, -1 where there is none */
    int64_t weight;                      /* (out, in, kernel, kernel) */
    int64_t offset;                      /* (out) bias of the convolution */
    int64_t gamma, beta, mean, variance; /* (out) each */
};

#define NETWORK_BLOCKS 5

struct network {
    struct layer *layers;
    int count;
    int encoder;                  /* layers [0, encoder) are the encoder */
    int features[NETWORK_BLOCKS]; /* layers that make f1..f5 */
    int outputs;
    int widths[NETWORK_BLOCKS];
    int64_t parameters; /* floats in the blob, running statistics included */
    int tensors;        /* entries of the state dict */
};

int32_t network_new(struct network **out, int outputs, const int32_t *widths);
void network_free(struct network *network);

/* One tensor of the state dict. */
struct network_tensor {
    char name[64];
    int rank;         /* 0 for num_batches_tracked */
    int64_t shape[4]; /* unused sizes are 0 */
    int64_t count;    /* numbers in it */
    int64_t place;    /* in the parameter blob; or -1: num_batches_tracked of `layer` */
    int layer;
    bool trainable; /* not a running statistic */
};

void network_tensor_get(struct network_tensor *out, const struct network *network, int index);

/* Trainable parameters when encoder stages below `first_stage` are frozen. */
int64_t network_trainable(const struct network *network, int first_stage, bool train_norms);

/* True if the convolution's (norms false) or the batch norm's parameters of `layer` train. */
bool network_trains(const struct layer *layer, int first_stage, bool train_norms, bool norms);

#endif
