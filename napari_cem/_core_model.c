/* The class Model. */
#include "_core.h"

PyTypeObject *core_Model;

/* A Model that owns `handle`. */
static PyObject *wrap(PyTypeObject *type, cem_model *handle)
{
    Model *self = (Model *)PyType_GenericAlloc(type, 0);

    if (self) {
        self->handle = handle;
        self->classes = cem_model_classes(handle);
    } else {
        cem_model_free(handle);
    }
    return (PyObject *)self;
}

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"classes", "seed", "widths", NULL};
    PyObject *values[3] = {Py_None, Py_None, Py_None};
    cem_model_options options;
    cem_model *handle;
    int32_t status = cem_model_defaults(&options, sizeof options);

    if (status) return core_raise(status);
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|OOO:Model", names, &values[0], &values[1],
                                     &values[2]))
        return NULL;
    for (int i = 0; i < 3; i++)
        if (core_set_option(&options, &core_model_fields[i], values[i])) return NULL;
    status = cem_model_new(&handle, &options);
    return status ? core_raise(status) : wrap(type, handle);
}

static void dealloc(Model *self)
{
    cem_model_free(self->handle);
    core_free((PyObject *)self);
}

static PyObject *load(PyObject *type, PyObject *args)
{
    PyObject *path;
    cem_model *handle;
    PyThreadState *thread;
    int32_t status;

    if (!PyArg_ParseTuple(args, "O&:load", PyUnicode_FSConverter, &path)) return NULL;
    thread = PyEval_SaveThread();
    status = cem_model_load(&handle, PyBytes_AsString(path));
    PyEval_RestoreThread(thread);
    Py_DECREF(path);
    return status ? core_raise(status) : wrap((PyTypeObject *)type, handle);
}

static PyObject *load_part(Model *self, PyObject *args, int32_t (*take)(cem_model *, const char *))
{
    PyObject *path;
    int32_t status;

    if (!PyArg_ParseTuple(args, "O&", PyUnicode_FSConverter, &path)) return NULL;
    WITHOUT_GIL(status, self, NULL, take(self->handle, PyBytes_AsString(path)));
    Py_DECREF(path);
    return core_none(status);
}

static PyObject *load_encoder(Model *self, PyObject *args)
{
    return load_part(self, args, cem_model_load_encoder);
}

static PyObject *load_body(Model *self, PyObject *args)
{
    return load_part(self, args, cem_model_load_body);
}

static PyObject *save(Model *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"path", "overwrite", NULL};
    PyObject *path;
    int overwrite = 0;
    int32_t status;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|p:save", names, PyUnicode_FSConverter,
                                     &path, &overwrite))
        return NULL;
    WITHOUT_GIL(status, self, NULL,
                cem_model_save(self->handle, PyBytes_AsString(path), overwrite));
    Py_DECREF(path);
    return core_none(status);
}

static PyObject *copy(Model *self, PyObject *unused)
{
    cem_model *handle;
    int32_t status;

    (void)unused;
    WITHOUT_GIL(status, self, NULL, cem_model_copy(&handle, self->handle));
    return status ? core_raise(status) : wrap(Py_TYPE((PyObject *)self), handle);
}

static PyObject *assign(Model *self, PyObject *args)
{
    Model *from;
    int32_t status;

    if (!PyArg_ParseTuple(args, "O!:assign", core_Model, &from)) return NULL;
    if (core_refuse_if_called(self->calls, "model")) return NULL;
    from->calls++;
    WITHOUT_GIL(status, self, self->handle, cem_model_assign(self->handle, from->handle));
    from->calls--;
    return core_none(status);
}

static PyObject *cancel(Model *self, PyObject *unused)
{
    (void)unused;
    cem_cancel(self->handle);
    Py_RETURN_NONE;
}

static PyObject *classes(Model *self, void *unused)
{
    (void)unused;
    return PyLong_FromLong(self->classes);
}

static PyObject *outputs(Model *self, void *unused)
{
    (void)unused;
    return PyLong_FromLong(cem_model_outputs(self->handle));
}

static PyObject *card(Model *self, PyObject *unused)
{
    const char *text;

    (void)unused;
    if (core_refuse_if_called(self->calls, "model")) return NULL;
    text = cem_model_card(self->handle);
    return text ? PyUnicode_FromString(text) : core_raise(CEM_EMEMORY);
}

static PyObject *set_card(Model *self, PyObject *args)
{
    const char *json;

    if (!PyArg_ParseTuple(args, "s:set_card", &json)) return NULL;
    return core_none(cem_model_set_card(self->handle, json));
}

static int rank(const int64_t *shape)
{
    int axes = 0;

    while (axes < 4 && shape[axes]) axes++;
    return axes;
}

