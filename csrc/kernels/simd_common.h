/* What the other simd_*.h need; included by simd_avx2.c and simd_avx512.c alone. */
#include <stddef.h>

#define INLINE SIMD static inline __attribute__((always_inline))

static const float NOTHING[LANES];

/* A pixel of an image, or zeros outside of it; one goes on from it by channels times `step`. */
struct pixel {
    const float *at;
    int64_t step;
};

INLINE struct pixel pixel_at(const float *image, int64_t height, int64_t width, int64_t channels,
                             int64_t y, int64_t x)
{
    bool inside = y >= 0 && x >= 0 && y < height && x < width;

    return (struct pixel){inside ? image + (y * width + x) * channels : NOTHING, inside};
}

INLINE void finish_store(float *to, VECTOR value, VECTOR bias, const struct finish *finish)
{
    value += bias;
    if (finish->sum) value += LOAD(to);
    STORE(to, finish->relu ? LARGER(value, SPLAT(0)) : value);
}
