#include "pixels.h"

#include <math.h>

#include "cem.h"

int64_t pixels_size(int32_t type)
{
    switch (type) {
    case CEM_U8:
    case CEM_I8:
        return 1;
    case CEM_U16:
    case CEM_I16:
        return 2;
    case CEM_U32:
    case CEM_I32:
    case CEM_F32:
        return 4;
    case CEM_F64:
        return 8;
    default:
        return 0;
    }
}

/* One loop a type: `convert` maps pixel number i of an array of that type. */
#define FOR_TYPE(type_name, statement)                                                             \
    {                                                                                              \
        const type_name *from = (const type_name *)pixels + first;                                 \
        for (int64_t i = 0; i < count; i++) statement;                                             \
    }                                                                                              \
    break

#define FOR_EVERY_TYPE(type, statement)                                                            \
    switch (type) {                                                                                \
    case CEM_U8:                                                                                   \
        FOR_TYPE(uint8_t, statement);                                                              \
    case CEM_U16:                                                                                  \
        FOR_TYPE(uint16_t, statement);                                                             \
    case CEM_U32:                                                                                  \
        FOR_TYPE(uint32_t, statement);                                                             \
    case CEM_I8:                                                                                   \
        FOR_TYPE(int8_t, statement);                                                               \
    case CEM_I16:                                                                                  \
        FOR_TYPE(int16_t, statement);                                                              \
    case CEM_I32:                                                                                  \
        FOR_TYPE(int32_t, statement);                                                              \
    case CEM_F32:                                                                                  \
        FOR_TYPE(float, statement);                                                                \
    default:                                                                                       \
        FOR_TYPE(double, statement);                                                               \
    }

void pixels_read(double *out, const void *pixels, int32_t type, int64_t first, int64_t count)
{
    FOR_EVERY_TYPE(type, out[i] = (double)from[i])
}

bool pixels_scale(float *out, const void *pixels, int32_t type, int64_t first, int64_t count,
                  double offset, double scale)
{
    bool finite = true;

    FOR_EVERY_TYPE(type, out[i] = (float)(((double)from[i] - offset) * scale))
    for (int64_t i = 0; i < count; i++) finite &= isfinite(out[i]) != 0;
    return finite;
}

void pixels_stretch(uint8_t *out, const void *pixels, int32_t type, int64_t count, double low,
                    double high)
{
    const double scale = 255.0 / (high - low);
    const int64_t first = 0;

    FOR_EVERY_TYPE(type,
                   out[i] = (uint8_t)fmin(fmax(rint(((double)from[i] - low) * scale), 0), 255))
}
