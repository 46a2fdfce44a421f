/* Which kernel runs: a static table, in the order of preference. */
#include "kernel.h"

#include <stddef.h>

static const struct kernel *const TABLE[] = {&kernel_conv_onednn, &kernel_upconv_onednn,
                                             &kernel_maxpool, &kernel_norm, &kernel_add};

enum { STRIP_ROWS = 8, MOST_STRIPS = 8, SAMPLES_ENOUGH = 4 };

const struct kernel *kernel_choose(const struct shape *shape, int slot)
{
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++)
        if (TABLE[i]->supports(shape, slot)) return TABLE[i];
    return NULL;
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
