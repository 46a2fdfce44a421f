/* The class Trainer. */
#include "_core.h"

typedef struct {
    PyObject_HEAD cem_trainer *handle;
    int calls;
    npy_intp classes;
} Trainer;

/* Class weights are read by the library up to the number of classes: the array must have them. */
static int check_arrays(cem_trainer_options *options, PyObject *keywords, int64_t classes)
{
    PyObject *weights = keywords ? PyDict_GetItemString(keywords, "class_weights") : NULL;
    PyObject *milestones = keywords ? PyDict_GetItemString(keywords, "milestones") : NULL;

    if (options->class_weights && !core_has_shape(weights, "class_weights", 1, &classes)) return -1;
    if (options->milestones) options->milestone_count = DIM(milestones, 0);
    return 0;
}

/* The recipe's defaults, and `keywords`, where the recipe may stand too, over them. */
static int trainer_options(cem_trainer_options *options, int recipe, PyObject *keywords,
                           Model *model)
{
    PyObject *named = keywords ? PyDict_GetItemString(keywords, "recipe") : NULL;
    int32_t status;

    if (named) recipe = (int)PyLong_AsLong(named);
    if (PyErr_Occurred()) return -1;
    status = cem_trainer_defaults(options, sizeof *options, recipe);
    if (!status) status = cem_trainer_suit(options, model->handle);
    if (status) {
        core_raise(status);
        return -1;
    }
    if (core_set_options(options, core_trainer_fields, keywords)) return -1;
    return check_arrays(options, keywords, model->classes);
}

static PyObject *wrap(PyTypeObject *type, cem_trainer *handle, Model *model)
{
    Trainer *self = (Trainer *)PyType_GenericAlloc(type, 0);

    if (self) {
        self->handle = handle;
        self->classes = model->classes;
    } else {
        cem_trainer_free(handle);
    }
    return (PyObject *)self;
}

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    Model *model;
    cem_trainer_options options;
    cem_trainer *handle;
    int32_t status;
    int recipe = CEM_INTERACTIVE;

    if (!PyArg_ParseTuple(args, "O!|i:Trainer", core_Model, &model, &recipe)) return NULL;
    if (trainer_options(&options, recipe, keywords, model)) return NULL;
    WITHOUT_GIL(status, model, NULL, cem_trainer_new(&handle, model->handle, &options));
    return status ? core_raise(status) : wrap(type, handle, model);
}

static PyObject *load(PyObject *type, PyObject *args, PyObject *keywords)
{
    Model *model;
    PyObject *path, *made = NULL;
    cem_trainer_options options;
    cem_trainer *handle;
    int32_t status;
    int recipe = CEM_INTERACTIVE;

    if (!PyArg_ParseTuple(args, "O!O&|i:load", core_Model, &model, PyUnicode_FSConverter, &path,
                          &recipe))
        return NULL;
    if (!trainer_options(&options, recipe, keywords, model)) {
        WITHOUT_GIL(status, model, NULL,
                    cem_trainer_load(&handle, model->handle, &options, PyBytes_AsString(path)));
        made = status ? core_raise(status) : wrap((PyTypeObject *)type, handle, model);
    }
    Py_DECREF(path);
    return made;
}

static void dealloc(Trainer *self)
{
    cem_trainer_free(self->handle);
    core_free((PyObject *)self);
}

static PyObject *set(Trainer *self, PyObject *args)
{
    PyObject *pixels, *labels;
    cem_intensity intensity;
    long long key;
    int64_t shape[2];
    int32_t status;

    if (!PyArg_ParseTuple(args, "LOOdd:set", &key, &pixels, &labels, &intensity.offset,
                          &intensity.scale))
        return NULL;
    if (!core_is_array(pixels, "pixels", ANY_PIXELS, 2, INPUT) ||
        !core_is_array(labels, "labels", NPY_INT32, 2, INPUT))
        return NULL;
    shape[0] = DIM(pixels, 0);
    shape[1] = DIM(pixels, 1);
    if (!core_has_shape(labels, "labels", 2, shape)) return NULL;
    WITHOUT_GIL(status, self, self->handle,
                cem_trainer_set(self->handle, key, DATA(pixels), TYPE(pixels), DATA(labels),
                                shape[0], shape[1], &intensity));
    return core_none(status);
}

