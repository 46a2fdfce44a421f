/* The network's table against what is known of the network from elsewhere: the state dict of
 * segmentation_models.pytorch and the parameter counts of the published method. */
#include <string.h>

#include "cem.h"
#include "check.h"
#include "error.h"
#include "memory.h"
#include "network.h"

static const int32_t WIDTHS[NETWORK_BLOCKS] = {256, 128, 64, 32, 16};
static const int32_t SLIM[NETWORK_BLOCKS] = {64, 32, 16, 16, 8};

static const struct known {
    const char *name;
    int rank;
    int64_t shape[4];
} KNOWN[] = {
#include "smp_state_dict.inc"
};
enum { KNOWN_COUNT = sizeof KNOWN / sizeof KNOWN[0] };

static const struct known *find_known(const char *name)
{
    for (int i = 0; i < KNOWN_COUNT; i++)
        if (strcmp(KNOWN[i].name, name) == 0) return &KNOWN[i];
    return NULL;
}

static int find_layer(const struct network *network, const char *name)
{
    for (int i = 0; i < network->count; i++)
        if (strcmp(network->layers[i].name, name) == 0) return i;
    return -1;
}

static void tensors_are_those_of_the_smp_state_dict(void)
{
    struct network *network;
    struct network_tensor tensor;
    int seen[KNOWN_COUNT] = {0};

    CHECK_EQ(network_new(&network, 1, WIDTHS), CEM_OK);
    CHECK_EQ(network->tensors, KNOWN_COUNT);
    for (int i = 0; i < network->tensors; i++) {
        network_tensor_get(&tensor, network, i);
        const struct known *known = find_known(tensor.name);
        CHECK(known);
        CHECK_EQ(seen[known - KNOWN]++, 0);
        CHECK_EQ(tensor.rank, known->rank);
        CHECK(memcmp(tensor.shape, known->shape, sizeof tensor.shape) == 0);
    }
    network_free(network);
}

static void the_encoder_has_318_tensors_and_they_come_first(void)
{
    struct network *network;
    struct network_tensor tensor;

    CHECK_EQ(network_new(&network, 1, WIDTHS), CEM_OK);
    for (int i = 0; i < network->tensors; i++) {
        network_tensor_get(&tensor, network, i);
        CHECK_EQ(strncmp(tensor.name, "encoder.", 8) == 0, i < 318);
        CHECK_EQ(tensor.layer < network->encoder, i < 318);
    }
    network_free(network);
}

static void tensors_cover_the_blob_without_overlap(void)
{
    struct network *network;
    struct network_tensor tensor;
    int64_t at = 0;

    CHECK_EQ(network_new(&network, 3, SLIM), CEM_OK);
    for (int i = 0; i < network->tensors; i++) {
        network_tensor_get(&tensor, network, i);
        int64_t count = 1;
        for (int k = 0; k < tensor.rank; k++) count *= tensor.shape[k];
        CHECK_EQ(tensor.count, count);
        if (tensor.place < 0) continue;
        CHECK_EQ(tensor.place, at);
        at += tensor.count;
    }
    CHECK_EQ(at, network->parameters);
    network_free(network);
}

static void trainable_parameters_are_as_published(void)
{
    static const int64_t counts[] = {32514833, 32511569, 32295761, 31076177, 23977809, 9013073};
    struct network *network;

    CHECK_EQ(network_new(&network, 1, WIDTHS), CEM_OK);
    for (int stage = 0; stage <= 5; stage++)
        CHECK_EQ(network_trainable(network, stage, false), counts[stage]);
    CHECK_EQ(network_trainable(network, 5, true), 9013073 + 53120);
    CHECK_EQ(network_trainable(network, 0, true), 32514833);
    network_free(network);
}

static void each_further_class_costs_145_parameters(void)
{
    struct network *network;

    for (int outputs = 1; outputs <= 255; outputs += 127) {
        CHECK_EQ(network_new(&network, outputs, WIDTHS), CEM_OK);
        CHECK_EQ(network_trainable(network, 0, false), 32514833 + (outputs - 1) * 145);
        network_free(network);
    }
}

