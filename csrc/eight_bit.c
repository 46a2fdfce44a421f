/* The rules as they are meant in cem-dataset's cleanup2d.py and cross_section3d.py: its image rule
 * takes the number of bits from one character of a type's name, which is not followed. */
#include "eight_bit.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "cem.h"
#include "error.h"

/* ---- One image: integers by the range of their type, floats by their own ---- */

static void whole(uint8_t *out, const void *pixels, int32_t type, int64_t count)
{
    for (int64_t i = 0; i < count; i++) switch (type) {
        case CEM_U16:
            out[i] = (uint8_t)(((const uint16_t *)pixels)[i] * 255u >> 16);
            break;
        case CEM_U32:
            out[i] = (uint8_t)(((const uint32_t *)pixels)[i] * (uint64_t)255 >> 32);
            break;
        case CEM_I8:
            out[i] = (uint8_t)((((const int8_t *)pixels)[i] + 128) * 255 >> 8);
            break;
        case CEM_I16:
            out[i] = (uint8_t)((((const int16_t *)pixels)[i] + 32768) * 255 >> 16);
            break;
        default:
            out[i] = (uint8_t)((((const int32_t *)pixels)[i] + (int64_t)2147483648) * 255 >> 32);
        }
}

static int32_t refuse(double value)
{
    return error_set(CEM_EARGUMENT,
                     "the image has the value %g; replace values that are not finite first", value);
}

static int32_t image_f32(uint8_t *out, const float *pixels, int64_t count)
{
    float low = pixels[0], high = pixels[0];

    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(pixels[i])) return refuse((double)pixels[i]);
        low = pixels[i] < low ? pixels[i] : low;
        high = pixels[i] > high ? pixels[i] : high;
    }
    for (int64_t i = 0; i < count; i++)
        out[i] = high > low ? (uint8_t)((pixels[i] - low) / (high - low) * 255.0f) : 0;
    return CEM_OK;
}

static int32_t image_f64(uint8_t *out, const double *pixels, int64_t count)
{
    double low = pixels[0], high = pixels[0];

    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(pixels[i])) return refuse(pixels[i]);
        low = pixels[i] < low ? pixels[i] : low;
        high = pixels[i] > high ? pixels[i] : high;
    }
    for (int64_t i = 0; i < count; i++)
        out[i] = high > low ? (uint8_t)((pixels[i] - low) / (high - low) * 255.0) : 0;
    return CEM_OK;
}

static int32_t image_rule(uint8_t *out, const void *pixels, int32_t type, int64_t count)
{
    if (count == 0) return CEM_OK;
    if (type == CEM_F32) return image_f32(out, pixels, count);
    if (type == CEM_F64) return image_f64(out, pixels, count);
    whole(out, pixels, type, count);
    return CEM_OK;
}

/* ---- A volume: nothing negative, and the largest value of the type becomes 255 ---- */

static int32_t refuse_negative(double value)
{
    return error_set(CEM_EARGUMENT,
                     "the volume has the negative value %g; shift its values to 0 and above first",
                     value);
}

static int32_t volume_f32(uint8_t *out, const float *pixels, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (pixels[i] < 0) return refuse_negative((double)pixels[i]);
        if (!(pixels[i] <= 1))
            return error_set(CEM_EARGUMENT,
                             "the volume has the value %g; floats must lie between 0 and 1",
                             (double)pixels[i]);
        out[i] = (uint8_t)(pixels[i] * 255.0f);
    }
    return CEM_OK;
}

static int32_t volume_i16(uint8_t *out, const int16_t *pixels, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (pixels[i] < 0) return refuse_negative(pixels[i]);
        out[i] = (uint8_t)(pixels[i] / 32767.0 * 255.0);
    }
    return CEM_OK;
}

static int32_t volume_rule(uint8_t *out, const void *pixels, int32_t type, int64_t count)
{
    if (type == CEM_F32) return volume_f32(out, pixels, count);
    if (type == CEM_I16) return volume_i16(out, pixels, count);
    if (type == CEM_U16) {
        for (int64_t i = 0; i < count; i++)
            out[i] = (uint8_t)(((const uint16_t *)pixels)[i] / 65535.0 * 255.0);
        return CEM_OK;
    }
    if (type == CEM_U32) {
        for (int64_t i = 0; i < count; i++)
            out[i] = (uint8_t)(((const uint32_t *)pixels)[i] / 4294967295.0 * 255.0);
        return CEM_OK;
    }
    return error_set(CEM_EARGUMENT,
                     "a volume of signed 8-bit or 32-bit integers or 64-bit floats is not "
                     "converted; save it with unsigned integers, int16 or float32 first");
}

int32_t eight_bit(uint8_t *out, const void *pixels, int32_t type, int64_t count, int32_t rule)
{
    if (type != CEM_U8)
        return (rule == CEM_IMAGE ? image_rule : volume_rule)(out, pixels, type, count);
    memcpy(out, pixels, (size_t)count);
    return CEM_OK;
}
