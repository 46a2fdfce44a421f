#include "feature_store.h"

#include <stddef.h>

#include "cem.h"
#include "memory.h"

struct entry {
    struct feature_key key;
    float *values;
    int64_t bytes;
    uint64_t used;
};

struct feature_store {
    struct entry *entries;
    int64_t count, room;
    int64_t bytes, most;
    uint64_t clock;
};

int32_t feature_store_new(struct feature_store **out, int64_t most_bytes)
{
    struct feature_store *store = memory_new(1, sizeof *store);

    if (!store) return CEM_EMEMORY;
    store->most = most_bytes;
    *out = store;
    return CEM_OK;
}

void feature_store_free(struct feature_store *store)
{
    if (!store) return;
    for (int64_t i = 0; i < store->count; i++) memory_free(store->entries[i].values);
    memory_free(store->entries);
    memory_free(store);
}

static bool same(const struct feature_key *a, const struct feature_key *b)
{
    return a->encoder == b->encoder && a->image == b->image && a->tile == b->tile &&
           a->orientation == b->orientation && a->rows == b->rows && a->columns == b->columns;
}

static struct entry *find(struct feature_store *store, const struct feature_key *key)
{
    for (int64_t i = 0; i < store->count; i++)
        if (same(&store->entries[i].key, key)) return &store->entries[i];
    return NULL;
}

const float *feature_store_find(struct feature_store *store, const struct feature_key *key)
{
    struct entry *entry = find(store, key);

    if (!entry) return NULL;
    entry->used = ++store->clock;
    return entry->values;
}

static void drop(struct feature_store *store, struct entry *entry)
{
    store->bytes -= entry->bytes;
    memory_free(entry->values);
    *entry = store->entries[--store->count];
}

static void drop_oldest(struct feature_store *store)
{
    struct entry *oldest = &store->entries[0];

    for (int64_t i = 1; i < store->count; i++)
        if (store->entries[i].used < oldest->used) oldest = &store->entries[i];
    drop(store, oldest);
}

static bool make_room(struct feature_store *store)
{
    int64_t room = store->room ? 2 * store->room : 64;
    struct entry *entries;

    if (store->count < store->room) return true;
    if (!(entries = memory_new(room, sizeof *entries))) return false;
    for (int64_t i = 0; i < store->count; i++) entries[i] = store->entries[i];
    memory_free(store->entries);
    store->entries = entries;
    store->room = room;
    return true;
}

float *feature_store_put(struct feature_store *store, const struct feature_key *key, int64_t floats)
{
    int64_t bytes = floats * (int64_t)sizeof(float);
    struct entry entry = {.key = *key, .bytes = bytes, .used = ++store->clock};

    while (store->count && store->bytes + bytes > store->most) drop_oldest(store);
    if (!make_room(store)) return NULL;
    if (!(entry.values = memory_raw(floats, sizeof *entry.values))) return NULL;
    store->entries[store->count++] = entry;
    store->bytes += bytes;
    return entry.values;
}

void feature_store_drop(struct feature_store *store, const struct feature_key *key)
{
    struct entry *entry = find(store, key);

    if (entry) drop(store, entry);
}

int64_t feature_store_bytes(const struct feature_store *store)
{
    return store->bytes;
}
