/* What simd_avx2.c and simd_avx512.c give to others. */
const struct simd TABLE = {.name = NAME,
                           .lanes = LANES,
                           .rows = ROWS,
                           .multiply = multiply,
                           .winograd_in = winograd_in,
                           .winograd_out = winograd_out,
                           .winograd_spread = winograd_spread,
                           .doubled_in = doubled_in,
                           .doubled_out = doubled_out,
                           .doubled_spread = doubled_spread,
                           .doubled_back = doubled_back};
