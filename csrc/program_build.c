/* Builds a program: walks the network's table forward, and for training back again; lets every op
 * choose and plan its kernels; gives the values their places in the arena. */
#include <limits.h>
#include <string.h>

#include "error.h"
#include "memory.h"
#include "pool.h"
#include "program.h"

enum { MOST_OPS = 512, MOST_VALUES = 2048, MOST_PHASES = 4096, FOREVER = INT_MAX };

/* A program while it is being built. */
struct builder {
    struct program *program;
    const struct network *network;
    bool training;
    int begin, end; /* layers */
    struct step {
        int op, slot;
    } steps[MOST_OPS];
    int step_count;
    int value[128];      /* of each layer's result */
    int conv_value[128]; /* training: of each layer's convolution, before the norm */
    int conv_op[128], skip_op[128], norm_op[128];
    int gradient[128]; /* of each layer's result */
    bool wanted[128];  /* training: something at or before the layer trains */
};

static bool trains(const struct builder *b, int layer, bool norms)
{
    const struct program_options *o = &b->program->options;

    return network_trains(&b->network->layers[layer], o->first_stage, o->train_norms, norms);
}

static int new_value(struct builder *b, int64_t bytes)
{
    struct program *p = b->program;

    p->values[p->value_count] = (struct value){.bytes = bytes, .first = INT_MAX, .last = -1};
    return p->value_count++;
}

static int new_map(struct builder *b, int channels, int scale)
{
    const struct program_options *o = &b->program->options;

    return new_value(b, o->samples * (o->height >> scale) * (o->width >> scale) * channels *
                            (int64_t)sizeof(float));
}

/* A value is alive in step `step`. */
static void touch(struct builder *b, int value, int step)
{
    struct value *v;

    if (value == OP_NONE) return;
    v = &b->program->values[value];
    if (step < v->first) v->first = step;
    if (step > v->last) v->last = step;
}

static struct op *append_op(struct builder *b, int kind, int layer, int in, int out)
{
    struct program *p = b->program;
    const struct program_options *o = &p->options;
    const struct layer *l = &b->network->layers[layer];
    struct op *op = &p->ops[p->op_count++];
    int up = kind == OP_UPCONV, wide = l->stride == 2;

    memset(op, 0, sizeof *op);
    op->layer = layer;
    op->in = in;
    op->out = out;
    op->add = op->in_gradient = op->out_gradient = op->add_gradient = op->saved = OP_NONE;
    for (int slot = 0; slot < SLOTS; slot++) op->scratch[slot] = OP_NONE;
    op->weight = l->weight;
    op->shape = (struct shape){.kind = kind,
                               .samples = o->samples,
                               .in_h = (o->height >> l->scale << wide) >> up,
                               .in_w = (o->width >> l->scale << wide) >> up,
                               .in = l->in,
                               .out_h = o->height >> l->scale,
                               .out_w = o->width >> l->scale,
                               .out = l->out,
                               .kernel = l->kernel,
                               .stride = l->stride,
                               .row = (int64_t)l->in * l->kernel * l->kernel};
    return op;
}

static void append_step(struct builder *b, struct op *op, int slot)
{
    int step = b->step_count++;

    op->used[slot] = true;
    b->steps[step] = (struct step){(int)(op - b->program->ops), slot};
    touch(b, op->in, step);
    touch(b, op->out, step);
    if (slot == SLOT_FORWARD) {
        touch(b, op->add, step);
        return;
    }
    touch(b, op->in_gradient, step);
    touch(b, op->out_gradient, step);
    touch(b, op->add_gradient, step);
}

/* ---- forward ---- */

static int layer_value(const struct builder *b, int layer)
{
    return layer == NETWORK_IMAGE ? b->program->image : b->value[layer];
}

/* The convolution over the channels that are joined behind the doubled input's. */
static struct op *append_skip(struct builder *b, int layer, int up_channels, int out)
{
    const struct layer *l = &b->network->layers[layer];
    struct op *op = append_op(b, OP_CONV, layer, layer_value(b, l->skip), out);

    op->shape.in = l->in - up_channels;
    op->weight += (int64_t)up_channels * l->kernel * l->kernel;
    op->shape.sum = true;
    return op;
}

