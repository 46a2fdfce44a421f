/* Matrix products; included by simd_avx2.c and simd_avx512.c alone.
 *
 * A block of ROWS rows by two vectors of the result stays in registers; DEPTH steps of a panel of b
 * stay in the first cache while all rows of a pass by, and are summed apart, which halves the error
 * of long sums (K. Goto and R. van de Geijn, "Anatomy of
 * high-performance matrix multiplication", 2008). */
enum { WIDE = 2 * LANES, LINE = 16 };

/* A block's operands, and the panel that is needed soon. */
struct panel {
    const float *b, *soon;
    int64_t step, depth;
};

/* One in three rows has a pointer: the others are reached by addressing. */
INLINE void multiply_block(const struct product *p, const struct panel *panel, const float *a,
                           float *c, bool add, const int rows, const int vectors)
{
    const float *at[(ROWS + 2) / 3], *b = panel->b, *soon = panel->soon;
    const int64_t row = p->a_row, step = p->a_step;
    VECTOR sum[ROWS][2];

#pragma GCC unroll 16
    for (int g = 0; g < (rows + 2) / 3; g++) {
        at[g] = a + 3 * g * row;
        __asm__("" : "+r"(at[g]));
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] = SPLAT(0);
#pragma GCC unroll 1
    for (int64_t k = panel->depth; k > 0; k--) {
        VECTOR right[2];
        for (int j = 0; j < vectors; j++) right[j] = LOAD(b + j * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            VECTOR left = SPLAT(at[i / 3][i % 3 * row]);
            for (int j = 0; j < vectors; j++) sum[i][j] = FMA(left, right[j], sum[i][j]);
        }
#pragma GCC unroll 16
        for (int g = 0; g < (rows + 2) / 3; g++) at[g] += step;
        for (int line = 0; line < WIDE; line += LINE) __builtin_prefetch(soon + line);
        b += panel->step;
        soon += panel->step;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) {
            float *to = c + i * p->c_row + j * LANES;
            if (add) sum[i][j] += LOAD(to);
            STORE(to, sum[i][j]);
        }
}

#define ROWS_ARE(rows)                                                                             \
    case rows:                                                                                     \
        if (wide) multiply_block(p, panel, a, c, add, rows, 2);                                    \
        else multiply_block(p, panel, a, c, add, rows, 1);                                         \
        break

SIMD static void multiply_rows(const struct product *p, const struct panel *panel, const float *a,
                               float *c, bool add, int64_t rows, bool wide)
{
    switch (rows) {
        ROWS_ARE(1);
        ROWS_ARE(2);
        ROWS_ARE(3);
        ROWS_ARE(4);
        ROWS_ARE(5);
        ROWS_ARE(6);
#if ROWS_MOST > 6
        ROWS_ARE(7);
        ROWS_ARE(8);
        ROWS_ARE(9);
        ROWS_ARE(10);
        ROWS_ARE(11);
        ROWS_ARE(12);
        ROWS_ARE(13);
        ROWS_ARE(14);
#endif
    }
}

/* Columns [n, n + WIDE) and steps [k, k + depth): rows in blocks as equal as they can be. */
static void multiply_panel(const struct product *p, int64_t n, int64_t k, int64_t depth)
{
    const float *b = p->b + n / WIDE * p->b_panel + k * p->b_step;
    const float *next = n + WIDE < p->n ? b + p->b_panel : b;
    struct panel panel = {.b = b, .soon = next, .step = p->b_step, .depth = depth};
    int64_t blocks = (p->m + ROWS - 1) / ROWS, m = 0;

    for (; blocks > 0; blocks--) {
        int64_t rows = (p->m - m + blocks - 1) / blocks;
        multiply_rows(p, &panel, p->a + m * p->a_row + k * p->a_step, p->c + m * p->c_row + n,
                      p->add || k, rows, p->n - n > LANES);
        panel.soon = b;
        m += rows;
    }
}

static void multiply(const struct product *p)
{
    for (int64_t k = 0; k < p->k; k += DEPTH)
        for (int64_t n = 0; n < p->n; n += WIDE)
            multiply_panel(p, n, k, p->k - k < DEPTH ? p->k - k : DEPTH);
}
