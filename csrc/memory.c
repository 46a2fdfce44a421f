#include "memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "error.h"

static _Atomic int64_t fail_at;
static _Atomic int64_t live;

static int injected_failure(void)
{
    return atomic_load_explicit(&fail_at, memory_order_relaxed) > 0 &&
           atomic_fetch_sub(&fail_at, 1) == 1;
}

void *memory_raw(int64_t count, int64_t size)
{
    int64_t bytes;
    void *block;

    if (count < 0 || size < 0 || __builtin_mul_overflow(count, size, &bytes) ||
        bytes > INT64_MAX - 64) {
        error_memory(INT64_MAX);
        return NULL;
    }
    bytes = (bytes / 64 + 1) * 64;
    block = injected_failure() ? NULL : aligned_alloc(64, (size_t)bytes);
    if (!block) {
        error_memory(bytes);
        return NULL;
    }
    atomic_fetch_add(&live, 1);
    return block;
}

void *memory_new(int64_t count, int64_t size)
{
    void *block = memory_raw(count, size);

    if (block) memset(block, 0, (size_t)(count * size));
    return block;
}

void memory_free(void *block)
{
    if (block) atomic_fetch_sub(&live, 1);
    free(block);
}

void memory_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

char *memory_text(const char *text)
{
    int64_t bytes = (int64_t)strlen(text) + 1;
    char *copy = memory_raw(bytes, 1);

    if (copy) memcpy(copy, text, (size_t)bytes);
    return copy;
}

void memory_fail_at(int64_t k)
{
    atomic_store(&fail_at, k);
}

int64_t memory_live(void)
{
    return atomic_load(&live);
}
