/* Arrays that are refused rather than converted, and the library's structs as dictionaries. */
#include "_core.h"

#include <stddef.h>

static const struct {
    int number;
    int32_t type;
    const char *name;
} pixel_types[] = {
    {NPY_UINT8, CEM_U8, "uint8"},      {NPY_UINT16, CEM_U16, "uint16"},
    {NPY_UINT32, CEM_U32, "uint32"},   {NPY_INT8, CEM_I8, "int8"},
    {NPY_INT16, CEM_I16, "int16"},     {NPY_INT32, CEM_I32, "int32"},
    {NPY_FLOAT32, CEM_F32, "float32"}, {NPY_FLOAT64, CEM_F64, "float64"},
};
#define PIXEL_TYPES (sizeof pixel_types / sizeof *pixel_types)

int32_t core_pixel_type(int number)
{
    for (size_t i = 0; i < PIXEL_TYPES; i++)
        if (pixel_types[i].number == number) return pixel_types[i].type;
    return 0;
}

int core_numpy_type(int32_t type)
{
    for (size_t i = 0; i < PIXEL_TYPES; i++)
        if (pixel_types[i].type == type) return pixel_types[i].number;
    return NPY_NOTYPE;
}

const char *core_type_name(int32_t type)
{
    for (size_t i = 0; i < PIXEL_TYPES; i++)
        if (pixel_types[i].type == type) return pixel_types[i].name;
    return "";
}

static void refuse_type(const char *name, PyArrayObject *array, int number)
{
    PyArray_Descr *wanted = PyArray_DescrFromType(number);

    PyErr_Format(PyExc_TypeError, "%s is %S, must be %S", name, PyArray_DESCR(array), wanted);
    Py_XDECREF((PyObject *)wanted);
}

int core_is_array(PyObject *object, const char *name, int number, int ndim, int direction)
{
    PyArrayObject *array = (PyArrayObject *)object;

    if (!PyArray_Check(object))
        PyErr_Format(PyExc_TypeError, "%s must be a NumPy array, not %R", name, Py_TYPE(object));
    else if (number == ANY_PIXELS && !TYPE(object))
        PyErr_Format(PyExc_TypeError, "%s is %S, must be 8-, 16- or 32-bit integer or float", name,
                     PyArray_DESCR(array));
    else if (number != ANY_PIXELS && PyArray_TYPE(array) != number)
        refuse_type(name, array, number);
    else if (ndim != ANY_NDIM && PyArray_NDIM(array) != ndim)
        PyErr_Format(PyExc_TypeError, "%s has %d dimensions, must have %d", name,
                     PyArray_NDIM(array), ndim);
    else if (!PyArray_ISCARRAY_RO(array))
        PyErr_Format(PyExc_TypeError, "%s must be C-contiguous, aligned and in native byte order",
                     name);
    else if (direction == OUTPUT && !PyArray_ISWRITEABLE(array))
        PyErr_Format(PyExc_TypeError, "%s is read-only, must be writeable", name);
    else return 1;
    return 0;
}

int core_has_shape(PyObject *object, const char *name, int ndim, const int64_t *shape)
{
    PyArrayObject *array = (PyArrayObject *)object;

    for (int i = 0; i < ndim; i++)
        if (PyArray_DIM(array, i) != shape[i]) {
            PyErr_Format(PyExc_ValueError, "%s is %lld along axis %d, must be %lld", name,
                         (long long)PyArray_DIM(array, i), i, (long long)shape[i]);
            return 0;
        }
    return 1;
}

#define MODEL(name, kind)                                                                          \
    {                                                                                              \
#name, offsetof(cem_model_options, name), kind                                             \
    }
const struct field core_model_fields[] = {
    MODEL(classes, I32), MODEL(seed, U64), MODEL(widths, WIDTHS), {NULL, 0, I32}};

#define PREDICT(name, kind)                                                                        \
    {                                                                                              \
#name, offsetof(cem_predict_options, name), kind                                           \
    }
const struct field core_predict_fields[] = {
    PREDICT(tile, I64),  PREDICT(halo, I64),          PREDICT(first_tile, I64),
    PREDICT(tiles, I64), PREDICT(threads, I32),       PREDICT(output, I32),
    PREDICT(slice, I64), PREDICT(feature_bytes, I64), {NULL, 0, I32}};

#define TRAINER(name, kind)                                                                        \
    {                                                                                              \
#name, offsetof(cem_trainer_options, name), kind                                           \
    }
const struct field core_trainer_fields[] = {TRAINER(seed, U64),
                                            TRAINER(steps, I64),
                                            TRAINER(batch, I64),
                                            TRAINER(crop, I64),
                                            TRAINER(feature_bytes, I64),
                                            TRAINER(class_weights, DOUBLES),
                                            TRAINER(milestones, INTEGERS),
                                            TRAINER(learning_rate, F64),
                                            TRAINER(weight_decay, F64),
                                            TRAINER(momentum, F64),
                                            TRAINER(power, F64),
                                            TRAINER(body_rate, F64),
                                            TRAINER(recipe, I32),
                                            TRAINER(optimizer, I32),
                                            TRAINER(schedule, I32),
                                            TRAINER(first_stage, I32),
                                            TRAINER(train_norms, I32),
                                            TRAINER(dense, I32),
                                            TRAINER(restatistics, I32),
                                            TRAINER(augmentations, I32),
                                            TRAINER(threads, I32),
                                            {NULL, 0, I32}};

