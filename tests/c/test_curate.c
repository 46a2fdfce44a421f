/* Curation: the 8-bit rules by table, the cut rule, sections, hashes whatever the threads, near
 * hashes by every kernel, and the greedy rule against its plain wording. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cem.h"
#include "check.h"
#include "hamming.h"
#include "memory.h"
#include "random.h"
#include "resize.h"

enum { HASHES = 3000, SIDE = 40 };

static void integers_become_8_bits_by_their_type(void)
{
    const uint16_t u16[] = {0, 256, 257, 258, 32767, 65535};
    const int16_t i16[] = {-32768, -1, 0, 32767}, positive[] = {0, 128, 129, 32767};
    const int8_t i8[] = {-128, 0, 127};
    const uint32_t u32[] = {0, 16843009, 16843010, 4294967295u};
    uint8_t out[6];

    CHECK_EQ(cem_eight_bit(out, u16, CEM_U16, 6, CEM_IMAGE), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 0, 0, 1, 127, 254}, 6) == 0);
    CHECK_EQ(cem_eight_bit(out, u16, CEM_U16, 6, CEM_VOLUME), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 0, 1, 1, 127, 255}, 6) == 0);
    CHECK_EQ(cem_eight_bit(out, i16, CEM_I16, 4, CEM_IMAGE), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 127, 127, 254}, 4) == 0);
    CHECK_EQ(cem_eight_bit(out, positive, CEM_I16, 4, CEM_VOLUME), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 0, 1, 255}, 4) == 0);
    CHECK_EQ(cem_eight_bit(out, i8, CEM_I8, 3, CEM_IMAGE), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 127, 254}, 3) == 0);
    CHECK_EQ(cem_eight_bit(out, u32, CEM_U32, 4, CEM_IMAGE), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 0, 1, 254}, 4) == 0);
    CHECK_EQ(cem_eight_bit(out, u32, CEM_U32, 4, CEM_VOLUME), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 1, 1, 255}, 4) == 0);
}

static void floats_become_8_bits_by_their_range_or_from_0_to_1(void)
{
    const float f32[] = {-2, 0, 2}, unit[] = {0, 0.5f, 1}, constant[] = {7, 7, 7};
    const double f64[] = {10, 10.5, 11};
    uint8_t out[3];

    CHECK_EQ(cem_eight_bit(out, f32, CEM_F32, 3, CEM_IMAGE), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 127, 255}, 3) == 0);
    CHECK_EQ(cem_eight_bit(out, f64, CEM_F64, 3, CEM_IMAGE), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 127, 255}, 3) == 0);
    CHECK_EQ(cem_eight_bit(out, constant, CEM_F32, 3, CEM_IMAGE), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 0, 0}, 3) == 0);
    CHECK_EQ(cem_eight_bit(out, unit, CEM_F32, 3, CEM_VOLUME), CEM_OK);
    CHECK(memcmp(out, (uint8_t[]){0, 127, 255}, 3) == 0);
}

static void a_volume_with_values_beyond_the_rule_is_refused(void)
{
    const float high[] = {0, 1.5f}, low[] = {0, -0.5f}, nan[] = {0, NAN};
    const int16_t negative[] = {5, -1};
    const double f64[] = {0, 1};
    uint8_t out[2];

    CHECK_EQ(cem_eight_bit(out, high, CEM_F32, 2, CEM_VOLUME), CEM_EARGUMENT);
    CHECK(strstr(cem_last_error(), "1.5"));
    CHECK_EQ(cem_eight_bit(out, low, CEM_F32, 2, CEM_VOLUME), CEM_EARGUMENT);
    CHECK_EQ(cem_eight_bit(out, nan, CEM_F32, 2, CEM_VOLUME), CEM_EARGUMENT);
    CHECK_EQ(cem_eight_bit(out, nan, CEM_F32, 2, CEM_IMAGE), CEM_EARGUMENT);
    CHECK_EQ(cem_eight_bit(out, negative, CEM_I16, 2, CEM_VOLUME), CEM_EARGUMENT);
    CHECK(strstr(cem_last_error(), "-1"));
    CHECK_EQ(cem_eight_bit(out, f64, CEM_F64, 2, CEM_VOLUME), CEM_EARGUMENT);
    CHECK_EQ(cem_eight_bit(out, f64, 99, 2, CEM_VOLUME), CEM_EARGUMENT);
    CHECK_EQ(cem_eight_bit(out, f64, CEM_F64, 2, 2), CEM_EARGUMENT);
}

static void patches_are_counted_rounding_a_half_to_even(void)
{
    CHECK_EQ(cem_patches_along(1, 224), 1);
    CHECK_EQ(cem_patches_along(112, 224), 1);
    CHECK_EQ(cem_patches_along(335, 224), 1);
    CHECK_EQ(cem_patches_along(336, 224), 2);
    CHECK_EQ(cem_patches_along(560, 224), 2);
    CHECK_EQ(cem_patches_along(561, 224), 3);
    CHECK_EQ(cem_patches_along(784, 224), 4);
    CHECK_EQ(cem_patches_along(7, 5), 1);
    CHECK_EQ(cem_patches_along(8, 5), 2);
    CHECK_EQ(cem_patches_along(0, 224), CEM_EARGUMENT);
    CHECK_EQ(cem_patches_along(5, 0), CEM_EARGUMENT);
}

static void an_anisotropic_volume_has_one_axis(void)
{
    CHECK_EQ(cem_patches_axes(10, 10, 0.2), 3);
    CHECK_EQ(cem_patches_axes(5, 4, 0.25), 3);
    CHECK_EQ(cem_patches_axes(5, 4, 0.249), 1);
    CHECK_EQ(cem_patches_axes(3, 4, 0.25), 3);
    CHECK_EQ(cem_patches_axes(50, 4, 0.2), 1);
    CHECK_EQ(cem_patches_axes(0, 4, 0.2), CEM_EARGUMENT);
    CHECK_EQ(cem_patches_axes(4, NAN, 0.2), CEM_EARGUMENT);
}

static void sections_are_cut_across_every_axis(void)
{
    enum { D = 5, H = 7, W = 6, N = 3, ROWS = 3, COLUMNS = 2 };
    uint8_t volume[D * H * W], out[N * ROWS * COLUMNS];
    const int64_t corners[N][4] = {{0, 4, 2, 3}, {1, 6, 1, 4}, {2, 5, 2, 5}};
    int64_t bad[4] = {1, 6, 3, 4};

    for (int i = 0; i < D * H * W; i++) volume[i] = (uint8_t)i;
    CHECK_EQ(cem_patches_cut(out, volume, D, H, W, corners[0], N, ROWS, COLUMNS, 2), CEM_OK);
    for (int y = 0; y < ROWS; y++)
        for (int x = 0; x < COLUMNS; x++) {
            CHECK_EQ(out[y * COLUMNS + x], volume[(4 * H + 2 + y) * W + 3 + x]);
            CHECK_EQ(out[(ROWS + y) * COLUMNS + x], volume[((1 + y) * H + 6) * W + 4 + x]);
            CHECK_EQ(out[(2 * ROWS + y) * COLUMNS + x], volume[((2 + y) * H + 5 + x) * W + 5]);
        }
    CHECK_EQ(cem_patches_cut(out, volume, D, H, W, bad, 1, ROWS, COLUMNS, 1), CEM_EARGUMENT);
    bad[0] = 3;
    CHECK_EQ(cem_patches_cut(out, volume, D, H, W, bad, 1, ROWS, COLUMNS, 1), CEM_EARGUMENT);
    CHECK_EQ(cem_patches_cut(out, volume, D, 0, W, bad, 1, ROWS, COLUMNS, 1), CEM_EARGUMENT);
}

static void resizing_to_the_same_size_changes_nothing(void)
{
    uint8_t in[SIDE * 31], out[SIDE * 31];
    struct resize resize;
    void *workspace;

    for (int i = 0; i < SIDE * 31; i++) in[i] = (uint8_t)random_bits(1, 0, (uint64_t)i);
    for (int filter = 0; filter < 2; filter++) {
        CHECK_EQ(resize_new(&resize, (enum resize_filter)filter, SIDE, 31, SIDE, 31), CEM_OK);
        workspace = memory_new(1, resize_workspace(&resize));
        resize_run(&resize, out, in, workspace);
        CHECK(memcmp(out, in, sizeof in) == 0);
        memory_free(workspace);
        resize_free(&resize);
    }
}

static void every_kernel_resizes_to_the_same_bits(void)
{
    enum { MOST = 224 };
    static uint8_t in[MOST * MOST], out[2][MOST * MOST];
    struct resize resize;
    void *workspace;

    for (int64_t n = 0; n < 60; n++) {
        int64_t h = random_below(6, 0, (uint64_t)n, MOST) + 1;
        int64_t w = random_below(6, 1, (uint64_t)n, MOST) + 1;
        int64_t out_h = n % 2 ? MOST : 8, out_w = n % 2 ? MOST : 9;
        for (int64_t i = 0; i < h * w; i++) {
            uint64_t bits = random_bits(7, (uint64_t)n, (uint64_t)i);
            in[i] = n % 3 ? (uint8_t)bits : bits & 1 ? 255 : 0;
        }
        CHECK_EQ(
            resize_new(&resize, n % 4 < 2 ? RESIZE_LANCZOS : RESIZE_BILINEAR, h, w, out_h, out_w),
            CEM_OK);
        workspace = memory_new(1, resize_workspace(&resize));
        resize_run(&resize, out[0], in, workspace);
        resize.kernel = RESIZE_PLAIN;
        resize_run(&resize, out[1], in, workspace);
        CHECK(memcmp(out[0], out[1], (size_t)(out_h * out_w)) == 0);
        memory_free(workspace);
        resize_free(&resize);
    }
}

static void hashes_and_figures_do_not_depend_on_threads(void)
{
    enum { N = 50, H = 61, W = 47 };
    static uint8_t patches[N * H * W];
    static float figures[3][N * CEM_FEATURES];
    uint64_t hashes[3][N];

    for (int i = 0; i < N * H * W; i++) patches[i] = (uint8_t)random_bits(2, 0, (uint64_t)i / 5);
    for (int t = 0; t < 3; t++) {
        CHECK_EQ(cem_dhash(hashes[t], patches, N, H, W, t + 1), CEM_OK);
        CHECK_EQ(cem_patch_features(figures[t], patches, N, H, W, t + 1), CEM_OK);
        CHECK(memcmp(hashes[t], hashes[0], sizeof hashes[0]) == 0);
        CHECK(memcmp(figures[t], figures[0], sizeof figures[0]) == 0);
    }
    CHECK(hashes[0][0] != hashes[0][1]);
    CHECK_EQ(cem_dhash(hashes[0], patches, N, 0, W, 1), CEM_EARGUMENT);
    CHECK_EQ(cem_dhash(hashes[0], patches, -1, H, W, 1), CEM_EARGUMENT);
    CHECK_EQ(cem_dhash(hashes[0], patches, 0, H, W, 1), CEM_OK);
}

static void figures_are_finite_down_to_one_pixel(void)
{
    const uint8_t patch[16 * 16] = {3};
    float figures[CEM_FEATURES];

    for (int64_t height = 1; height <= 16; height++)
        for (int64_t width = 1; width <= 16; width++) {
            CHECK_EQ(cem_patch_features(figures, patch, 1, height, width, 1), CEM_OK);
            for (int i = 0; i < CEM_FEATURES; i++) CHECK(isfinite(figures[i]));
        }
}

/* Hashes in clusters, so that there are near ones. */
static void make_hashes(uint64_t *hashes, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t n = (uint64_t)i;
        hashes[i] = random_bits(3, 0, n % 200);
        for (uint64_t k = 0; k < 9; k++) hashes[i] ^= 1ull << random_below(4, n, k, 64);
    }
}

