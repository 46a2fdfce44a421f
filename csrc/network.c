/* Builds the table of network.h, layer by layer, in the order in which they run. */
#include "network.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "memory.h"

static const struct {
    int blocks, middle, stride;
} STAGES[] = {{3, 64, 1}, {4, 128, 2}, {6, 256, 2}, {3, 512, 2}};

/* stem, pool, 4 convolutions or 3 a bottleneck, 2 a decoder block, head */
enum { LAYERS = 2 + 16 * 3 + 4 + 2 * NETWORK_BLOCKS + 1 };
enum { EXPANSION = 4, TENSORS_OF_A_NORM = 5 };

static int64_t take(struct network *network, int64_t count)
{
    int64_t place = network->parameters;

    network->parameters += count;
    return place;
}

/* Appends `layer` and gives its parameters their places.  Returns its index. */
static int append(struct network *network, struct layer layer)
{
    if (layer.kind == LAYER_CONV) {
        layer.weight = take(network, (int64_t)layer.out * layer.in * layer.kernel * layer.kernel);
        network->tensors++;
    }
    layer.offset = layer.bias ? take(network, layer.out) : -1;
    network->tensors += layer.bias;
    if (layer.norm[0]) {
        layer.gamma = take(network, layer.out);
        layer.beta = take(network, layer.out);
        layer.mean = take(network, layer.out);
        layer.variance = take(network, layer.out);
        network->tensors += TENSORS_OF_A_NORM;
    }
    network->layers[network->count] = layer;
    return network->count++;
}

static int append_stem(struct network *network)
{
    struct layer conv = {.name = "encoder.conv1",
                         .norm = "encoder.bn1",
                         .kind = LAYER_CONV,
                         .in = 1,
                         .out = 64,
                         .kernel = 7,
                         .stride = 2,
                         .input = NETWORK_IMAGE,
                         .skip = NETWORK_NONE,
                         .add = NETWORK_NONE,
                         .relu = true,
                         .scale = 1};
    struct layer pool = {.name = "encoder.maxpool",
                         .kind = LAYER_MAXPOOL,
                         .in = 64,
                         .out = 64,
                         .kernel = 3,
                         .stride = 2,
                         .skip = NETWORK_NONE,
                         .add = NETWORK_NONE,
                         .scale = 2};

    network->features[0] = append(network, conv);
    pool.input = network->features[0];
    return append(network, pool);
}

/* One convolution of bottleneck `block` of `stage`; `part` is "1", "2", "3" or "" (downsample). */
static struct layer bottleneck_conv(const struct network *network, int stage, int block,
                                    const char *part, int input, int out, int kernel, int stride)
{
    struct layer layer = {.kind = LAYER_CONV,
                          .stage = stage,
                          .out = out,
                          .kernel = kernel,
                          .stride = stride,
                          .input = input,
                          .skip = NETWORK_NONE,
                          .add = NETWORK_NONE,
                          .relu = true};
    const struct layer *from = &network->layers[input];

    layer.in = from->out;
    layer.scale = from->scale + (stride == 2);
    if (part[0]) {
        snprintf(layer.name, sizeof layer.name, "encoder.layer%d.%d.conv%s", stage, block, part);
        snprintf(layer.norm, sizeof layer.norm, "encoder.layer%d.%d.bn%s", stage, block, part);
    } else {
        snprintf(layer.name, sizeof layer.name, "encoder.layer%d.%d.downsample.0", stage, block);
        snprintf(layer.norm, sizeof layer.norm, "encoder.layer%d.%d.downsample.1", stage, block);
        layer.relu = false;
    }
    return layer;
}

static int append_bottleneck(struct network *network, int stage, int block, int input)
{
    int middle = STAGES[stage - 1].middle, out = middle * EXPANSION;
    int stride = block == 0 ? STAGES[stage - 1].stride : 1;
    int identity = input, value;
    struct layer last;

    value = append(network, bottleneck_conv(network, stage, block, "1", input, middle, 1, 1));
    value = append(network, bottleneck_conv(network, stage, block, "2", value, middle, 3, stride));
    if (block == 0)
        identity =
            append(network, bottleneck_conv(network, stage, block, "", input, out, 1, stride));
    last = bottleneck_conv(network, stage, block, "3", value, out, 1, 1);
    last.add = identity;
    return append(network, last);
}

static int append_decoder_block(struct network *network, int block, int input, int skip)
{
    const struct layer *from = &network->layers[input];
    struct layer layer = {.kind = LAYER_CONV,
                          .stage = STAGE_DECODER,
                          .out = network->widths[block],
                          .kernel = 3,
                          .stride = 1,
                          .input = input,
                          .skip = skip,
                          .add = NETWORK_NONE,
                          .upsample = true,
                          .relu = true};

    layer.in = from->out + (skip == NETWORK_NONE ? 0 : network->layers[skip].out);
    layer.scale = from->scale - 1;
    snprintf(layer.name, sizeof layer.name, "decoder.blocks.%d.conv1.0", block);
    snprintf(layer.norm, sizeof layer.norm, "decoder.blocks.%d.conv1.1", block);
    layer.input = append(network, layer);
    layer.in = layer.out;
    layer.skip = NETWORK_NONE;
    layer.upsample = false;
    snprintf(layer.name, sizeof layer.name, "decoder.blocks.%d.conv2.0", block);
    snprintf(layer.norm, sizeof layer.norm, "decoder.blocks.%d.conv2.1", block);
    return append(network, layer);
}

