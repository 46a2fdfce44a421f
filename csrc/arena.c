/* The largest value first, each at the lowest place where nothing that lives with it is. */
#include "arena.h"

#include <stdbool.h>
#include <stdlib.h>

#include "memory.h"

enum { ALIGNMENT = 64 };

static int by_size(const void *a, const void *b)
{
    const struct value *x = *(const struct value *const *)a, *y = *(const struct value *const *)b;

    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y;
}

static bool live_together(const struct value *a, const struct value *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest gap between those of placed[0..count), sorted by place, that live with `value`. */
static int64_t lowest_gap(const struct value *value, struct value *const *placed, int count)
{
    int64_t place = 0;

    for (int i = 0; i < count; i++) {
        int64_t end = placed[i]->place + placed[i]->bytes;
        if (!live_together(value, placed[i])) continue;
        if (placed[i]->place >= place + value->bytes) break;
        if (end > place) place = end;
    }
    return place;
}

/* Keeps placed[0..count] sorted by place. */
static void insert(struct value **placed, int count, struct value *value)
{
    for (; count > 0 && placed[count - 1]->place > value->place; count--)
        placed[count] = placed[count - 1];
    placed[count] = value;
}

int64_t arena_place(struct value *values, int count)
{
    struct value **order = memory_new(2 * (int64_t)count, sizeof *order), **placed = order + count;
    int64_t bytes = 0;

    if (!order) return -1;
    for (int i = 0; i < count; i++) {
        values[i].bytes = (values[i].bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        order[i] = &values[i];
    }
    qsort(order, (size_t)count, sizeof *order, by_size);
    for (int i = 0; i < count; i++) {
        order[i]->place = lowest_gap(order[i], placed, i);
        if (order[i]->place + order[i]->bytes > bytes) bytes = order[i]->place + order[i]->bytes;
        insert(placed, i, order[i]);
    }
    memory_free(order);
    return bytes;
}