#define REPORT(name, kind)                                                                         \
    {                                                                                              \
#name, offsetof(cem_trainer_report, name), kind                                            \
    }
const struct field core_report_fields[] = {REPORT(step, I64), REPORT(held_out, I64),
                                           REPORT(loss, F64), REPORT(rate, F64),
                                           REPORT(iou, F64),  {NULL, 0, I32}};

#define STATISTICS(name, kind)                                                                     \
    {                                                                                              \
#name, offsetof(cem_statistics, name), kind                                                \
    }
const struct field core_statistics_fields[] = {
    STATISTICS(count, I64),   STATISTICS(at_minimum, I64), STATISTICS(at_maximum, I64),
    STATISTICS(minimum, F64), STATISTICS(maximum, F64),    STATISTICS(shift, F64),
    STATISTICS(sum, F64),     STATISTICS(squares, F64),    {NULL, 0, I32}};

static PyObject *get_widths(const int32_t *widths)
{
    return Py_BuildValue("(iiiii)", widths[0], widths[1], widths[2], widths[3], widths[4]);
}

static PyObject *get_field(const char *at, enum kind kind)
{
    switch (kind) {
    case I32:
        return PyLong_FromLong(*(const int32_t *)at);
    case I64:
        return PyLong_FromLongLong(*(const int64_t *)at);
    case U64:
        return PyLong_FromUnsignedLongLong(*(const uint64_t *)at);
    case F64:
        return PyFloat_FromDouble(*(const double *)at);
    case WIDTHS:
        return get_widths((const int32_t *)at);
    default: /* an array: no default is anything but NULL */
        Py_RETURN_NONE;
    }
}

PyObject *core_as_dict(const void *object, const struct field *fields)
{
    PyObject *dict = PyDict_New();

    for (; dict && fields->name; fields++) {
        PyObject *value = get_field((const char *)object + fields->at, fields->kind);

        if (!value || PyDict_SetItemString(dict, fields->name, value)) Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

static int to_integer(int64_t *out, const char *name, PyObject *value, int64_t low, int64_t high)
{
    int overflow;
    PyObject *index = PyNumber_Index(value);

    if (!index) return -1;
    *out = PyLong_AsLongLongAndOverflow(index, &overflow);
    Py_DECREF(index);
    if (!overflow && *out >= low && *out <= high) return 0;
    PyErr_Format(PyExc_ValueError, "%s is %S, must be from %lld to %lld", name, value,
                 (long long)low, (long long)high);
    return -1;
}

static int to_unsigned(uint64_t *out, const char *name, PyObject *value)
{
    PyObject *index = PyNumber_Index(value);

    if (!index) return -1;
    *out = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    if (!PyErr_Occurred()) return 0;
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "%s is %S, must be from 0 to 2**64 - 1", name, value);
    return -1;
}

static int to_widths(int32_t *out, const char *name, PyObject *value)
{
    if (PySequence_Size(value) != 5) {
        if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "%s must be 5 integers", name);
        return -1;
    }
    for (int i = 0; i < 5; i++) {
        PyObject *item = PySequence_GetItem(value, i);
        int64_t width;
        int failed = !item || to_integer(&width, name, item, INT32_MIN, INT32_MAX);

        Py_XDECREF(item);
        if (failed) return -1;
        out[i] = (int32_t)width;
    }
    return 0;
}

static int to_array(const void **out, const char *name, PyObject *value, int number)
{
    if (!core_is_array(value, name, number, 1, INPUT)) return -1;
    *out = DATA(value);
    return 0;
}

int core_set_option(void *options, const struct field *field, PyObject *value)
{
    char *at = (char *)options + field->at;
    int64_t integer;

    if (value == Py_None) return 0;
    switch (field->kind) {
    case I32:
        if (to_integer(&integer, field->name, value, INT32_MIN, INT32_MAX)) return -1;
        *(int32_t *)at = (int32_t)integer;
        return 0;
    case I64:
        return to_integer((int64_t *)at, field->name, value, INT64_MIN, INT64_MAX);
    case U64:
        return to_unsigned((uint64_t *)at, field->name, value);
    case F64:
        *(double *)at = PyFloat_AsDouble(value);
        return PyErr_Occurred() ? -1 : 0;
    case WIDTHS:
        return to_widths((int32_t *)at, field->name, value);
    case DOUBLES:
        return to_array((const void **)at, field->name, value, NPY_FLOAT64);
    default:
        return to_array((const void **)at, field->name, value, NPY_INT64);
    }
}

int core_set_options(void *options, const struct field *fields, PyObject *keywords)
{
    PyObject *key, *value;
    Py_ssize_t place = 0;

    while (keywords && PyDict_Next(keywords, &place, &key, &value)) {
        const struct field *field = fields;

        while (field->name && PyUnicode_CompareWithASCIIString(key, field->name)) field++;
        if (!field->name) {
            PyErr_Format(PyExc_TypeError, "there is no option %R", key);
            return -1;
        }
        if (core_set_option(options, field, value)) return -1;
    }
    return 0;
}

int core_predict_options(cem_predict_options *options, PyObject *keywords)
{
    int32_t status = cem_predict_defaults(options, sizeof *options);

    if (!status) return core_set_options(options, core_predict_fields, keywords);
    core_raise(status);
    return -1;
}