static void every_kernel_finds_the_same(void)
{
    static uint64_t hashes[HASHES];

    make_hashes(hashes, HASHES);
    for (int32_t kernel = 1; kernel < HAMMING_KERNELS; kernel++) {
        if (!hamming_supports(kernel)) continue;
        for (int64_t i = 0; i < 500; i++)
            for (int32_t distance = 0; distance <= 64; distance += 4) {
                int64_t count = 1 + i * 5 % HASHES;
                uint64_t hash = random_bits(5, 0, (uint64_t)i) ^ hashes[i];
                if (i % 2) hash = hashes[HASHES - 1 - i] ^ 7;
                CHECK_EQ(hamming_find(kernel, hashes, count, hash, distance),
                         hamming_find(HAMMING_PLAIN, hashes, count, hash, distance));
            }
    }
    CHECK(hamming_supports(hamming_best()));
}

/* The rule as the paper words it. */
static void plainly(int64_t *exemplar, const uint64_t *hashes, const int64_t *order, int64_t count,
                    int32_t distance)
{
    for (int64_t i = 0; i < count; i++) exemplar[i] = -1;
    for (int64_t i = 0; i < count; i++) {
        if (exemplar[order[i]] >= 0) continue;
        for (int64_t j = i; j < count; j++)
            if (exemplar[order[j]] < 0 &&
                __builtin_popcountll(hashes[order[i]] ^ hashes[order[j]]) <= distance)
                exemplar[order[j]] = order[i];
    }
}

