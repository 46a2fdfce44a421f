/* One block of memory for all the values of a program: values that never live at the same time
 * share a place. */
#ifndef CEM_ARENA_H
#define CEM_ARENA_H

#include <stdint.h>

struct value {
    int64_t bytes;
    int first, last; /* steps between which it lives, both included */
    int64_t place;   /* byte offset, multiple of 64 */
};

/* Gives every value its place; returns the bytes needed, or -1 when memory runs out. */
int64_t arena_place(struct value *values, int count);

#endif
