/* What the files of the extension module share.
 *
 *   _core.c          the module and its functions
 *   _core_volume.c   functions that measure volumes
 *   _core_model.c    the class Model
 *   _core_trainer.c  the class Trainer
 *   _core_tiff.c     the classes Tiff and TiffWriter
 *   _core_curate.c   functions of curation
 *   _core_values.c   arrays, options and reports between Python and C
 *   _core_calls.c    calls without the GIL, and errors
 *
 * Every method parses, checks the arrays, releases the GIL, calls, takes it back, and raises or
 * returns.  Arrays of another type or layout are refused, never converted: conversion is the
 * business of the Python modules above.  _core.pyi describes what is here. */
#ifndef CEM_CORE_H
#define CEM_CORE_H

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL napari_cem_core_numpy
#ifndef CORE_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "cem.h"

/* ---- Errors ---- */

extern PyObject *core_cancelled; /* the exception Cancelled */

/* The one place where a status becomes an exception; NULL. */
PyObject *core_raise(int32_t status);

/* None, or NULL with the status raised. */
PyObject *core_none(int32_t status);

/* ---- Calls ---- */

/* Lets Ctrl-C cancel `handle` besides what else it does, if this is the main thread, where Python
 * raises KeyboardInterrupt.  Returns whether core_unwatch() has something to undo. */
int core_watch(void *handle);
void core_unwatch(void);

/* Runs `call`, an expression over libcem, without the GIL.  `object` counts the calls in progress,
 * so that nothing is freed, and no borrowed text is read, under one.  `handle` is what Ctrl-C
 * cancels, or NULL. */
#define WITHOUT_GIL(status, object, handle, call)                                                  \
    do {                                                                                           \
        int watching = core_watch(handle);                                                         \
        PyThreadState *thread;                                                                     \
        (object)->calls++;                                                                         \
        thread = PyEval_SaveThread();                                                              \
        (status) = (call);                                                                         \
        PyEval_RestoreThread(thread);                                                              \
        (object)->calls--;                                                                         \
        if (watching) core_unwatch();                                                              \
    } while (0)

/* RuntimeError and -1 if `calls` is not 0. */
int core_refuse_if_called(int calls, const char *what);

/* ---- Arrays ---- */

#define ANY_PIXELS (-1)
#define ANY_NDIM (-1)
enum { INPUT = 0, OUTPUT = 1 };

/* The CEM_* type of NumPy's type `number`, or 0; and back. */
int32_t core_pixel_type(int number);
int core_numpy_type(int32_t type);
const char *core_type_name(int32_t type);

/* True if `object` is a C-contiguous, aligned array of NumPy's type `number` in native byte order
 * with `ndim` dimensions, writeable if it is for OUTPUT; else TypeError. */
int core_is_array(PyObject *object, const char *name, int number, int ndim, int direction);

/* True if the array's first `ndim` sizes are `shape`; else ValueError. */
int core_has_shape(PyObject *object, const char *name, int ndim, const int64_t *shape);

#define DATA(object) PyArray_DATA((PyArrayObject *)(object))
#define DIM(object, axis) PyArray_DIM((PyArrayObject *)(object), axis)
#define TYPE(object) core_pixel_type(PyArray_TYPE((PyArrayObject *)(object)))

/* ---- Options and reports: C structs as dictionaries ---- */

enum kind { I32, I64, U64, F64, WIDTHS, DOUBLES, INTEGERS };

/* One member of a struct; a list of them ends with a NULL name. */
struct field {
    const char *name;
    size_t at;
    enum kind kind;
};
extern const struct field core_model_fields[], core_predict_fields[], core_trainer_fields[],
    core_report_fields[], core_statistics_fields[];

PyObject *core_as_dict(const void *object, const struct field *fields);

/* Sets one member; None leaves it as it is. */
int core_set_option(void *options, const struct field *field, PyObject *value);

/* Sets the members named by `keywords`, a dictionary or NULL. */
int core_set_options(void *options, const struct field *fields, PyObject *keywords);

/* The library's defaults, and `keywords` over them. */
int core_predict_options(cem_predict_options *options, PyObject *keywords);

/* ---- Functions ---- */

extern PyMethodDef core_curate_functions[];

/* ---- Classes ---- */

typedef struct {
    PyObject_HEAD cem_model *handle;
    int calls;
    int32_t classes; /* kept here: it never changes, and a call may be changing the card */
} Model;

extern PyTypeObject *core_Model;
extern PyType_Spec core_model_spec, core_trainer_spec, core_tiff_spec, core_tiff_writer_spec;

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

/* Adds the functions of _core_volume.c. */
int core_add_volume(PyObject *module);

/* Ends `object` of a class without members that are Python's. */
void core_free(PyObject *object);

#endif