static PyObject *shape_of(const int64_t *shape)
{
    int ndim = rank(shape);
    PyObject *tuple = PyTuple_New(ndim);

    for (int axis = 0; tuple && axis < ndim; axis++) {
        PyObject *size = PyLong_FromLongLong(shape[axis]);

        if (!size || PyTuple_SetItem(tuple, axis, size)) Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *tensors(Model *self, PyObject *unused)
{
    int32_t count = cem_model_tensors(self->handle);
    PyObject *list = PyList_New(0);

    (void)unused;
    for (int32_t i = 0; list && i < count; i++) {
        const char *name;
        int64_t shape[4];
        int32_t status = cem_model_tensor_shape(&name, shape, self->handle, i);
        PyObject *item = status ? core_raise(status) : Py_BuildValue("(sN)", name, shape_of(shape));

        if (!item || PyList_Append(list, item)) Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *tensor_get(Model *self, PyObject *args)
{
    const char *name;
    int64_t shape[4];
    npy_intp sizes[4];
    PyObject *array;
    int32_t status;
    int index;

    if (!PyArg_ParseTuple(args, "i:tensor_get", &index)) return NULL;
    status = cem_model_tensor_shape(&name, shape, self->handle, index);
    if (status) return core_raise(status);
    for (int axis = 0; axis < 4; axis++) sizes[axis] = (npy_intp)shape[axis];
    array = PyArray_SimpleNew(rank(shape), sizes, NPY_FLOAT32);
    if (!array) return NULL;
    status = cem_model_tensor_get(DATA(array), self->handle, index);
    if (!status) return array;
    Py_DECREF(array);
    return core_raise(status);
}

static PyObject *tensor_set(Model *self, PyObject *args)
{
    const char *name;
    int64_t shape[4];
    PyObject *values;
    int32_t status;
    int index;

    if (!PyArg_ParseTuple(args, "iO:tensor_set", &index, &values)) return NULL;
    status = cem_model_tensor_shape(&name, shape, self->handle, index);
    if (status) return core_raise(status);
    if (!core_is_array(values, name, NPY_FLOAT32, rank(shape), INPUT)) return NULL;
    if (!core_has_shape(values, name, rank(shape), shape)) return NULL;
    return core_none(cem_model_tensor_set(self->handle, index, DATA(values)));
}

static int predict_arrays(PyObject *out, PyObject *pixels, int32_t maps)
{
    int64_t shape[4];

    if (!core_is_array(pixels, "pixels", ANY_PIXELS, 3, INPUT) ||
        !core_is_array(out, "out", NPY_FLOAT32, 4, OUTPUT))
        return -1;
    shape[0] = DIM(pixels, 0);
    shape[1] = maps;
    shape[2] = DIM(pixels, 1);
    shape[3] = DIM(pixels, 2);
    return core_has_shape(out, "out", 4, shape) ? 0 : -1;
}

static PyObject *predict(Model *self, PyObject *args, PyObject *keywords)
{
    PyObject *out, *pixels;
    cem_intensity intensity;
    cem_predict_options options;
    int32_t status;

    if (!PyArg_ParseTuple(args, "OOdd:predict", &out, &pixels, &intensity.offset, &intensity.scale))
        return NULL;
    if (core_predict_options(&options, keywords)) return NULL;
    if (predict_arrays(out, pixels,
                       options.output == CEM_LOGITS ? cem_model_outputs(self->handle)
                                                    : self->classes))
        return NULL;
    WITHOUT_GIL(status, self, self->handle,
                cem_predict(DATA(out), self->handle, DATA(pixels), TYPE(pixels), DIM(pixels, 0),
                            DIM(pixels, 1), DIM(pixels, 2), &intensity, &options));
    return core_none(status);
}

enum { MAXIMUM_AXES = 16 };

/* Labels (depth, ...) and probabilities (depth, classes, ...). */
static int classify_arrays(PyObject *labels, PyObject *probabilities, int32_t count)
{
    int64_t shape[MAXIMUM_AXES + 1];
    int ndim;

    if (!core_is_array(labels, "labels", NPY_UINT16, ANY_NDIM, OUTPUT)) return -1;
    ndim = PyArray_NDIM((PyArrayObject *)labels);
    if (ndim < 1 || ndim > MAXIMUM_AXES) {
        PyErr_Format(PyExc_TypeError, "labels has %d dimensions, must have 1 to %d", ndim,
                     MAXIMUM_AXES);
        return -1;
    }
    if (!core_is_array(probabilities, "probabilities", NPY_FLOAT32, ndim + 1, INPUT)) return -1;
    shape[0] = DIM(labels, 0);
    shape[1] = count;
    for (int axis = 1; axis < ndim; axis++) shape[axis + 1] = DIM(labels, axis);
    return core_has_shape(probabilities, "probabilities", ndim + 1, shape) ? 0 : -1;
}

static PyObject *classify(Model *self, PyObject *args)
{
    PyObject *labels, *probabilities;
    int64_t depth;
    int32_t status;

    if (!PyArg_ParseTuple(args, "OO:classify", &labels, &probabilities)) return NULL;
    if (classify_arrays(labels, probabilities, self->classes)) return NULL;
    depth = DIM(labels, 0);
    WITHOUT_GIL(status, self, self->handle,
                cem_classify(DATA(labels), self->handle, DATA(probabilities), depth,
                             depth ? PyArray_SIZE((PyArrayObject *)labels) / depth : 0));
    return core_none(status);
}

static PyMethodDef methods[] = {
    {"load", load, METH_VARARGS | METH_CLASS, NULL},
    {"load_encoder", METHOD(load_encoder), METH_VARARGS, NULL},
    {"load_body", METHOD(load_body), METH_VARARGS, NULL},
    {"save", METHOD(save), METH_VARARGS | METH_KEYWORDS, NULL},
    {"assign", METHOD(assign), METH_VARARGS, NULL},
    {"copy", METHOD(copy), METH_NOARGS, NULL},
    {"cancel", METHOD(cancel), METH_NOARGS, NULL},
    {"card", METHOD(card), METH_NOARGS, NULL},
    {"set_card", METHOD(set_card), METH_VARARGS, NULL},
    {"tensors", METHOD(tensors), METH_NOARGS, NULL},
    {"tensor_get", METHOD(tensor_get), METH_VARARGS, NULL},
    {"tensor_set", METHOD(tensor_set), METH_VARARGS, NULL},
    {"predict", METHOD(predict), METH_VARARGS | METH_KEYWORDS, NULL},
    {"classify", METHOD(classify), METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"classes", (getter)classes, NULL, NULL, NULL},
    {"outputs", (getter)outputs, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

PyType_Spec core_model_spec = {"napari_cem._core.Model", sizeof(Model), 0, Py_TPFLAGS_DEFAULT,
                               slots};
