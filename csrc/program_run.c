/* Runs programs, and packs their weights. */
#include <stddef.h>

#include "error.h"
#include "memory.h"
#include "pool.h"
#include "program.h"

/* ---- packed weights ---- */

struct packing {
    const struct program *program;
    const struct parameters *parameters;
    char *block;
    bool all; /* or only what trains */
};

static int32_t pack_one(void *context, int64_t step, int64_t part, int worker)
{
    const struct packing *packing = context;
    const struct op *op = &packing->program->ops[part];

    (void)step, (void)worker;
    if (op->shape.kind != OP_CONV && op->shape.kind != OP_UPCONV) return CEM_OK;
    if (!packing->all && !op->trains) return CEM_OK;
    return op_pack(op, packing->block, packing->parameters, packing->program->network);
}

int32_t packed_renew(struct packed *packed, const struct program *program,
                     const struct parameters *parameters, int threads)
{
    struct packing packing = {program, parameters, packed->block, packed->version == 0};
    int32_t status = pool_for(threads, program->op_count, pack_one, &packing);

    if (status != CEM_OK) return status;
    packed->version = parameters->version;
    packed->encoder = parameters->encoder;
    return status;
}

int32_t packed_new(struct packed **out, const struct program *program,
                   const struct parameters *parameters, int threads)
{
    struct packed *packed = memory_new(1, sizeof *packed);
    int32_t status = CEM_EMEMORY;

    if (!packed || !(packed->block = memory_raw(program->packed, 1))) goto done;
    atomic_store(&packed->references, 1);
    if ((status = packed_renew(packed, program, parameters, threads)) != CEM_OK) goto done;
    *out = packed;
    packed = NULL;
done:
    packed_free(packed);
    return status;
}

struct packed *packed_share(struct packed *packed)
{
    atomic_fetch_add(&packed->references, 1);
    return packed;
}

void packed_free(struct packed *packed)
{
    if (!packed || atomic_fetch_sub(&packed->references, 1) > 1) return;
    memory_free(packed->block);
    memory_free(packed);
}

/* ---- frames ---- */

int32_t frame_new(struct frame *out, const struct program *program, int workers)
{
    out->arena = memory_raw(program->arena, 1);
    out->workspace = memory_raw(program->workspace, workers);
    if (out->arena && out->workspace) return CEM_OK;
    frame_free(out);
    return CEM_EMEMORY;
}

void frame_free(struct frame *frame)
{
    memory_free(frame->arena);
    memory_free(frame->workspace);
    frame->arena = frame->workspace = NULL;
}

float *frame_value(const struct frame *frame, const struct program *program, int value)
{
    return value == OP_NONE ? NULL : (float *)(frame->arena + program->values[value].place);
}

/* ---- running ---- */

static struct operands operands_of(const struct program_run *run, const struct op *op, int slot,
                                   int worker)
{
    const struct program *p = run->program;
    const struct frame *f = run->frame;
    const struct layer *layer = &p->network->layers[op->layer];
    struct operands o = {.in = frame_value(f, p, op->in),
                         .out = frame_value(f, p, op->out),
                         .add = frame_value(f, p, op->add),
                         .in_gradient = frame_value(f, p, op->in_gradient),
                         .out_gradient = frame_value(f, p, op->out_gradient),
                         .add_gradient = frame_value(f, p, op->add_gradient),
                         .saved = frame_value(f, p, op->saved),
                         .scratch = frame_value(f, p, op->scratch[slot]),
                         .workspace = f->workspace + worker * p->workspace,
                         .packed = run->packed->block + op->packed[slot]};

    if (op->shape.bias) o.bias = (const float *)(run->packed->block + op->bias);
    if (slot == SLOT_WEIGHTS) {
        o.weight_gradient = run->gradient + (op->weight - run->origin);
        if (layer->bias) o.bias_gradient = run->gradient + (layer->offset - run->origin);
    }
    if (op->shape.kind == OP_NORM) {
        o.gamma = run->parameters->values + layer->gamma;
        o.beta = run->parameters->values + layer->beta;
        o.mean = run->batch + (layer->mean - run->origin);
        o.variance = run->batch + (layer->variance - run->origin);
        if (op->trains) {
            o.gamma_gradient = run->gradient + (layer->gamma - run->origin);
            o.beta_gradient = run->gradient + (layer->beta - run->origin);
        }
    }
    return o;
}

static int64_t phase_parts(void *context, int64_t step)
{
    const struct program_run *run = context;
    const struct phase *phase = &run->program->phases[run->first + step];

    return run->program->ops[phase->op].plans[phase->slot]->parts[phase->number];
}

static int32_t run_part(void *context, int64_t step, int64_t part, int worker)
{
    const struct program_run *run = context;
    const struct phase *phase = &run->program->phases[run->first + step];
    const struct op *op = &run->program->ops[phase->op];
    const struct plan *plan = op->plans[phase->slot];
    struct operands operands = operands_of(run, op, phase->slot, worker);

    return plan->kernel->run(plan, &operands, phase->number, part);
}

int32_t program_run(const struct program_run *run, int threads, const _Atomic int32_t *cancel)
{
    struct pool_job job = {.steps = run->last - run->first,
                           .parts = phase_parts,
                           .run = run_part,
                           .context = (void *)(uintptr_t)run,
                           .cancel = cancel};

    return pool_run(&job, threads);
}

int32_t program_run_alone(const struct program_run *run, const _Atomic int32_t *cancel)
{
    void *context = (void *)(uintptr_t)run;
    int32_t status = CEM_OK;

    for (int step = 0; step < run->last - run->first; step++) {
        if (cancel && atomic_load(cancel)) return CEM_ECANCELLED;
        int64_t parts = phase_parts(context, step);
        for (int64_t part = 0; part < parts; part++)
            if ((status = run_part(context, step, part, 0)) != CEM_OK) return status;
    }
    return status;
}
