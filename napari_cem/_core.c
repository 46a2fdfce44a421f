/* _core.c - libcem for Python: arguments in, status out, and nothing else (see _core.h). */
#define CORE_IMPORTS_NUMPY
#include "_core.h"

#include <string.h>

/* ---- Library ---- */

static PyObject *version(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyUnicode_FromString(cem_version());
}

static PyObject *backend(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyUnicode_FromString(cem_backend());
}

static PyObject *cores(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromLong(cem_cores());
}

static PyObject *model_defaults(PyObject *module, PyObject *unused)
{
    cem_model_options options;
    int32_t status = cem_model_defaults(&options, sizeof options);

    (void)module, (void)unused;
    return status ? core_raise(status) : core_as_dict(&options, core_model_fields);
}

static PyObject *predict_defaults(PyObject *module, PyObject *unused)
{
    cem_predict_options options;
    int32_t status = cem_predict_defaults(&options, sizeof options);

    (void)module, (void)unused;
    return status ? core_raise(status) : core_as_dict(&options, core_predict_fields);
}

static PyObject *trainer_defaults(PyObject *module, PyObject *args)
{
    cem_trainer_options options;
    Model *model = NULL;
    int32_t status;
    int recipe;

    (void)module;
    if (!PyArg_ParseTuple(args, "i|O!:trainer_defaults", &recipe, core_Model, &model)) return NULL;
    status = cem_trainer_defaults(&options, sizeof options, recipe);
    if (!status && model) status = cem_trainer_suit(&options, model->handle);
    return status ? core_raise(status) : core_as_dict(&options, core_trainer_fields);
}

static PyObject *predict_tiles(PyObject *module, PyObject *args, PyObject *keywords)
{
    cem_predict_options options;
    long long depth, height, width;
    int64_t tiles;

    (void)module;
    if (!PyArg_ParseTuple(args, "LLL:predict_tiles", &depth, &height, &width)) return NULL;
    if (core_predict_options(&options, keywords)) return NULL;
    tiles = cem_predict_tiles(depth, height, width, &options);
    return tiles < 0 ? core_raise((int32_t)tiles) : PyLong_FromLongLong(tiles);
}

/* ---- Statistics: a cem_statistics in a uint8 array ---- */

static int is_statistics(PyObject *state, int direction)
{
    const int64_t size = sizeof(cem_statistics);

    return core_is_array(state, "state", NPY_UINT8, 1, direction) &&
           core_has_shape(state, "state", 1, &size);
}

static PyObject *statistics_new(PyObject *module, PyObject *unused)
{
    npy_intp size = sizeof(cem_statistics);

    (void)module, (void)unused;
    return PyArray_ZEROS(1, &size, NPY_UINT8, 0);
}

static PyObject *statistics_add(PyObject *module, PyObject *args)
{
    PyObject *state, *pixels;
    cem_statistics statistics;
    PyThreadState *thread;
    int32_t status;

    (void)module;
    if (!PyArg_ParseTuple(args, "OO:statistics_add", &state, &pixels)) return NULL;
    if (!is_statistics(state, OUTPUT)) return NULL;
    if (!core_is_array(pixels, "pixels", ANY_PIXELS, ANY_NDIM, INPUT)) return NULL;
    memcpy(&statistics, DATA(state), sizeof statistics);
    thread = PyEval_SaveThread();
    status = cem_statistics_add(&statistics, DATA(pixels), TYPE(pixels),
                                PyArray_SIZE((PyArrayObject *)pixels));
    PyEval_RestoreThread(thread);
    if (!status) memcpy(DATA(state), &statistics, sizeof statistics);
    return core_none(status);
}

static PyObject *statistics_get(PyObject *module, PyObject *state)
{
    cem_statistics statistics;

    (void)module;
    if (!is_statistics(state, INPUT)) return NULL;
    memcpy(&statistics, DATA(state), sizeof statistics);
    return core_as_dict(&statistics, core_statistics_fields);
}