static void the_greedy_rule_is_that_of_the_paper(void)
{
    static uint64_t hashes[HASHES];
    static int64_t order[HASHES], exemplar[HASHES], wanted[HASHES];

    make_hashes(hashes, HASHES);
    for (uint64_t seed = 0; seed < 5; seed++)
        for (int32_t distance = 0; distance <= 24; distance += 12) {
            CHECK_EQ(cem_deduplicate_order(order, HASHES, seed), CEM_OK);
            plainly(wanted, hashes, order, HASHES, distance);
            for (int32_t threads = 1; threads <= 3; threads++) {
                memset(exemplar, 0x5a, sizeof exemplar);
                CHECK_EQ(
                    cem_deduplicate(exemplar, hashes, HASHES, order, distance, 0, HASHES, threads),
                    CEM_OK);
                CHECK(memcmp(exemplar, wanted, sizeof wanted) == 0);
            }
            memset(exemplar, 0x5a, sizeof exemplar);
            for (int64_t first = 0; first < HASHES; first += 700)
                CHECK_EQ(cem_deduplicate(exemplar, hashes, HASHES, order, distance, first,
                                         first + 700 < HASHES ? first + 700 : HASHES, 2),
                         CEM_OK);
            CHECK(memcmp(exemplar, wanted, sizeof wanted) == 0);
        }
}

