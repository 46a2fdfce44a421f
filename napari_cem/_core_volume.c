/* What the core measures on volumes and does with their planes. */
#include "_core.h"

#include <string.h>

/* A state, the bytes of a C struct, is a uint8 array. */
static int is_state(PyObject *state, int64_t size, int direction)
{
    return core_is_array(state, "state", NPY_UINT8, 1, direction) &&
           core_has_shape(state, "state", 1, &size);
}

static PyObject *sample(PyObject *module, PyObject *args)
{
    long long depth, most;
    PyObject *list;
    int64_t *slices, count;

    (void)module;
    if (!PyArg_ParseTuple(args, "LL:sample", &depth, &most)) return NULL;
    slices = PyMem_Calloc((size_t)(most < 2 ? 2 : most), sizeof *slices);
    if (!slices) return PyErr_NoMemory();
    count = cem_sample(slices, depth, most);
    list = count < 0 ? core_raise((int32_t)count) : PyList_New((Py_ssize_t)count);
    for (int64_t i = 0; list && i < count; i++) {
        PyObject *number = PyLong_FromLongLong(slices[i]);

        if (!number || PyList_SetItem(list, (Py_ssize_t)i, number)) Py_CLEAR(list);
    }
    PyMem_Free(slices);
    return list;
}

static PyObject *norms_measure(PyObject *module, PyObject *state)
{
    cem_statistics statistics;
    double norms[2];
    int32_t status;

    (void)module;
    if (!is_state(state, sizeof statistics, INPUT)) return NULL;
    memcpy(&statistics, DATA(state), sizeof statistics);
    status = cem_norms_measure(norms, &statistics);
    return status ? core_raise(status) : Py_BuildValue("(dd)", norms[0], norms[1]);
}

static PyObject *intensity_from_norms(PyObject *module, PyObject *args)
{
    cem_intensity intensity;
    double norms[2];
    int32_t status;

    (void)module;
    if (!PyArg_ParseTuple(args, "dd:intensity_from_norms", &norms[0], &norms[1])) return NULL;
    status = cem_intensity_from_norms(&intensity, norms);
    return status ? core_raise(status) : Py_BuildValue("(dd)", intensity.offset, intensity.scale);
}

static PyObject *stretch(PyObject *module, PyObject *args)
{
    PyObject *out, *pixels;
    double low, high;
    PyThreadState *thread;
    int32_t status;
    int64_t count;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOdd:stretch", &out, &pixels, &low, &high)) return NULL;
    if (!core_is_array(out, "out", NPY_UINT8, 2, OUTPUT)) return NULL;
    if (!core_is_array(pixels, "pixels", ANY_PIXELS, 2, INPUT)) return NULL;
    if (!core_has_shape(out, "out", 2, (int64_t[]){DIM(pixels, 0), DIM(pixels, 1)})) return NULL;
    count = PyArray_SIZE((PyArrayObject *)pixels);
    thread = PyEval_SaveThread();
    status = cem_stretch(DATA(out), DATA(pixels), TYPE(pixels), count, low, high);
    PyEval_RestoreThread(thread);
    return core_none(status);
}

static PyObject *contrast_new(PyObject *module, PyObject *unused)
{
    npy_intp size = sizeof(cem_contrast);

    (void)module, (void)unused;
    return PyArray_ZEROS(1, &size, NPY_UINT8, 0);
}

static PyObject *contrast_add(PyObject *module, PyObject *args)
{
    PyObject *state, *pixels;
    cem_contrast contrast;
    PyThreadState *thread;
    int32_t status;

    (void)module;
    if (!PyArg_ParseTuple(args, "OO:contrast_add", &state, &pixels)) return NULL;
    if (!is_state(state, sizeof contrast, OUTPUT)) return NULL;
    if (!core_is_array(pixels, "pixels", ANY_PIXELS, 2, INPUT)) return NULL;
    memcpy(&contrast, DATA(state), sizeof contrast);
    thread = PyEval_SaveThread();
    status =
        cem_contrast_add(&contrast, DATA(pixels), TYPE(pixels), DIM(pixels, 0), DIM(pixels, 1));
    PyEval_RestoreThread(thread);
    if (!status) memcpy(DATA(state), &contrast, sizeof contrast);
    return core_none(status);
}

static const int64_t contrast_shape[] = {4, 7};

static int is_contrast(PyObject *array, const char *name, int direction)
{
    return core_is_array(array, name, NPY_FLOAT64, 2, direction) &&
           core_has_shape(array, name, 2, contrast_shape);
}

static PyObject *contrast_mean(PyObject *module, PyObject *args)
{
    PyObject *mean, *state;
    cem_contrast contrast;
    cem_intensity intensity;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOdd:contrast_mean", &mean, &state, &intensity.offset,
                          &intensity.scale))
        return NULL;
    if (!is_contrast(mean, "mean", OUTPUT)) return NULL;
    if (!is_state(state, sizeof contrast, INPUT)) return NULL;
    memcpy(&contrast, DATA(state), sizeof contrast);
    return core_none(cem_contrast_mean(DATA(mean), &contrast, &intensity));
}

static PyObject *contrast_inverted(PyObject *module, PyObject *args)
{
    PyObject *trained, *seen;
    int32_t inverted, status;

    (void)module;
    if (!PyArg_ParseTuple(args, "OO:contrast_inverted", &trained, &seen)) return NULL;
    if (!is_contrast(trained, "trained", INPUT) || !is_contrast(seen, "seen", INPUT)) return NULL;
    status = cem_contrast_inverted(&inverted, DATA(trained), DATA(seen));
    return status ? core_raise(status) : PyBool_FromLong(inverted);
}

static PyObject *planes_mean(PyObject *module, PyObject *args)
{
    PyObject *out, *sums;
    PyThreadState *thread;
    int32_t status;
    int planes;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOi:planes_mean", &out, &sums, &planes)) return NULL;
    if (!core_is_array(sums, "sums", NPY_FLOAT32, 3, INPUT)) return NULL;
    if (!core_is_array(out, "out", NPY_FLOAT32, 3, OUTPUT)) return NULL;
    if (!core_has_shape(out, "out", 3, (int64_t[]){DIM(sums, 0) + 1, DIM(sums, 1), DIM(sums, 2)}))
        return NULL;
    thread = PyEval_SaveThread();
    status = cem_planes_mean(DATA(out), DATA(sums), DIM(out, 0), DIM(out, 1) * DIM(out, 2), planes);
    PyEval_RestoreThread(thread);
    return core_none(status);
}

static PyMethodDef functions[] = {
    {"sample", sample, METH_VARARGS, NULL},
    {"norms_measure", norms_measure, METH_O, NULL},
    {"intensity_from_norms", intensity_from_norms, METH_VARARGS, NULL},
    {"stretch", stretch, METH_VARARGS, NULL},
    {"contrast_new", contrast_new, METH_NOARGS, NULL},
    {"contrast_add", contrast_add, METH_VARARGS, NULL},
    {"contrast_mean", contrast_mean, METH_VARARGS, NULL},
    {"contrast_inverted", contrast_inverted, METH_VARARGS, NULL},
    {"planes_mean", planes_mean, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int core_add_volume(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