static PyObject *intensity_measure(PyObject *module, PyObject *state)
{
    cem_statistics statistics;
    cem_intensity intensity;
    int32_t status;

    (void)module;
    if (!is_statistics(state, INPUT)) return NULL;
    memcpy(&statistics, DATA(state), sizeof statistics);
    status = cem_intensity_measure(&intensity, &statistics);
    if (status) return core_raise(status);
    return Py_BuildValue("(dd)", intensity.offset, intensity.scale);
}

/* ---- The module ---- */

static PyMethodDef functions[] = {
    {"version", version, METH_NOARGS, NULL},
    {"backend", backend, METH_NOARGS, NULL},
    {"cores", cores, METH_NOARGS, NULL},
    {"model_defaults", model_defaults, METH_NOARGS, NULL},
    {"predict_defaults", predict_defaults, METH_NOARGS, NULL},
    {"trainer_defaults", trainer_defaults, METH_VARARGS, NULL},
    {"predict_tiles", METHOD(predict_tiles), METH_VARARGS | METH_KEYWORDS, NULL},
    {"statistics_new", statistics_new, METH_NOARGS, NULL},
    {"statistics_add", statistics_add, METH_VARARGS, NULL},
    {"statistics_get", statistics_get, METH_O, NULL},
    {"intensity_measure", intensity_measure, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

#define CONSTANT(name)                                                                             \
    {                                                                                              \
#name, CEM_##name                                                                          \
    }
static const struct {
    const char *name;
    long value;
} constants[] = {
    CONSTANT(PROBABILITIES),
    CONSTANT(LOGITS),
    CONSTANT(INTERACTIVE),
    CONSTANT(CEM500K),
    CONSTANT(ADAMW),
    CONSTANT(SGD),
    CONSTANT(CONSTANT),
    CONSTANT(ONECYCLE),
    CONSTANT(POLY),
    CONSTANT(MULTISTEP),
    CONSTANT(CROP_NONEMPTY),
    CONSTANT(RESIZED_CROP),
    CONSTANT(ROTATE),
    CONSTANT(BRIGHTNESS_CONTRAST),
    CONSTANT(GAUSS_NOISE),
    CONSTANT(GAUSSIAN_BLUR),
    CONSTANT(FLIPS),
    CONSTANT(SAMPLE_SLICES),
    CONSTANT(CONTRAST_SLICES),
    CONSTANT(IMAGE),
    CONSTANT(VOLUME),
    CONSTANT(FEATURES),
};

static int add_constants(PyObject *module)
{
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value)) return -1;
    return 0;
}

static PyObject *add_class(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);

    if (type && PyModule_AddType(module, (PyTypeObject *)type)) Py_CLEAR(type);
    return type;
}

static int add_classes(PyObject *module)
{
    PyType_Spec *specs[] = {&core_trainer_spec, &core_tiff_spec, &core_tiff_writer_spec};

    core_Model = (PyTypeObject *)add_class(module, &core_model_spec);
    if (!core_Model) return -1;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        PyObject *type = add_class(module, specs[i]);

        if (!type) return -1;
        Py_DECREF(type); /* the module keeps it */
    }
    return 0;
}

static int add_cancelled(PyObject *module)
{
    core_cancelled = PyErr_NewExceptionWithDoc("napari_cem.Cancelled",
                                               "The call was stopped by cancel().", NULL, NULL);
    return core_cancelled ? PyModule_AddObjectRef(module, "Cancelled", core_cancelled) : -1;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_core", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module;

    import_array();
    if (strcmp(cem_version(), CEM_VERSION))
        return PyErr_Format(PyExc_ImportError,
                            "libcem is of version %s but napari_cem is %s; install it again",
                            cem_version(), CEM_VERSION);
    module = PyModule_Create(&definition);
    if (module && (PyModule_AddFunctions(module, core_curate_functions) || add_cancelled(module) ||
                   add_classes(module) || add_constants(module) || core_add_volume(module)))
        Py_CLEAR(module);
    return module;
}
