/* Tiling, arena, feature store and intensity statistics against what they promise. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "arena.h"
#include "cem.h"
#include "check.h"
#include "feature_store.h"
#include "memory.h"
#include "random.h"
#include "statistics.h"
#include "tiling.h"

static void tiles_keep_every_pixel_of_an_axis_once(void)
{
    for (int64_t length = 1; length < 5000; length += length < 300 ? 1 : 37) {
        struct tiling t = tiling_make(length, 1, 256, 64);
        int64_t next = 0;
        for (int64_t i = 0; i < tiling_count(&t); i++) {
            struct interval y, x;
            tiling_tile(&y, &x, &t, i);
            CHECK_EQ(y.first, next);
            CHECK(y.last > y.first);
            CHECK(y.start % 32 == 0 && y.start <= y.first && y.last <= y.start + t.y.side);
            CHECK(y.first == 0 || y.first - y.start >= 64);
            CHECK(y.last == length || y.start + t.y.side - y.last >= 64);
            next = y.last;
        }
        CHECK_EQ(next, length);
        CHECK_EQ(t.y.side % 32, 0);
    }
}

static void reflection_repeats_as_often_as_needed_but_not_the_border(void)
{
    const int64_t want[] = {0, 1, 2, 1, 0, 1, 2, 1, 0};

    for (int64_t i = 0; i < 9; i++) CHECK_EQ(tiling_reflect(i, 3), want[i]);
    CHECK_EQ(tiling_reflect(-1, 3), 1);
    CHECK_EQ(tiling_reflect(31, 1), 0);
}

static void values_that_live_together_do_not_share_a_place(void)
{
    struct value values[200];
    int64_t bytes, sum = 0;

    for (int i = 0; i < 200; i++) {
        values[i].bytes = 1 + random_below(1, 1, (uint64_t)i, 5000);
        values[i].first = (int)random_below(1, 2, (uint64_t)i, 100);
        values[i].last = values[i].first + (int)random_below(1, 3, (uint64_t)i, 10);
        sum += values[i].bytes;
    }
    bytes = arena_place(values, 200);
    CHECK(bytes > 0 && bytes < sum / 4);
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(values[i].place % 64, 0);
        CHECK(values[i].place + values[i].bytes <= bytes);
        for (int j = 0; j < i; j++) {
            bool together = values[i].first <= values[j].last && values[j].first <= values[i].last;
            bool apart = values[i].place + values[i].bytes <= values[j].place ||
                         values[j].place + values[j].bytes <= values[i].place;
            CHECK(!together || apart);
        }
    }
}

static struct feature_key key_of(int64_t tile)
{
    return (struct feature_key){.encoder = 1, .tile = tile};
}

static void the_feature_store_drops_the_least_recently_used_and_keeps_its_cap(void)
{
    struct feature_store *store;
    struct feature_key key;

    CHECK_EQ(feature_store_new(&store, 3 * 400), CEM_OK);
    for (int64_t tile = 0; tile < 3; tile++) {
        key = key_of(tile);
        feature_store_put(store, &key, 100)[0] = (float)tile;
    }
    key = key_of(0);
    CHECK(feature_store_find(store, &key)[0] == 0);
    key = key_of(3);
    CHECK(feature_store_put(store, &key, 100) != NULL);
    CHECK_EQ(feature_store_bytes(store), 1200);
    key = key_of(1);
    CHECK(feature_store_find(store, &key) == NULL);
    key = key_of(2);
    CHECK(feature_store_find(store, &key)[0] == 2);
    feature_store_free(store);
    CHECK_EQ(memory_live(), 0);
}

static void the_intensity_rule_is_the_same_for_every_type(void)
{
    uint8_t bytes[1000];
    uint16_t words[1000];
    int16_t signs[1000];
    float floats[1000];
    cem_statistics s[4];
    cem_intensity first, other;

    for (int i = 0; i < 1000; i++) {
        bytes[i] = (uint8_t)(40 + random_below(1, 1, (uint64_t)i, 100));
        if (i % 10 == 0) bytes[i] = 0;
        words[i] = (uint16_t)(bytes[i] * 16);
        signs[i] = (int16_t)(bytes[i] * 100 - 12800);
        floats[i] = (float)bytes[i] / 255;
    }
    memset(s, 0, sizeof s);
    CHECK_EQ(statistics_add(&s[0], bytes, CEM_U8, 1000), CEM_OK);
    CHECK_EQ(statistics_add(&s[1], words, CEM_U16, 1000), CEM_OK);
    CHECK_EQ(statistics_add(&s[2], signs, CEM_I16, 500), CEM_OK);
    CHECK_EQ(statistics_add(&s[2], signs + 500, CEM_I16, 500), CEM_OK);
    CHECK_EQ(statistics_add(&s[3], floats, CEM_F32, 1000), CEM_OK);
    CHECK_EQ(statistics_intensity(&first, &s[0]), CEM_OK);
    CHECK(fabs(first.offset - 90) < 5 && fabs(1 / first.scale - 29) < 2);
    for (int i = 1; i < 4; i++) {
        const double values[] = {bytes[17], words[17], signs[17], floats[17]};
        CHECK_EQ(statistics_intensity(&other, &s[i]), CEM_OK);
        CHECK(fabs((values[i] - other.offset) * other.scale -
                   (values[0] - first.offset) * first.scale) < 1e-5);
    }
}

static void constant_images_and_values_that_are_not_finite_are_refused(void)
{
    const float flat[] = {7, 7, 7}, bad[] = {1, NAN, 2};
    cem_statistics s = {0}, t = {0};
    cem_intensity out;

    CHECK_EQ(statistics_add(&s, flat, CEM_F32, 3), CEM_OK);
    CHECK_EQ(statistics_intensity(&out, &s), CEM_EARGUMENT);
    CHECK_EQ(statistics_add(&t, bad, CEM_F32, 3), CEM_EARGUMENT);
    CHECK_EQ(t.count, 0);
}

int main(void)
{
    RUN(tiles_keep_every_pixel_of_an_axis_once);
    RUN(reflection_repeats_as_often_as_needed_but_not_the_border);
    RUN(values_that_live_together_do_not_share_a_place);
    RUN(the_feature_store_drops_the_least_recently_used_and_keeps_its_cap);
    RUN(the_intensity_rule_is_the_same_for_every_type);
    RUN(constant_images_and_values_that_are_not_finite_are_refused);
    return CHECK_DONE();
}