static PyObject *step(Trainer *self, PyObject *args)
{
    cem_trainer_report report;
    long long steps;
    int32_t status;

    if (!PyArg_ParseTuple(args, "L:step", &steps)) return NULL;
    WITHOUT_GIL(status, self, self->handle, cem_trainer_step(&report, self->handle, steps));
    return status ? core_raise(status) : core_as_dict(&report, core_report_fields);
}

static PyObject *evaluate(Trainer *self, PyObject *unused)
{
    PyObject *iou = PyArray_SimpleNew(1, &self->classes, NPY_FLOAT64);
    PyObject *pixels = PyArray_SimpleNew(1, &self->classes, NPY_INT64);
    PyObject *both = NULL;
    int32_t status;

    (void)unused;
    if (iou && pixels) {
        WITHOUT_GIL(status, self, self->handle,
                    cem_trainer_evaluate(DATA(iou), DATA(pixels), self->handle));
        both = status ? core_raise(status) : PyTuple_Pack(2, iou, pixels);
    }
    Py_XDECREF(iou);
    Py_XDECREF(pixels);
    return both;
}

/* commit and its like: `call` may change `model` too, which counts as in use. */
static PyObject *exchange(Trainer *self, PyObject *args,
                          int32_t (*call)(cem_trainer *trainer, cem_model *model))
{
    Model *model;
    int32_t status;

    if (!PyArg_ParseTuple(args, "O!", core_Model, &model)) return NULL;
    model->calls++;
    WITHOUT_GIL(status, self, self->handle, call(self->handle, model->handle));
    model->calls--;
    return core_none(status);
}

static PyObject *commit(Trainer *self, PyObject *args)
{
    return exchange(self, args, cem_trainer_commit);
}

static PyObject *snapshot(Trainer *self, PyObject *args)
{
    return exchange(self, args, cem_trainer_snapshot);
}

static PyObject *restart(Trainer *self, PyObject *args)
{
    return exchange(self, args, cem_trainer_restart);
}

static PyObject *revert(Trainer *self, PyObject *args)
{
    return exchange(self, args, cem_trainer_revert);
}

static PyObject *save(Trainer *self, PyObject *args)
{
    PyObject *path;
    int32_t status;

    if (!PyArg_ParseTuple(args, "O&:save", PyUnicode_FSConverter, &path)) return NULL;
    WITHOUT_GIL(status, self, NULL, cem_trainer_save(self->handle, PyBytes_AsString(path)));
    Py_DECREF(path);
    return core_none(status);
}

static PyObject *cancel(Trainer *self, PyObject *unused)
{
    (void)unused;
    cem_cancel(self->handle);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"load", METHOD(load), METH_VARARGS | METH_KEYWORDS | METH_CLASS, NULL},
    {"set", METHOD(set), METH_VARARGS, NULL},
    {"step", METHOD(step), METH_VARARGS, NULL},
    {"evaluate", METHOD(evaluate), METH_NOARGS, NULL},
    {"commit", METHOD(commit), METH_VARARGS, NULL},
    {"snapshot", METHOD(snapshot), METH_VARARGS, NULL},
    {"restart", METHOD(restart), METH_VARARGS, NULL},
    {"revert", METHOD(revert), METH_VARARGS, NULL},
    {"save", METHOD(save), METH_VARARGS, NULL},
    {"cancel", METHOD(cancel), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec core_trainer_spec = {"napari_cem._core.Trainer", sizeof(Trainer), 0, Py_TPFLAGS_DEFAULT,
                                 slots};
