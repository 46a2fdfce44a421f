/* Changes of grey values. */
#include "augment.h"
#include "random.h"
#include "tiling.h"

static uint8_t cut_to_byte(float value)
{
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
}

void augment_brightness_contrast(uint8_t *image, int64_t pixels, double contrast, double brightness)
{
    const float factor = (float)contrast, term = (float)(brightness * 255);
    uint8_t table[256];

    for (int v = 0; v < 256; v++) table[v] = cut_to_byte((float)v * factor + term);
    for (int64_t i = 0; i < pixels; i++) image[i] = table[image[i]];
}

void augment_noise(uint8_t *image, int64_t pixels, double deviation, uint64_t seed, uint64_t sample)
{
    for (int64_t i = 0; i < pixels; i++) {
        double noise = deviation * random_normal(seed, sample, AUGMENT_NOISE + (uint64_t)i);
        image[i] = cut_to_byte((float)(image[i] + noise));
    }
}

/* What OpenCV takes for a Gaussian of 3, 5 or 7 when no deviation is named, in 64ths: near the
 * deviation 0.3 ((size - 1) / 2 - 1) + 0.8. */
static const int kernels[3][4] = {{32, 16}, {24, 16, 4}, {18, 14, 7, 2}};

void augment_blur(uint8_t *image, int16_t *scratch, int64_t height, int64_t width, int size)
{
    const int reach = size / 2, *kernel = kernels[reach - 1];

    for (int64_t y = 0; y < height; y++) {
        const uint8_t *row = image + y * width;
        for (int64_t x = 0; x < width; x++) {
            int sum = kernel[0] * row[x];
            for (int k = 1; k <= reach; k++)
                sum += kernel[k] *
                       (row[tiling_reflect(x - k, width)] + row[tiling_reflect(x + k, width)]);
            scratch[y * width + x] = (int16_t)sum;
        }
    }
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            int sum = kernel[0] * scratch[y * width + x];
            for (int k = 1; k <= reach; k++)
                sum += kernel[k] * (scratch[tiling_reflect(y - k, height) * width + x] +
                                    scratch[tiling_reflect(y + k, height) * width + x]);
            image[y * width + x] = (uint8_t)((sum + 2048) >> 12);
        }
}
