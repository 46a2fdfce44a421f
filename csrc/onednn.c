/* oneDNN's v3 C API.  Primitives are thread-safe to run; streams are one a thread; scratch memory
 * is the caller's, so that nothing is allocated between ops. */
#include "onednn.h"

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "memory.h"

struct onednn_conv {
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t in, weights, bias, out, plain, workspace; /* weights: as packed */
    struct onednn_shape shape;
    const char *name;
};

static dnnl_engine_t engine;
static dnnl_status_t engine_status;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local dnnl_stream_t stream;

static void make_engine(void)
{
    engine_status = dnnl_engine_create(&engine, dnnl_cpu, 0);
}

static int32_t refused(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success) return CEM_OK;
    if (status == dnnl_out_of_memory)
        return error_set(CEM_EMEMORY, "not enough memory for oneDNN; close other programs or use "
                                      "smaller tiles, crops or batches");
    return error_set(CEM_EBACKEND, "oneDNN refused %s with status %d", what, (int)status);
}

static int32_t ready(void)
{
    pthread_once(&once, make_engine);
    if (engine_status != dnnl_success) return refused(engine_status, "to start");
    if (stream) return CEM_OK;
    return refused(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "a stream");
}

static dnnl_status_t describe(dnnl_memory_desc_t *out, int64_t a, int64_t b, int64_t c, int64_t d,
                              dnnl_format_tag_t tag)
{
    dnnl_dims_t dims = {a, b, c, d};

    return dnnl_memory_desc_create_with_tag(out, 4, dims, dnnl_f32, tag);
}

static int32_t describe_operands(struct onednn_conv *conv, const struct onednn_conv *like)
{
    const struct onednn_shape *s = &conv->shape;
    dnnl_dims_t outs = {s->out};
    dnnl_status_t status;

    status = describe(&conv->in, s->n, s->in, s->in_h, s->in_w, dnnl_nhwc);
    if (status == dnnl_success)
        status = describe(&conv->out, s->n, s->out, s->out_h, s->out_w, dnnl_nhwc);
    if (status == dnnl_success)
        status = describe(&conv->plain, s->out, s->in, s->kernel, s->kernel, dnnl_oihw);
    if (status == dnnl_success)
        status = like ? dnnl_memory_desc_clone(&conv->weights, like->weights)
                      : describe(&conv->weights, s->out, s->in, s->kernel, s->kernel,
                                 dnnl_format_tag_any);
    if (status == dnnl_success && s->bias)
        status = dnnl_memory_desc_create_with_tag(&conv->bias, 1, outs, dnnl_f32, dnnl_a);
    return refused(status, "a tensor");
}

static dnnl_status_t describe_attributes(dnnl_primitive_attr_t *out, const struct onednn_shape *s)
{
    dnnl_post_ops_t after = NULL;
    dnnl_status_t status;

    if ((status = dnnl_primitive_attr_create(out)) != dnnl_success) return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) status = dnnl_post_ops_create(&after);
    if (status == dnnl_success && s->sum)
        status = dnnl_post_ops_append_sum(after, 1, 0, dnnl_data_type_undef);
    if (status == dnnl_success && s->relu)
        status = dnnl_post_ops_append_eltwise(after, dnnl_eltwise_relu, 0, 0);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*out, after);
    dnnl_post_ops_destroy(after);
    return status;
}

struct window {
    dnnl_dims_t strides, dilates, before, after;
};

static dnnl_status_t describe_forward(dnnl_primitive_desc_t *out, const struct onednn_conv *c,
                                      const struct window *w, dnnl_primitive_attr_t attributes)
{
    dnnl_prop_kind_t kind =
        c->shape.pass == ONEDNN_FORWARD ? dnnl_forward_inference : dnnl_forward_training;

    return (c->shape.transposed
                ? dnnl_deconvolution_forward_primitive_desc_create(
                      out, engine, kind, dnnl_deconvolution_direct, c->in, c->weights, c->bias,
                      c->out, w->strides, w->dilates, w->before, w->after, attributes)
                : dnnl_convolution_forward_primitive_desc_create(
                      out, engine, kind, dnnl_convolution_direct, c->in, c->weights, c->bias,
                      c->out, w->strides, w->dilates, w->before, w->after, attributes));
}

static dnnl_status_t describe_data(dnnl_primitive_desc_t *out, const struct onednn_conv *c,
                                   const struct window *w, dnnl_primitive_desc_t hint,
                                   dnnl_primitive_attr_t attributes)
{
    return (c->shape.transposed
                ? dnnl_deconvolution_backward_data_primitive_desc_create(
                      out, engine, dnnl_deconvolution_direct, c->in, c->weights, c->out, w->strides,
                      w->dilates, w->before, w->after, hint, attributes)
                : dnnl_convolution_backward_data_primitive_desc_create(
                      out, engine, dnnl_convolution_direct, c->in, c->weights, c->out, w->strides,
                      w->dilates, w->before, w->after, hint, attributes));
}

