/* Curation: arrays of patches and hashes (see _core.h). */
#include "_core.h"

/* Runs `call`, an expression over libcem on borrowed arrays, without the GIL. */
#define RELEASED(status, call)                                                                     \
    do {                                                                                           \
        PyThreadState *thread = PyEval_SaveThread();                                               \
        (status) = (call);                                                                         \
        PyEval_RestoreThread(thread);                                                              \
    } while (0)

static int same_size(PyObject *one, PyObject *other, const char *names)
{
    if (PyArray_SIZE((PyArrayObject *)one) == PyArray_SIZE((PyArrayObject *)other)) return 1;
    PyErr_Format(PyExc_ValueError, "%s have %zd and %zd elements, must have as many", names,
                 (Py_ssize_t)PyArray_SIZE((PyArrayObject *)one),
                 (Py_ssize_t)PyArray_SIZE((PyArrayObject *)other));
    return 0;
}

static PyObject *eight_bit(PyObject *module, PyObject *args)
{
    PyObject *out, *pixels;
    int32_t status;
    int rule;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOi:eight_bit", &out, &pixels, &rule)) return NULL;
    if (!core_is_array(out, "out", NPY_UINT8, ANY_NDIM, OUTPUT) ||
        !core_is_array(pixels, "pixels", ANY_PIXELS, ANY_NDIM, INPUT) ||
        !same_size(out, pixels, "out and pixels"))
        return NULL;
    RELEASED(status, cem_eight_bit(DATA(out), DATA(pixels), TYPE(pixels),
                                   PyArray_SIZE((PyArrayObject *)pixels), rule));
    return core_none(status);
}

static PyObject *patches_along(PyObject *module, PyObject *args)
{
    long long size, side;
    int64_t count;

    (void)module;
    if (!PyArg_ParseTuple(args, "LL:patches_along", &size, &side)) return NULL;
    count = cem_patches_along(size, side);
    return count < 0 ? core_raise((int32_t)count) : PyLong_FromLongLong(count);
}

static PyObject *patches_axes(PyObject *module, PyObject *args)
{
    double spacing, pixel, anisotropy;
    int32_t axes;

    (void)module;
    if (!PyArg_ParseTuple(args, "ddd:patches_axes", &spacing, &pixel, &anisotropy)) return NULL;
    axes = cem_patches_axes(spacing, pixel, anisotropy);
    return axes < 0 ? core_raise(axes) : PyLong_FromLong(axes);
}

static PyObject *patches_cut(PyObject *module, PyObject *args)
{
    PyObject *out, *volume, *corners;
    int64_t wanted[2];
    int32_t status;
    int threads;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOOi:patches_cut", &out, &volume, &corners, &threads)) return NULL;
    if (!core_is_array(out, "out", NPY_UINT8, 3, OUTPUT) ||
        !core_is_array(volume, "volume", NPY_UINT8, 3, INPUT) ||
        !core_is_array(corners, "corners", NPY_INT64, 2, INPUT))
        return NULL;
    wanted[0] = DIM(out, 0);
    wanted[1] = 4;
    if (!core_has_shape(corners, "corners", 2, wanted)) return NULL;
    RELEASED(status, cem_patches_cut(DATA(out), DATA(volume), DIM(volume, 0), DIM(volume, 1),
                                     DIM(volume, 2), DATA(corners), DIM(out, 0), DIM(out, 1),
                                     DIM(out, 2), threads));
    return core_none(status);
}

static PyObject *dhash(PyObject *module, PyObject *args)
{
    PyObject *hashes, *patches;
    int64_t count;
    int32_t status;
    int threads;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOi:dhash", &hashes, &patches, &threads)) return NULL;
    if (!core_is_array(hashes, "hashes", NPY_UINT64, 1, OUTPUT) ||
        !core_is_array(patches, "patches", NPY_UINT8, 3, INPUT))
        return NULL;
    count = DIM(patches, 0);
    if (!core_has_shape(hashes, "hashes", 1, &count)) return NULL;
    RELEASED(status, cem_dhash(DATA(hashes), DATA(patches), count, DIM(patches, 1), DIM(patches, 2),
                               threads));
    return core_none(status);
}

static PyObject *patch_features(PyObject *module, PyObject *args)
{
    PyObject *features, *patches;
    int64_t wanted[2];
    int32_t status;
    int threads;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOi:patch_features", &features, &patches, &threads)) return NULL;
    if (!core_is_array(features, "features", NPY_FLOAT32, 2, OUTPUT) ||
        !core_is_array(patches, "patches", NPY_UINT8, 3, INPUT))
        return NULL;
    wanted[0] = DIM(patches, 0);
    wanted[1] = CEM_FEATURES;
    if (!core_has_shape(features, "features", 2, wanted)) return NULL;
    RELEASED(status, cem_patch_features(DATA(features), DATA(patches), wanted[0], DIM(patches, 1),
                                        DIM(patches, 2), threads));
    return core_none(status);
}

static PyObject *deduplicate_order(PyObject *module, PyObject *args)
{
    PyObject *order;
    unsigned long long seed;
    int32_t status;

    (void)module;
    if (!PyArg_ParseTuple(args, "OK:deduplicate_order", &order, &seed)) return NULL;
    if (!core_is_array(order, "order", NPY_INT64, 1, OUTPUT)) return NULL;
    RELEASED(status, cem_deduplicate_order(DATA(order), DIM(order, 0), seed));
    return core_none(status);
}

static PyObject *deduplicate(PyObject *module, PyObject *args)
{
    PyObject *exemplar, *hashes, *order;
    long long first, last;
    int64_t count;
    int32_t status;
    int distance, threads;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOOiLLi:deduplicate", &exemplar, &hashes, &order, &distance,
                          &first, &last, &threads))
        return NULL;
    if (!core_is_array(exemplar, "exemplar", NPY_INT64, 1, OUTPUT) ||
        !core_is_array(hashes, "hashes", NPY_UINT64, 1, INPUT) ||
        !core_is_array(order, "order", NPY_INT64, 1, INPUT))
        return NULL;
    count = DIM(hashes, 0);
    if (!core_has_shape(exemplar, "exemplar", 1, &count) ||
        !core_has_shape(order, "order", 1, &count))
        return NULL;
    RELEASED(status, cem_deduplicate(DATA(exemplar), DATA(hashes), count, DATA(order), distance,
                                     first, last, threads));
    return core_none(status);
}

PyMethodDef core_curate_functions[] = {
    {"eight_bit", eight_bit, METH_VARARGS, NULL},
    {"patches_along", patches_along, METH_VARARGS, NULL},
    {"patches_axes", patches_axes, METH_VARARGS, NULL},
    {"patches_cut", patches_cut, METH_VARARGS, NULL},
    {"dhash", dhash, METH_VARARGS, NULL},
    {"patch_features", patch_features, METH_VARARGS, NULL},
    {"deduplicate_order", deduplicate_order, METH_VARARGS, NULL},
    {"deduplicate", deduplicate, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
