/* out += in. */
#include <stddef.h>

#include "cem.h"
#include "floats.h"
#include "kernel.h"
#include "memory.h"

enum { PARTS = 8 };

static bool supports(const struct shape *shape, int slot)
{
    return shape->kind == OP_ADD && slot == SLOT_FORWARD;
}

static int32_t add_plan(struct plan **out, const struct shape *shape, int slot)
{
    struct plan *plan = memory_new(1, sizeof *plan);

    if (!plan) return CEM_EMEMORY;
    *plan = (struct plan){.kernel = &kernel_add, .shape = *shape, .slot = slot, .phases = 1};
    plan->parts[0] = PARTS;
    *out = plan;
    return CEM_OK;
}

static void add_free(struct plan *plan)
{
    memory_free(plan);
}

static int32_t add_run(const struct plan *plan, const struct operands *o, int phase, int64_t part)
{
    const struct shape *s = &plan->shape;
    int64_t floats = s->samples * s->in_h * s->in_w * s->in;
    int64_t first = floats * part / PARTS, last = floats * (part + 1) / PARTS;

    (void)phase;
    floats_add(o->out + first, o->in + first, last - first);
    return CEM_OK;
}

const struct kernel kernel_add = {"add", supports, add_plan, add_free, NULL, add_run};