/* The convolution of a layer into `out`: one op, or two where a skip is joined. */
static struct op *append_conv(struct builder *b, int layer, int out)
{
    const struct layer *l = &b->network->layers[layer];
    int kind = l->upsample ? OP_UPCONV : OP_CONV;
    struct op *op = append_op(b, kind, layer, layer_value(b, l->input), out);

    b->conv_op[layer] = (int)(op - b->program->ops);
    if (l->skip == NETWORK_NONE) return op;
    op->shape.in = b->network->layers[l->input].out;
    op->folded = !b->training;
    append_step(b, op, SLOT_FORWARD);
    op = append_skip(b, layer, (int)op->shape.in, out);
    b->skip_op[layer] = (int)(op - b->program->ops);
    return op;
}

static void append_pool(struct builder *b, int layer)
{
    const struct layer *l = &b->network->layers[layer];
    struct op *op;

    b->value[layer] = new_map(b, l->out, l->scale);
    op = append_op(b, OP_MAXPOOL, layer, layer_value(b, l->input), b->value[layer]);
    b->conv_op[layer] = (int)(op - b->program->ops);
    op->shape.keep = b->training && b->wanted[layer];
    append_step(b, op, SLOT_FORWARD);
}

/* Inference: the norm is folded, and the residual sum happens in the identity's own place, which
 * nobody reads any more. */
static void append_folded(struct builder *b, int layer)
{
    const struct layer *l = &b->network->layers[layer];
    int out = l->add == NETWORK_NONE ? new_map(b, l->out, l->scale) : b->value[l->add];
    struct op *op = append_conv(b, layer, out);

    b->value[layer] = out;
    op->folded = true;
    op->shape.bias = true;
    op->shape.relu = l->relu;
    op->shape.sum |= l->add != NETWORK_NONE;
    append_step(b, op, SLOT_FORWARD);
}

static void append_trained(struct builder *b, int layer)
{
    const struct layer *l = &b->network->layers[layer];
    struct op *op;

    b->conv_value[layer] = new_map(b, l->out, l->scale);
    op = append_conv(b, layer, b->conv_value[layer]);
    op->shape.bias = l->bias;
    append_step(b, op, SLOT_FORWARD);
    b->value[layer] = b->conv_value[layer];
    if (!l->norm[0]) return;
    b->value[layer] = new_map(b, l->out, l->scale);
    op = append_op(b, OP_NORM, layer, b->conv_value[layer], b->value[layer]);
    b->norm_op[layer] = (int)(op - b->program->ops);
    op->shape.in_h = op->shape.out_h;
    op->shape.in_w = op->shape.out_w;
    op->shape.in = op->shape.out;
    op->shape.relu = l->relu;
    op->shape.sum = l->add != NETWORK_NONE;
    op->add = l->add == NETWORK_NONE ? OP_NONE : b->value[l->add];
    op->saved = new_value(b, 0);
    append_step(b, op, SLOT_FORWARD);
}

static void build_forward(struct builder *b)
{
    for (int layer = b->begin; layer < b->end; layer++)
        if (b->network->layers[layer].kind == LAYER_MAXPOOL) append_pool(b, layer);
        else if (b->training) append_trained(b, layer);
        else append_folded(b, layer);
}

/* ---- backward ---- */

static bool is_wanted(const struct builder *b, int layer)
{
    return layer >= b->begin && b->wanted[layer];
}

static void mark_wanted(struct builder *b)
{
    for (int layer = b->begin; layer < b->end; layer++) {
        const struct layer *l = &b->network->layers[layer];
        b->wanted[layer] = (l->kind == LAYER_CONV &&
                            (trains(b, layer, false) || (l->norm[0] && trains(b, layer, true)))) ||
                           is_wanted(b, l->input) || is_wanted(b, l->skip) || is_wanted(b, l->add);
    }
}

/* Adds the gradient of op's data to that of layer `to`: written where it is the first, else written
 * aside and added. */
static void append_data(struct builder *b, int op_number, int out_gradient, int to)
{
    const struct layer *l = &b->network->layers[to];
    struct op *op = &b->program->ops[op_number], *sum;
    bool first = b->gradient[to] == OP_NONE;

    op->in_gradient = new_map(b, l->out, l->scale);
    op->out_gradient = out_gradient;
    append_step(b, op, SLOT_DATA);
    if (first) {
        b->gradient[to] = op->in_gradient;
        return;
    }
    sum = append_op(b, OP_ADD, to, op->in_gradient, b->gradient[to]);
    sum->shape.in_h = sum->shape.out_h;
    sum->shape.in_w = sum->shape.out_w;
    sum->shape.in = sum->shape.out;
    append_step(b, sum, SLOT_FORWARD);
}

