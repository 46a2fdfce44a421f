/* Calls without the GIL that Ctrl-C can stop, and what a status means to Python. */
#include "_core.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

PyObject *core_cancelled;

/* A signal handler's own exception, KeyboardInterrupt, wins over Cancelled. */
PyObject *core_raise(int32_t status)
{
    PyObject *type = status == CEM_EARGUMENT    ? PyExc_ValueError
                     : status == CEM_EFORMAT    ? PyExc_ValueError
                     : status == CEM_EMEMORY    ? PyExc_MemoryError
                     : status == CEM_EFILE      ? PyExc_OSError
                     : status == CEM_ECANCELLED ? core_cancelled
                                                : PyExc_RuntimeError;

    if (status == CEM_ECANCELLED && PyErr_CheckSignals()) return NULL;
    PyErr_SetString(type, cem_last_error());
    return NULL;
}

PyObject *core_none(int32_t status)
{
    if (status) return core_raise(status);
    Py_RETURN_NONE;
}

static _Atomic(void *) called; /* the main thread's handle in use */
static struct sigaction python_handler;

static void on_interrupt(int signal, siginfo_t *info, void *context)
{
    cem_cancel(atomic_load(&called));
    if (python_handler.sa_flags & SA_SIGINFO) python_handler.sa_sigaction(signal, info, context);
    else python_handler.sa_handler(signal);
}

int core_watch(void *handle)
{
    struct sigaction ours = {.sa_sigaction = on_interrupt};

    if (!handle || syscall(SYS_gettid) != getpid()) return 0;
    if (sigaction(SIGINT, NULL, &python_handler)) return 0;
    if (!(python_handler.sa_flags & SA_SIGINFO) &&
        (python_handler.sa_handler == SIG_DFL || python_handler.sa_handler == SIG_IGN))
        return 0;
    ours.sa_flags = SA_SIGINFO | python_handler.sa_flags;
    ours.sa_mask = python_handler.sa_mask;
    atomic_store(&called, handle);
    return sigaction(SIGINT, &ours, NULL) == 0;
}

void core_unwatch(void)
{
    sigaction(SIGINT, &python_handler, NULL);
    atomic_store(&called, NULL);
}

int core_refuse_if_called(int calls, const char *what)
{
    if (calls) PyErr_Format(PyExc_RuntimeError, "the %s is in use by another call", what);
    return calls ? -1 : 0;
}

void core_free(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_Free(object);
    Py_DECREF(type);
}