static void features_and_skips_have_the_channels_and_scales_of_the_method(void)
{
    static const int channels[NETWORK_BLOCKS] = {64, 256, 512, 1024, 2048};
    static const int joined[NETWORK_BLOCKS] = {3072, 768, 384, 128, 32};
    struct network *network;
    char name[40];

    CHECK_EQ(network_new(&network, 1, WIDTHS), CEM_OK);
    for (int i = 0; i < NETWORK_BLOCKS; i++) {
        const struct layer *feature = &network->layers[network->features[i]];
        CHECK_EQ(feature->out, channels[i]);
        CHECK_EQ(feature->scale, i + 1);
        CHECK(feature->relu);
        snprintf(name, sizeof name, "decoder.blocks.%d.conv1.0", i);
        const struct layer *conv = &network->layers[find_layer(network, name)];
        CHECK_EQ(conv->in, joined[i]);
        CHECK_EQ(conv->scale, 4 - i);
        CHECK(conv->upsample);
        CHECK_EQ(conv->skip, i < 4 ? network->features[3 - i] : NETWORK_NONE);
    }
    network_free(network);
}

static void the_stride_is_on_the_3x3_convolution(void)
{
    struct network *network;

    CHECK_EQ(network_new(&network, 1, WIDTHS), CEM_OK);
    CHECK_EQ(network->layers[find_layer(network, "encoder.layer2.0.conv1")].stride, 1);
    CHECK_EQ(network->layers[find_layer(network, "encoder.layer2.0.conv2")].stride, 2);
    CHECK_EQ(network->layers[find_layer(network, "encoder.layer2.0.downsample.0")].stride, 2);
    CHECK_EQ(network->layers[find_layer(network, "encoder.layer1.0.downsample.0")].stride, 1);
    network_free(network);
}

static void the_sum_precedes_the_relu_of_each_bottleneck(void)
{
    struct network *network;

    CHECK_EQ(network_new(&network, 1, WIDTHS), CEM_OK);
    const struct layer *first = &network->layers[find_layer(network, "encoder.layer1.0.conv3")];
    const struct layer *second = &network->layers[find_layer(network, "encoder.layer1.1.conv3")];
    CHECK_EQ(first->add, find_layer(network, "encoder.layer1.0.downsample.0"));
    CHECK(!network->layers[first->add].relu);
    CHECK_EQ(second->add, find_layer(network, "encoder.layer1.0.conv3"));
    CHECK(first->relu && second->relu);
    network_free(network);
}

static void absurd_sizes_are_refused_with_the_value(void)
{
    const int32_t zero[NETWORK_BLOCKS] = {256, 128, 0, 32, 16};
    const int32_t huge[NETWORK_BLOCKS] = {256, 128, 64, 32, 4097};
    struct network *network = NULL;

    CHECK_EQ(network_new(&network, 0, WIDTHS), CEM_EARGUMENT);
    CHECK_EQ(network_new(&network, 256, WIDTHS), CEM_EARGUMENT);
    CHECK(strstr(error_line(), "256"));
    CHECK_EQ(network_new(&network, 1, zero), CEM_EARGUMENT);
    CHECK_EQ(network_new(&network, 1, huge), CEM_EARGUMENT);
    CHECK(strstr(error_line(), "4097"));
    CHECK(!network);
}

static void a_failed_allocation_is_a_status_and_leaks_nothing(void)
{
    const int64_t live = memory_live();
    struct network *network = NULL;
    int32_t status = CEM_EMEMORY;
    int k = 0;

    while (status != CEM_OK) {
        memory_fail_at(++k);
        status = network_new(&network, 1, WIDTHS);
        memory_fail_at(0);
        CHECK(status == CEM_OK || status == CEM_EMEMORY);
        CHECK(status == CEM_OK || memory_live() == live);
    }
    CHECK(k > 1);
    network_free(network);
    CHECK_EQ(memory_live(), live);
}

int main(void)
{
    RUN(tensors_are_those_of_the_smp_state_dict);
    RUN(the_encoder_has_318_tensors_and_they_come_first);
    RUN(tensors_cover_the_blob_without_overlap);
    RUN(trainable_parameters_are_as_published);
    RUN(each_further_class_costs_145_parameters);
    RUN(features_and_skips_have_the_channels_and_scales_of_the_method);
    RUN(the_stride_is_on_the_3x3_convolution);
    RUN(the_sum_precedes_the_relu_of_each_bottleneck);
    RUN(absurd_sizes_are_refused_with_the_value);
    RUN(a_failed_allocation_is_a_status_and_leaks_nothing);
    return CHECK_DONE();
}
