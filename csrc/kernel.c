/* Which kernel runs: a static table, in the order of preference. */
#include "kernel.h"

#include <stddef.h>

#include "cem.h"
#include "error.h"

/* Each with what it has to agree with. */
static const struct {
    const struct kernel *kernel, *peer;
} TABLE[] = {{&kernel_winograd, &kernel_conv_onednn},
             {&kernel_winograd_weights, &kernel_conv_onednn},
             {&kernel_doubling, &kernel_upconv_onednn},
             {&kernel_doubling_data, &kernel_upconv_onednn},
             {&kernel_doubling_weights, &kernel_upconv_onednn},
             {&kernel_conv_onednn, NULL},
             {&kernel_upconv_onednn, NULL},
             {&kernel_maxpool, NULL},
             {&kernel_norm, NULL},
             {&kernel_add, NULL}};

enum { STRIP_ROWS = 8, MOST_STRIPS = 8, SAMPLES_ENOUGH = 4 };

int32_t kernel_choose(const struct kernel **out, const struct shape *shape, int slot)
{
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        bool agrees = true;
        int32_t status = CEM_OK;
        if (!TABLE[i].kernel->supports(shape, slot)) continue;
        if (TABLE[i].peer)
            status = kernel_prove(&agrees, TABLE[i].kernel, TABLE[i].peer, shape, slot);
        if (status != CEM_OK) return status;
        if (!agrees) continue;
        *out = TABLE[i].kernel;
        return CEM_OK;
    }
    return error_set(CEM_EBACKEND, "there is no kernel for an op of kind %d", shape->kind);
}

int64_t kernel_strips(const struct shape *shape, int64_t rows)
{
    int64_t strips = rows / STRIP_ROWS;

    if (strips < 1 || shape->samples >= SAMPLES_ENOUGH) return 1;
    return strips < MOST_STRIPS ? strips : MOST_STRIPS;
}

void kernel_strip(int64_t *first, int64_t *last, int64_t rows, int64_t strips, int64_t strip)
{
    int64_t height = (rows + strips - 1) / strips;

    *first = strip * height < rows ? strip * height : rows;
    *last = *first + height < rows ? *first + height : rows;
}