static void append_weights(struct builder *b, int op_number, int out_gradient)
{
    struct op *op = &b->program->ops[op_number];

    op->out_gradient = out_gradient;
    op->trains = true;
    append_step(b, op, SLOT_WEIGHTS);
}

/* The norm's gradient takes the place of its result's.  Returns false when nothing before the norm
 * wants a gradient. */
static bool append_norm_gradient(struct builder *b, int layer)
{
    const struct layer *l = &b->network->layers[layer];
    struct op *op = &b->program->ops[b->norm_op[layer]];
    bool before = trains(b, layer, false) || is_wanted(b, l->input) || is_wanted(b, l->skip);

    op->out_gradient = b->gradient[layer];
    op->in_gradient = before ? b->gradient[layer] : OP_NONE;
    op->trains = trains(b, layer, true);
    if (is_wanted(b, l->add)) {
        op->shape.add_more = b->gradient[l->add] != OP_NONE;
        if (!op->shape.add_more) b->gradient[l->add] = new_map(b, l->out, l->scale);
        op->add_gradient = b->gradient[l->add];
    }
    append_step(b, op, SLOT_DATA);
    return before;
}

static void append_gradients(struct builder *b, int layer)
{
    const struct layer *l = &b->network->layers[layer];
    int gradient = b->gradient[layer];

    if (l->norm[0] && !append_norm_gradient(b, layer)) return;
    if (l->kind == LAYER_CONV && trains(b, layer, false)) {
        append_weights(b, b->conv_op[layer], gradient);
        if (l->skip != NETWORK_NONE) append_weights(b, b->skip_op[layer], gradient);
    }
    if (is_wanted(b, l->input)) append_data(b, b->conv_op[layer], gradient, l->input);
    if (is_wanted(b, l->skip)) append_data(b, b->skip_op[layer], gradient, l->skip);
}

static void build_backward(struct builder *b)
{
    struct program *p = b->program;
    int head = b->end - 1;

    for (int layer = 0; layer < b->end; layer++) b->gradient[layer] = OP_NONE;
    b->gradient[head] = new_map(b, b->network->outputs, 0);
    p->logits_gradient = b->gradient[head];
    touch(b, p->logits_gradient, b->step_count - 1);
    touch(b, p->logits, b->step_count);
    for (int layer = head; layer >= b->begin; layer--)
        if (b->wanted[layer]) append_gradients(b, layer);
}

/* ---- sizes ---- */

static int32_t plan_one(void *context, int64_t step, int64_t part, int worker)
{
    struct program *p = context;

    (void)step, (void)worker;
    return op_plan(&p->ops[part]);
}

static int64_t take(int64_t *total, int64_t bytes)
{
    int64_t place = *total;

    *total += (bytes + 63) / 64 * 64;
    return place;
}

static void size_op(struct builder *b, struct op *op)
{
    struct program *p = b->program;

    for (int slot = 0; slot < SLOTS; slot++) {
        const struct plan *plan = op->plans[slot];
        if (!plan) continue;
        op->packed[slot] = take(&p->packed, plan->packed);
        if (plan->workspace > p->workspace) p->workspace = (plan->workspace + 63) / 64 * 64;
        if (plan->scratch) op->scratch[slot] = new_value(b, plan->scratch);
        if (slot == SLOT_FORWARD && plan->saved) {
            if (op->saved == OP_NONE) op->saved = new_value(b, 0);
            p->values[op->saved].bytes = plan->saved;
        }
    }
    if (op->shape.bias) op->bias = take(&p->packed, op->shape.out * (int64_t)sizeof(float));
}

static void size_steps(struct builder *b)
{
    struct program *p = b->program;

    for (int step = 0; step < b->step_count; step++) {
        const struct op *op = &p->ops[b->steps[step].op];
        int slot = b->steps[step].slot;
        touch(b, op->saved, step);
        touch(b, op->scratch[slot], step);
        for (int number = 0; number < op->plans[slot]->phases; number++)
            p->phases[p->phase_count++] = (struct phase){b->steps[step].op, slot, number};
    }
}