static dnnl_status_t describe_weights(dnnl_primitive_desc_t *out, const struct onednn_conv *c,
                                      const struct window *w, dnnl_primitive_desc_t hint,
                                      dnnl_primitive_attr_t attributes)
{
    return (c->shape.transposed
                ? dnnl_deconvolution_backward_weights_primitive_desc_create(
                      out, engine, dnnl_deconvolution_direct, c->in, c->weights, NULL, c->out,
                      w->strides, w->dilates, w->before, w->after, hint, attributes)
                : dnnl_convolution_backward_weights_primitive_desc_create(
                      out, engine, dnnl_convolution_direct, c->in, c->weights, NULL, c->out,
                      w->strides, w->dilates, w->before, w->after, hint, attributes));
}

/* The gradients of oneDNN want the forward description as a hint. */
static int32_t describe_pass(struct onednn_conv *c)
{
    const struct onednn_shape *s = &c->shape;
    struct window w = {.strides = {s->stride, s->stride},
                       .before = {s->top, s->left},
                       .after = {s->bottom, s->right}};
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t status = describe_attributes(&attributes, s);

    if (status == dnnl_success && s->pass == ONEDNN_FORWARD)
        status = describe_forward(&c->description, c, &w, attributes);
    else if (status == dnnl_success) status = describe_forward(&hint, c, &w, attributes);
    if (status == dnnl_success && s->pass == ONEDNN_DATA)
        status = describe_data(&c->description, c, &w, hint, attributes);
    if (status == dnnl_success && s->pass == ONEDNN_WEIGHTS)
        status = describe_weights(&c->description, c, &w, hint, attributes);
    dnnl_primitive_desc_destroy(hint);
    dnnl_primitive_attr_destroy(attributes);
    return refused(status, "a convolution");
}

/* Replaces "any" by the layout oneDNN chose. */
static int32_t learn_layouts(struct onednn_conv *c)
{
    dnnl_query_t query =
        c->shape.pass == ONEDNN_WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
    dnnl_status_t status;

    dnnl_memory_desc_destroy(c->weights);
    c->weights = NULL;
    status =
        dnnl_memory_desc_clone(&c->weights, dnnl_primitive_desc_query_md(c->description, query, 0));
    if (status == dnnl_success)
        status = dnnl_memory_desc_clone(
            &c->workspace,
            dnnl_primitive_desc_query_md(c->description, dnnl_query_scratchpad_md, 0));
    if (status == dnnl_success)
        status = dnnl_primitive_desc_query(c->description, dnnl_query_impl_info_str, 0, &c->name);
    return refused(status, "to describe a convolution");
}

static int32_t refuse_reference(const struct onednn_conv *c)
{
    const struct onednn_shape *s = &c->shape;

    if (!strstr(c->name, "ref")) return CEM_OK;
    return error_set(
        CEM_EBACKEND,
        "oneDNN has no fast convolution for %lld to %lld channels, kernel %lld, stride "
        "%lld, image %lld x %lld on this CPU (%s)",
        (long long)s->in, (long long)s->out, (long long)s->kernel, (long long)s->stride,
        (long long)s->in_h, (long long)s->in_w, c->name);
}

int32_t onednn_conv_new(struct onednn_conv **out, const struct onednn_shape *shape,
                        const struct onednn_conv *like)
{
    struct onednn_conv *conv;
    int32_t status;

    if ((status = ready()) != CEM_OK) return status;
    if (!(conv = memory_new(1, sizeof *conv))) return CEM_EMEMORY;
    conv->shape = *shape;
    if ((status = describe_operands(conv, like)) != CEM_OK) goto done;
    if ((status = describe_pass(conv)) != CEM_OK) goto done;
    if ((status = learn_layouts(conv)) != CEM_OK) goto done;
    if ((status = refuse_reference(conv)) != CEM_OK) goto done;
    status = refused(dnnl_primitive_create(&conv->primitive, conv->description), "a convolution");
    if (status != CEM_OK) goto done;
    *out = conv;
    conv = NULL;
done:
    onednn_conv_free(conv);
    return status;
}

void onednn_conv_free(struct onednn_conv *conv)
{
    if (!conv) return;
    dnnl_primitive_destroy(conv->primitive);
    dnnl_primitive_desc_destroy(conv->description);
    dnnl_memory_desc_destroy(conv->in);
    dnnl_memory_desc_destroy(conv->weights);
    dnnl_memory_desc_destroy(conv->bias);
    dnnl_memory_desc_destroy(conv->out);
    dnnl_memory_desc_destroy(conv->plain);
    dnnl_memory_desc_destroy(conv->workspace);
    memory_free(conv);
}

const char *onednn_conv_name(const struct onednn_conv *conv)
{
    return conv->name;
}