static void append_head(struct network *network, int input)
{
    struct layer head = {.name = "segmentation_head.0",
                         .kind = LAYER_CONV,
                         .stage = STAGE_HEAD,
                         .in = network->layers[input].out,
                         .out = network->outputs,
                         .kernel = 3,
                         .stride = 1,
                         .input = input,
                         .skip = NETWORK_NONE,
                         .add = NETWORK_NONE,
                         .bias = true};

    append(network, head);
}

static int32_t check(int outputs, const int32_t *widths)
{
    if (outputs < 1 || outputs > 255)
        return error_set(CEM_EARGUMENT, "the network has %d outputs, must be 1 to 255", outputs);
    for (int i = 0; i < NETWORK_BLOCKS; i++)
        if (widths[i] < 1 || widths[i] > 4096)
            return error_set(CEM_EARGUMENT, "decoder width %d is %d, must be 1 to 4096", i,
                             (int)widths[i]);
    return CEM_OK;
}

int32_t network_new(struct network **out, int outputs, const int32_t *widths)
{
    struct network *network = NULL;
    int value, skips[NETWORK_BLOCKS];
    int32_t status;

    if ((status = check(outputs, widths)) != CEM_OK) return status;
    network = memory_new(1, sizeof *network);
    if (!network || !(network->layers = memory_new(LAYERS, sizeof *network->layers))) {
        network_free(network);
        return CEM_EMEMORY;
    }
    network->outputs = outputs;
    for (int i = 0; i < NETWORK_BLOCKS; i++) network->widths[i] = widths[i];
    value = append_stem(network);
    for (int stage = 1; stage <= 4; stage++) {
        for (int block = 0; block < STAGES[stage - 1].blocks; block++)
            value = append_bottleneck(network, stage, block, value);
        network->features[stage] = value;
    }
    network->encoder = network->count;
    for (int i = 0; i < NETWORK_BLOCKS; i++)
        skips[i] =
            i < NETWORK_BLOCKS - 1 ? network->features[NETWORK_BLOCKS - 2 - i] : NETWORK_NONE;
    for (int i = 0; i < NETWORK_BLOCKS; i++)
        value = append_decoder_block(network, i, value, skips[i]);
    append_head(network, value);
    *out = network;
    return CEM_OK;
}

void network_free(struct network *network)
{
    if (network) memory_free(network->layers);
    memory_free(network);
}

static int tensors_of(const struct layer *layer)
{
    return (layer->kind == LAYER_CONV) + layer->bias + (layer->norm[0] ? TENSORS_OF_A_NORM : 0);
}

static void name_tensor(struct network_tensor *out, const char *owner, const char *suffix)
{
    snprintf(out->name, sizeof out->name, "%s.%s", owner, suffix);
}

/* Tensor `index` of a batch norm: weight, bias, running_mean, running_var, num_batches_tracked. */
static void norm_tensor(struct network_tensor *out, const struct layer *layer, int index)
{
    const struct {
        const char *suffix;
        int64_t place;
    } parts[TENSORS_OF_A_NORM] = {{"weight", layer->gamma},
                                  {"bias", layer->beta},
                                  {"running_mean", layer->mean},
                                  {"running_var", layer->variance},
                                  {"num_batches_tracked", -1}};

    name_tensor(out, layer->norm, parts[index].suffix);
    out->place = parts[index].place;
    out->trainable = index < 2;
    out->rank = index < 4;
    out->shape[0] = index < 4 ? layer->out : 0;
    out->count = index < 4 ? layer->out : 1;
}

static void conv_tensor(struct network_tensor *out, const struct layer *layer, int index)
{
    out->trainable = true;
    if (index == 0) {
        name_tensor(out, layer->name, "weight");
        out->place = layer->weight;
        out->rank = 4;
        out->shape[0] = layer->out;
        out->shape[1] = layer->in;
        out->shape[2] = out->shape[3] = layer->kernel;
        out->count = (int64_t)layer->out * layer->in * layer->kernel * layer->kernel;
    } else {
        name_tensor(out, layer->name, "bias");
        out->place = layer->offset;
        out->rank = 1;
        out->shape[0] = out->count = layer->out;
    }
}

void network_tensor_get(struct network_tensor *out, const struct network *network, int index)
{
    int layer = 0, of_conv;

    while (index >= tensors_of(&network->layers[layer]))
        index -= tensors_of(&network->layers[layer++]);
    memset(out, 0, sizeof *out);
    out->layer = layer;
    of_conv = 1 + network->layers[layer].bias;
    if (index < of_conv) conv_tensor(out, &network->layers[layer], index);
    else norm_tensor(out, &network->layers[layer], index - of_conv);
}

bool network_trains(const struct layer *layer, int first_stage, bool train_norms, bool norms)
{
    return layer->stage >= first_stage || (norms && train_norms);
}

int64_t network_trainable(const struct network *network, int first_stage, bool train_norms)
{
    struct network_tensor tensor;
    int64_t count = 0;

    for (int i = 0; i < network->tensors; i++) {
        network_tensor_get(&tensor, network, i);
        const struct layer *layer = &network->layers[tensor.layer];
        bool norms = tensor.place != layer->weight && tensor.place != layer->offset;
        if (tensor.trainable && network_trains(layer, first_stage, train_norms, norms))
            count += tensor.count;
    }
    return count;
}