static int count_phases(const struct builder *b, int steps)
{
    int phases = 0;

    for (int step = 0; step < steps; step++)
        phases += b->program->ops[b->steps[step].op].plans[b->steps[step].slot]->phases;
    return phases;
}

static int32_t place_values(struct builder *b, int forward_steps, int threads)
{
    struct program *p = b->program;
    int32_t status = pool_for(threads, p->op_count, plan_one, p);

    if (status != CEM_OK) return status;
    for (int op = 0; op < p->op_count; op++) size_op(b, &p->ops[op]);
    size_steps(b);
    p->forward_phases = count_phases(b, forward_steps);
    for (int i = 0; i < p->value_count; i++)
        if (p->values[i].last < 0) p->values[i].first = p->values[i].last = 0;
    p->arena = arena_place(p->values, p->value_count);
    return p->arena < 0 ? CEM_EMEMORY : CEM_OK;
}

/* ---- the whole ---- */

/* Values that come from outside live from the start, those that go out to the end. */
static void open_inputs(struct builder *b)
{
    struct program *p = b->program;
    const struct network *n = b->network;

    if (b->begin == 0) {
        p->image = new_map(b, 1, 0);
        touch(b, p->image, 0);
        return;
    }
    for (int i = 0; i < NETWORK_BLOCKS; i++) {
        const struct layer *l = &n->layers[n->features[i]];
        p->features[i] = b->value[n->features[i]] = new_map(b, l->out, l->scale);
        touch(b, p->features[i], 0);
    }
}

static void keep_outputs(struct builder *b)
{
    struct program *p = b->program;

    if (b->end == b->network->count) {
        p->logits = b->value[b->end - 1];
        if (p->options.kind != PROGRAM_TRAIN) touch(b, p->logits, FOREVER);
    }
    for (int i = 0; p->options.kind == PROGRAM_ENCODE && i < NETWORK_BLOCKS; i++) {
        p->features[i] = b->value[b->network->features[i]];
        touch(b, p->features[i], FOREVER);
    }
}

static void choose_layers(struct builder *b)
{
    const struct program_options *o = &b->program->options;
    bool decoder_only = o->kind == PROGRAM_DECODE || (o->kind == PROGRAM_TRAIN && o->from_features);
    bool encoder_only = o->kind == PROGRAM_ENCODE || o->kind == PROGRAM_STATISTICS;

    b->begin = decoder_only ? b->network->encoder : 0;
    b->end = encoder_only ? b->network->encoder : b->network->count;
    b->training = o->kind == PROGRAM_TRAIN || o->kind == PROGRAM_STATISTICS;
}

static int32_t build(struct builder *b, int threads)
{
    struct program *p = b->program;
    int forward_steps;

    choose_layers(b);
    if (p->options.kind == PROGRAM_TRAIN) mark_wanted(b);
    open_inputs(b);
    build_forward(b);
    keep_outputs(b);
    forward_steps = b->step_count;
    if (p->options.kind == PROGRAM_TRAIN) build_backward(b);
    return place_values(b, forward_steps, threads);
}

int32_t program_new(struct program **out, const struct network *network,
                    const struct program_options *options, int threads)
{
    struct program *program = memory_new(1, sizeof *program);
    struct builder *builder = memory_new(1, sizeof *builder);
    int32_t status = CEM_EMEMORY;

    if (!program || !builder) goto done;
    program->network = network;
    program->options = *options;
    program->image = program->logits = program->logits_gradient = OP_NONE;
    program->ops = memory_new(MOST_OPS, sizeof *program->ops);
    program->values = memory_new(MOST_VALUES, sizeof *program->values);
    program->phases = memory_new(MOST_PHASES, sizeof *program->phases);
    if (!program->ops || !program->values || !program->phases) goto done;
    builder->program = program;
    builder->network = network;
    if ((status = build(builder, threads)) != CEM_OK) goto done;
    *out = program;
    program = NULL;
done:
    memory_free(builder);
    program_free(program);
    return status;
}

void program_free(struct program *program)
{
    if (!program) return;
    for (int op = 0; program->ops && op < program->op_count; op++) op_free(&program->ops[op]);
    memory_free(program->ops);
    memory_free(program->values);
    memory_free(program->phases);
    memory_free(program);
}
