/* The classes Tiff, which reads, and TiffWriter: two faces of one handle. */
#include "_core.h"

typedef struct {
    PyObject_HEAD cem_tiff *handle;
    int calls;
    cem_tiff_info info;
} Tiff;

static void dealloc(Tiff *self)
{
    cem_tiff_free(self->handle);
    core_free((PyObject *)self);
}

/* False, and ValueError, after close(). */
static int is_open(const Tiff *self)
{
    if (!self->handle) PyErr_SetString(PyExc_ValueError, "the file is closed");
    return self->handle != NULL;
}

/* A page of the file. */
static int is_page(const Tiff *self, PyObject *pixels, const char *name, int direction)
{
    const int64_t shape[2] = {self->info.height, self->info.width};

    return core_is_array(pixels, name, core_numpy_type(self->info.type), 2, direction) &&
           core_has_shape(pixels, name, 2, shape);
}

static PyObject *close_file(Tiff *self, PyObject *unused)
{
    (void)unused;
    if (core_refuse_if_called(self->calls, "file")) return NULL;
    cem_tiff_free(self->handle);
    self->handle = NULL;
    Py_RETURN_NONE;
}

static PyObject *dtype(Tiff *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(core_type_name(self->info.type));
}

/* ---- Reading ---- */

static int32_t open_file(Tiff *self, const char *path)
{
    int32_t status = cem_tiff_open(&self->handle, path);

    return status ? status : cem_tiff_describe(&self->info, self->handle);
}

static PyObject *new_reader(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"path", NULL};
    PyObject *path;
    Tiff *self;
    int32_t status = CEM_OK;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&:Tiff", names, PyUnicode_FSConverter,
                                     &path))
        return NULL;
    self = (Tiff *)PyType_GenericAlloc(type, 0);
    if (self) WITHOUT_GIL(status, self, NULL, open_file(self, PyBytes_AsString(path)));
    Py_DECREF(path);
    if (status) {
        Py_CLEAR(self);
        core_raise(status);
    }
    return (PyObject *)self;
}

static PyObject *read_page(Tiff *self, PyObject *args)
{
    PyObject *out;
    long long page;
    int32_t status;

    if (!PyArg_ParseTuple(args, "LO:read", &page, &out)) return NULL;
    if (!is_open(self) || !is_page(self, out, "out", OUTPUT)) return NULL;
    WITHOUT_GIL(status, self, NULL, cem_tiff_read(DATA(out), self->handle, page));
    return core_none(status);
}

/* ---- Writing ---- */

/* Fills self->info from the arguments of TiffWriter(). */
static int writer_arguments(Tiff *self, PyObject *args, PyObject *keywords, PyObject **path,
                            int *labels, int *overwrite)
{
    static char *names[] = {"path",     "pages",      "height", "width",     "dtype",
                            "pixel_nm", "spacing_nm", "labels", "overwrite", NULL};
    PyArray_Descr *descr = NULL;
    long long pages, height, width;
    int swapped;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&LLLO&|ddip:TiffWriter", names,
                                     PyUnicode_FSConverter, path, &pages, &height, &width,
                                     PyArray_DescrConverter, &descr, &self->info.pixel_nm,
                                     &self->info.spacing_nm, labels, overwrite)) {
        Py_XDECREF((PyObject *)descr);
        return -1;
    }
    self->info.pages = pages;
    self->info.height = height;
    self->info.width = width;
    self->info.type = core_pixel_type(descr->type_num);
    swapped = !PyArray_ISNBO(descr->byteorder);
    if (!self->info.type || swapped)
        PyErr_Format(PyExc_TypeError,
                     "dtype is %S, must be native 8-, 16- or 32-bit integer or float", descr);
    Py_DECREF((PyObject *)descr);
    if (!PyErr_Occurred()) return 0;
    Py_CLEAR(*path);
    return -1;
}

static PyObject *new_writer(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    Tiff *self = (Tiff *)PyType_GenericAlloc(type, 0);
    PyObject *path = NULL;
    int labels = 0, overwrite = 0;
    int32_t status;

    if (!self) return NULL;
    if (writer_arguments(self, args, keywords, &path, &labels, &overwrite)) {
        Py_DECREF(self);
        return NULL;
    }
    WITHOUT_GIL(
        status, self, NULL,
        cem_tiff_new(&self->handle, PyBytes_AsString(path), &self->info, labels, overwrite));
    Py_DECREF(path);
    if (status) {
        Py_CLEAR(self);
        core_raise(status);
    }
    return (PyObject *)self;
}

static PyObject *write_page(Tiff *self, PyObject *args)
{
    PyObject *pixels;
    int32_t status;

    if (!PyArg_ParseTuple(args, "O:write", &pixels)) return NULL;
    if (!is_open(self) || !is_page(self, pixels, "pixels", INPUT)) return NULL;
    WITHOUT_GIL(status, self, NULL, cem_tiff_write(self->handle, DATA(pixels)));
    return core_none(status);
}

static PyObject *finish(Tiff *self, PyObject *unused)
{
    int32_t status;

    (void)unused;
    if (!is_open(self)) return NULL;
    WITHOUT_GIL(status, self, NULL, cem_tiff_finish(self->handle));
    return core_none(status);
}

/* ---- The classes ---- */

static PyMemberDef members[] = {
    {"pages", T_LONGLONG, offsetof(Tiff, info.pages), READONLY, NULL},
    {"height", T_LONGLONG, offsetof(Tiff, info.height), READONLY, NULL},
    {"width", T_LONGLONG, offsetof(Tiff, info.width), READONLY, NULL},
    {"pixel_nm", T_DOUBLE, offsetof(Tiff, info.pixel_nm), READONLY, NULL},
    {"spacing_nm", T_DOUBLE, offsetof(Tiff, info.spacing_nm), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"dtype", (getter)dtype, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef reader_methods[] = {
    {"read", METHOD(read_page), METH_VARARGS, NULL},
    {"close", METHOD(close_file), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef writer_methods[] = {
    {"write", METHOD(write_page), METH_VARARGS, NULL},
    {"finish", METHOD(finish), METH_NOARGS, NULL},
    {"close", METHOD(close_file), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_new, new_reader},  {Py_tp_dealloc, dealloc},   {Py_tp_methods, reader_methods},
    {Py_tp_members, members}, {Py_tp_getset, properties}, {0, NULL},
};

static PyType_Slot writer_slots[] = {
    {Py_tp_new, new_writer},  {Py_tp_dealloc, dealloc},   {Py_tp_methods, writer_methods},
    {Py_tp_members, members}, {Py_tp_getset, properties}, {0, NULL},
};

PyType_Spec core_tiff_spec = {"napari_cem._core.Tiff", sizeof(Tiff), 0, Py_TPFLAGS_DEFAULT,
                              reader_slots};
PyType_Spec core_tiff_writer_spec = {"napari_cem._core.TiffWriter", sizeof(Tiff), 0,
                                     Py_TPFLAGS_DEFAULT, writer_slots};
