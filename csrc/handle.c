#include "handle.h"

#include "error.h"

int32_t handle_take(struct handle *handle)
{
    int32_t idle = 0;

    if (atomic_compare_exchange_strong(&handle->busy, &idle, 1)) return CEM_OK;
    return error_set(CEM_EBUSY, "another call is using this handle; wait for it or cancel it");
}

int32_t handle_give(struct handle *handle, int32_t status)
{
    if (status == CEM_ECANCELLED) atomic_store(&handle->cancel, 0);
    atomic_store(&handle->busy, 0);
    return status;
}
