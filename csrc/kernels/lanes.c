#include "lanes.h"

#include <stddef.h>

#include "floats.h"

enum { MOST_LANES = 4, SUM_PARTS = 8 };
enum { PHASE_LANES, PHASE_SUM, PHASE_PLAIN, PHASE_OWN };

int32_t lanes_new(struct lanes *lanes, const struct onednn_shape *sample, int64_t samples)
{
    struct onednn_shape shape = *sample;
    int32_t status;

    lanes->samples = samples;
    lanes->count = samples < MOST_LANES ? samples : MOST_LANES;
    lanes->in_floats = shape.in * shape.in_h * shape.in_w;
    lanes->out_floats = shape.out * shape.out_h * shape.out_w;
    shape.pass = ONEDNN_WEIGHTS;
    shape.n = samples / lanes->count;
    if ((status = onednn_conv_new(&lanes->shorter, &shape, NULL)) != CEM_OK) return status;
    shape.n++;
    if (samples % lanes->count) status = onednn_conv_new(&lanes->longer, &shape, lanes->shorter);
    if (status != CEM_OK) return status;
    lanes->packed = (onednn_conv_packed(lanes->shorter) + 63) / 64 * 64;
    lanes->plain = shape.out * shape.in * shape.kernel * shape.kernel * (int64_t)sizeof(float);
    return CEM_OK;
}

void lanes_free(struct lanes *lanes)
{
    onednn_conv_free(lanes->longer);
    onednn_conv_free(lanes->shorter);
}

void lanes_plan(const struct lanes *lanes, struct plan *plan, int64_t parts)
{
    int64_t longer = lanes->longer ? onednn_conv_workspace(lanes->longer) : 0;
    int64_t shorter = onednn_conv_workspace(lanes->shorter);

    plan->phases = PHASE_OWN + 1;
    plan->parts[PHASE_LANES] = lanes->count;
    plan->parts[PHASE_SUM] = lanes->count > 1 ? SUM_PARTS : 1;
    plan->parts[PHASE_PLAIN] = 1;
    plan->parts[PHASE_OWN] = parts;
    plan->scratch = lanes->count * lanes->packed + lanes->plain;
    plan->workspace = longer > shorter ? longer : shorter;
}

static float *lane_gradient(const struct lanes *lanes, const struct operands *operands,
                            int64_t lane)
{
    return (float *)((char *)operands->scratch + lane * lanes->packed);
}

float *lanes_plain(const struct lanes *lanes, const struct operands *operands)
{
    return lane_gradient(lanes, operands, lanes->count);
}

static int32_t run_lane(const struct lanes *lanes, const struct operands *operands, int64_t lane)
{
    int64_t more = lanes->samples % lanes->count, each = lanes->samples / lanes->count;
    int64_t first = lane * each + (lane < more ? lane : more);

    return onednn_conv_run(lane < more ? lanes->longer : lanes->shorter,
                           operands->in + first * lanes->in_floats,
                           lane_gradient(lanes, operands, lane), NULL,
                           operands->out_gradient + first * lanes->out_floats, operands->workspace);
}

static void sum_lanes(const struct lanes *lanes, const struct operands *operands, int64_t part)
{
    int64_t floats = lanes->packed / (int64_t)sizeof(float);
    int64_t first = floats * part / SUM_PARTS, last = floats * (part + 1) / SUM_PARTS;

    for (int64_t lane = 1; lane < lanes->count; lane++)
        floats_add(lane_gradient(lanes, operands, 0) + first,
                   lane_gradient(lanes, operands, lane) + first, last - first);
}

int32_t lanes_run(const struct lanes *lanes, const struct operands *operands, int phase,
                  int64_t part)
{
    if (phase == PHASE_LANES) return run_lane(lanes, operands, part);
    if (phase == PHASE_SUM) {
        sum_lanes(lanes, operands, part);
        return CEM_OK;
    }
    return onednn_conv_unpack(lanes->shorter, lanes_plain(lanes, operands),
                              lane_gradient(lanes, operands, 0));
}