int64_t onednn_conv_packed(const struct onednn_conv *conv)
{
    return (int64_t)dnnl_memory_desc_get_size(conv->weights);
}

int64_t onednn_conv_workspace(const struct onednn_conv *conv)
{
    return (int64_t)dnnl_memory_desc_get_size(conv->workspace);
}

static int32_t reorder(const_dnnl_memory_desc_t to, void *destination,
                       const_dnnl_memory_desc_t from, const void *source)
{
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t input = NULL, output = NULL;
    dnnl_status_t status = dnnl_memory_create(&input, from, engine, (void *)(uintptr_t)source);

    if (status == dnnl_success) status = dnnl_memory_create(&output, to, engine, destination);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&description, from, engine, to, engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(&primitive, description);
    if (status == dnnl_success) {
        const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, input}, {DNNL_ARG_TO, output}};
        status = dnnl_primitive_execute(primitive, stream, 2, arguments);
    }
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(description);
    dnnl_memory_destroy(output);
    dnnl_memory_destroy(input);
    return refused(status, "to reorder weights");
}

int32_t onednn_conv_pack(const struct onednn_conv *conv, void *packed, const float *plain)
{
    int32_t status = ready();

    return status != CEM_OK ? status : reorder(conv->weights, packed, conv->plain, plain);
}

int32_t onednn_conv_unpack(const struct onednn_conv *conv, float *plain, const void *packed)
{
    int32_t status = ready();

    return status != CEM_OK ? status : reorder(conv->plain, plain, conv->weights, packed);
}

int32_t onednn_conv_run(const struct onednn_conv *conv, float *in, void *weights, const float *bias,
                        float *out, void *workspace)
{
    int pass = conv->shape.pass;
    const struct {
        int32_t name;
        const_dnnl_memory_desc_t layout;
        void *data;
    } operands[] = {
        {pass == ONEDNN_DATA ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, conv->in, in},
        {pass == ONEDNN_WEIGHTS ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, conv->weights, weights},
        {pass == ONEDNN_FORWARD ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, conv->out, out},
        {DNNL_ARG_SCRATCHPAD, conv->workspace, workspace},
        {DNNL_ARG_BIAS, conv->bias, (void *)(uintptr_t)bias}};
    enum { OPERANDS = sizeof operands / sizeof operands[0] };
    dnnl_exec_arg_t arguments[OPERANDS] = {{0}};
    int count = conv->shape.bias ? OPERANDS : OPERANDS - 1;
    dnnl_status_t status = dnnl_success;
    int32_t result;

    if ((result = ready()) != CEM_OK) return result;
    for (int i = 0; i < count && status == dnnl_success; i++) {
        arguments[i].arg = operands[i].name;
        status =
            dnnl_memory_create(&arguments[i].memory, operands[i].layout, engine, operands[i].data);
    }
    if (status == dnnl_success)
        status = dnnl_primitive_execute(conv->primitive, stream, count, arguments);
    for (int i = 0; i < count; i++) dnnl_memory_destroy(arguments[i].memory);
    return refused(status, "to run a convolution");
}

bool onednn_has(int32_t instructions)
{
    unsigned need = instructions == ONEDNN_AVX512 ? dnnl_cpu_isa_avx512_core : dnnl_cpu_isa_avx2;

    return ((unsigned)dnnl_get_effective_cpu_isa() & need) == need && __builtin_cpu_supports("fma");
}

static const char *isa_name(dnnl_cpu_isa_t isa)
{
    switch ((unsigned)isa) {
    case dnnl_cpu_isa_sse41:
        return "SSE4.1";
    case dnnl_cpu_isa_avx:
        return "AVX";
    case dnnl_cpu_isa_avx2:
        return "AVX2";
    case dnnl_cpu_isa_avx2_vnni:
        return "AVX2 with VNNI";
    case dnnl_cpu_isa_avx2_vnni_2:
        return "AVX2 with VNNI and bf16";
    case dnnl_cpu_isa_avx512_core:
        return "AVX-512";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "AVX-512 with VNNI";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "AVX-512 with bf16";
    case dnnl_cpu_isa_avx512_core_fp16:
        return "AVX-512 with fp16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "AVX-512 with AMX";
    case dnnl_cpu_isa_avx512_core_amx_fp16:
        return "AVX-512 with AMX and fp16";
    default:
        return "another instruction set";
    }
}

static char name[96];

static void make_name(void)
{
    const dnnl_version_t *version = dnnl_version();

    snprintf(name, sizeof name, "oneDNN %d.%d.%d, %s", version->major, version->minor,
             version->patch, isa_name(dnnl_get_effective_cpu_isa()));
}

const char *onednn_name(void)
{
    static pthread_once_t named = PTHREAD_ONCE_INIT;

    pthread_once(&named, make_name);
    return name;
}