static void an_order_is_a_permutation_and_a_wrong_one_is_refused(void)
{
    int64_t order[100], exemplar[100];
    uint64_t hashes[100] = {0};
    bool seen[100] = {false};

    CHECK_EQ(cem_deduplicate_order(order, 100, 7), CEM_OK);
    for (int i = 0; i < 100; i++) seen[order[i]] = true;
    for (int i = 0; i < 100; i++) CHECK(seen[i]);
    order[3] = order[4];
    CHECK_EQ(cem_deduplicate(exemplar, hashes, 100, order, 12, 0, 100, 1), CEM_EARGUMENT);
    order[3] = 100;
    CHECK_EQ(cem_deduplicate(exemplar, hashes, 100, order, 12, 0, 100, 1), CEM_EARGUMENT);
    CHECK_EQ(cem_deduplicate(exemplar, hashes, 100, order, 65, 0, 100, 1), CEM_EARGUMENT);
    CHECK_EQ(cem_deduplicate(exemplar, hashes, 100, order, 12, 5, 4, 1), CEM_EARGUMENT);
    CHECK_EQ(cem_deduplicate(exemplar, hashes, 0, order, 12, 0, 0, 1), CEM_OK);
}

static void memory_that_runs_out_is_told_and_nothing_is_lost(void)
{
    static uint8_t patches[4 * 30 * 30];
    uint64_t hashes[4];
    int64_t order[4] = {0, 1, 2, 3}, exemplar[4], live = memory_live();
    float figures[4 * CEM_FEATURES];
    int32_t status = CEM_EMEMORY;

    for (int64_t k = 1; status == CEM_EMEMORY; k++) {
        memory_fail_at(k);
        if ((status = cem_dhash(hashes, patches, 4, 30, 30, 1)) == CEM_OK &&
            (status = cem_patch_features(figures, patches, 4, 30, 30, 1)) == CEM_OK)
            status = cem_deduplicate(exemplar, hashes, 4, order, 12, 0, 4, 1);
        memory_fail_at(0);
        CHECK_EQ(memory_live(), live);
        CHECK(k < 100);
    }
    CHECK_EQ(status, CEM_OK);
}

int main(void)
{
    RUN(integers_become_8_bits_by_their_type);
    RUN(floats_become_8_bits_by_their_range_or_from_0_to_1);
    RUN(a_volume_with_values_beyond_the_rule_is_refused);
    RUN(patches_are_counted_rounding_a_half_to_even);
    RUN(an_anisotropic_volume_has_one_axis);
    RUN(sections_are_cut_across_every_axis);
    RUN(resizing_to_the_same_size_changes_nothing);
    RUN(every_kernel_resizes_to_the_same_bits);
    RUN(hashes_and_figures_do_not_depend_on_threads);
    RUN(figures_are_finite_down_to_one_pixel);
    RUN(every_kernel_finds_the_same);
    RUN(the_greedy_rule_is_that_of_the_paper);
    RUN(an_order_is_a_permutation_and_a_wrong_one_is_refused);
    RUN(memory_that_runs_out_is_told_and_nothing_is_lost);
    return CHECK_DONE();
}
