/* Sections across axis 0 are (y, x), across 1 (z, x), across 2 (z, y), as NumPy slices them. */
#include "patches.h"

#include <math.h>
#include <string.h>

#include "cem.h"
#include "error.h"
#include "pool.h"

enum { CHUNK = 16 };

int64_t patches_along(int64_t size, int64_t side)
{
    int64_t whole = size / side, twice = 2 * (size % side);

    if (twice > side || (twice == side && whole % 2 == 1)) whole++;
    return whole > 0 ? whole : 1;
}

int32_t patches_axes(double spacing, double pixel, double anisotropy)
{
    return fabs(pixel - spacing) / pixel > anisotropy ? 1 : 3;
}

/* A section of a volume: its sizes, and the steps from a row and a column to the next. */
struct section {
    int64_t count, rows, columns, section_step, row_step, column_step;
};

static struct section section_of(const struct patches_cut *cut, int64_t axis)
{
    int64_t page = cut->height * cut->width;

    if (axis == 0)
        return (struct section){cut->depth, cut->height, cut->width, page, cut->width, 1};
    if (axis == 1)
        return (struct section){cut->height, cut->depth, cut->width, cut->width, page, 1};
    return (struct section){cut->width, cut->depth, cut->height, 1, page, cut->width};
}

static int32_t check(const struct patches_cut *cut, int64_t i)
{
    const int64_t *corner = cut->corners + 4 * i;
    struct section section;

    if (corner[0] >= 0 && corner[0] <= 2) {
        section = section_of(cut, corner[0]);
        if (corner[1] >= 0 && corner[1] < section.count && corner[2] >= 0 &&
            corner[2] <= section.rows - cut->rows && corner[3] >= 0 &&
            corner[3] <= section.columns - cut->columns)
            return CEM_OK;
    }
    return error_set(CEM_EARGUMENT,
                     "patch %lld has the corner (%lld, %lld, %lld, %lld), which is outside of the "
                     "volume",
                     (long long)i, (long long)corner[0], (long long)corner[1], (long long)corner[2],
                     (long long)corner[3]);
}

static void copy(const struct patches_cut *cut, int64_t i)
{
    const int64_t *corner = cut->corners + 4 * i;
    struct section s = section_of(cut, corner[0]);
    const uint8_t *from = cut->volume + corner[1] * s.section_step + corner[2] * s.row_step +
                          corner[3] * s.column_step;
    uint8_t *to = cut->out + i * cut->rows * cut->columns;

    for (int64_t y = 0; y < cut->rows; y++, from += s.row_step, to += cut->columns) {
        if (s.column_step == 1) memcpy(to, from, (size_t)cut->columns);
        else
            for (int64_t x = 0; x < cut->columns; x++) to[x] = from[x * s.column_step];
    }
}

static int32_t run_chunk(void *context, int64_t step, int64_t part, int worker)
{
    const struct patches_cut *cut = context;
    int64_t last = (part + 1) * CHUNK < cut->count ? (part + 1) * CHUNK : cut->count;

    (void)step, (void)worker;
    for (int64_t i = part * CHUNK; i < last; i++) copy(cut, i);
    return CEM_OK;
}

int32_t patches_cut(const struct patches_cut *cut, int threads)
{
    struct patches_cut job = *cut;
    int32_t status;

    for (int64_t i = 0; i < cut->count; i++)
        if ((status = check(cut, i)) != CEM_OK) return status;
    return pool_for(threads, (cut->count + CHUNK - 1) / CHUNK, run_chunk, &job);
}
