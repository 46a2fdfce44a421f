/* What every handle that computes begins with: whether a call is using it, and whether that call
 * should stop. */
#ifndef CEM_HANDLE_H
#define CEM_HANDLE_H

#include <stdatomic.h>
#include <stdint.h>

struct handle {
    _Atomic int32_t busy;
    _Atomic int32_t cancel;
};

/* CEM_OK and the handle is the caller's until handle_give; or CEM_EBUSY. */
int32_t handle_take(struct handle *handle);

/* Gives the handle back and passes `status` on; a cancel that was obeyed is forgotten. */
int32_t handle_give(struct handle *handle, int32_t status);

#endif
