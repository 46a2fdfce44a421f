#include "features.h"

#include <stddef.h>

#include "cem.h"
#include "memory.h"

struct entry {
    struct feature_key key;
    float *values;
    int64_t bytes;
    uint64_t used;
};

struct features {
    struct entry *entries;
    int64_t count, room;
    int64_t bytes, most;
    uint64_t clock;
};

int32_t features_new(struct features **out, int64_t most_bytes)
{
    struct features *features = memory_new(1, sizeof *features);

    if (!features) return CEM_EMEMORY;
    features->most = most_bytes;
    *out = features;
    return CEM_OK;
}

void features_free(struct features *features)
{
    if (!features) return;
    for (int64_t i = 0; i < features->count; i++) memory_free(features->entries[i].values);
    memory_free(features->entries);
    memory_free(features);
}

static bool same(const struct feature_key *a, const struct feature_key *b)
{
    return a->encoder == b->encoder && a->image == b->image && a->tile == b->tile &&
           a->orientation == b->orientation;
}

static struct entry *find(struct features *features, const struct feature_key *key)
{
    for (int64_t i = 0; i < features->count; i++)
        if (same(&features->entries[i].key, key)) return &features->entries[i];
    return NULL;
}

const float *features_find(struct features *features, const struct feature_key *key)
{
    struct entry *entry = find(features, key);

    if (!entry) return NULL;
    entry->used = ++features->clock;
    return entry->values;
}

static void drop(struct features *features, struct entry *entry)
{
    features->bytes -= entry->bytes;
    memory_free(entry->values);
    *entry = features->entries[--features->count];
}

static void drop_oldest(struct features *features)
{
    struct entry *oldest = &features->entries[0];

    for (int64_t i = 1; i < features->count; i++)
        if (features->entries[i].used < oldest->used) oldest = &features->entries[i];
    drop(features, oldest);
}

static bool make_room(struct features *features)
{
    int64_t room = features->room ? 2 * features->room : 64;
    struct entry *entries;

    if (features->count < features->room) return true;
    if (!(entries = memory_new(room, sizeof *entries))) return false;
    for (int64_t i = 0; i < features->count; i++) entries[i] = features->entries[i];
    memory_free(features->entries);
    features->entries = entries;
    features->room = room;
    return true;
}

float *features_put(struct features *features, const struct feature_key *key, int64_t floats)
{
    int64_t bytes = floats * (int64_t)sizeof(float);
    struct entry entry = {.key = *key, .bytes = bytes, .used = ++features->clock};

    while (features->count && features->bytes + bytes > features->most) drop_oldest(features);
    if (!make_room(features)) return NULL;
    if (!(entry.values = memory_raw(floats, sizeof *entry.values))) return NULL;
    features->entries[features->count++] = entry;
    features->bytes += bytes;
    return entry.values;
}

void features_drop(struct features *features, const struct feature_key *key)
{
    struct entry *entry = find(features, key);

    if (entry) drop(features, entry);
}

int64_t features_bytes(const struct features *features)
{
    return features->bytes;
}
