#include "planes.h"

#include <string.h>

#include "cem.h"

/* Steps in the volume from one slice, row and column of a plane to the next. */
static void steps_of(int64_t steps[3], const struct planes *p)
{
    const int64_t z = p->height * p->width, y = p->width, x = 1;

    steps[0] = p->plane == CEM_XY ? z : p->plane == CEM_XZ ? y : x;
    steps[1] = p->plane == CEM_XY ? y : z;
    steps[2] = p->plane == CEM_YZ ? y : x;
}

void planes_shape(int64_t shape[3], const struct planes *p)
{
    shape[0] = p->plane == CEM_XY ? p->depth : p->plane == CEM_XZ ? p->height : p->width;
    shape[1] = p->plane == CEM_XY ? p->height : p->depth;
    shape[2] = p->plane == CEM_YZ ? p->height : p->width;
}

void planes_gather(void *out, const void *volume, int64_t size, const struct planes *planes)
{
    const char *from = volume;
    char *to = out;
    int64_t shape[3], steps[3];

    planes_shape(shape, planes);
    steps_of(steps, planes);
    for (int64_t k = planes->first; k < planes->first + planes->count; k++)
        for (int64_t row = 0; row < shape[1]; row++)
            for (int64_t column = 0; column < shape[2]; column++, to += size) {
                int64_t at = k * steps[0] + row * steps[1] + column * steps[2];
                memcpy(to, from + at * size, (size_t)size);
            }
}

void planes_add(float *sums, const float *probabilities, int64_t classes,
                const struct planes *planes)
{
    const int64_t page = planes->height * planes->width;
    int64_t shape[3], steps[3];

    planes_shape(shape, planes);
    steps_of(steps, planes);
    for (int64_t k = 0; k < planes->count; k++)
        for (int64_t c = 1; c < classes; c++)
            for (int64_t row = 0; row < shape[1]; row++) {
                const float *from = probabilities + ((k * classes + c) * shape[1] + row) * shape[2];
                int64_t at = (planes->first + k) * steps[0] + row * steps[1];
                for (int64_t column = 0; column < shape[2]; column++, at += steps[2])
                    sums[(at / page * (classes - 1) + c - 1) * page + at % page] += from[column];
            }
}

void planes_mean(float *out, const float *sums, int64_t classes, int64_t pixels, int32_t count)
{
    for (int64_t i = 0; i < pixels; i++) {
        float total = 0;
        for (int64_t c = 1; c < classes; c++) {
            float mean = sums[(c - 1) * pixels + i];
            if (count > 1) mean /= (float)count;
            out[c * pixels + i] = mean;
            total = c == 1 ? mean : total + mean;
        }
        out[i] = total < 1 ? 1 - total : 0;
    }
}
