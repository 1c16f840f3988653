/* SPDX-License-Identifier: MIT */
#include "filewrapper.h"

#include <structmember.h>
#include <sys/stat.h>

#define BLOCK_BYTES 8192

struct filewrapper {
    PyObject_HEAD PyObject *filelike;
    PyObject *blksize;
};

static PyObject *wrapper_new(PyTypeObject *type, PyObject *args,
                             PyObject *kwargs)
{
    char filelike_name[] = "filelike";
    char blksize_name[] = "blksize";
    char *names[] = {filelike_name, blksize_name, NULL};
    PyObject *filelike;
    Py_ssize_t blksize = BLOCK_BYTES;
    owned PyObject *size = NULL;
    struct filewrapper *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|n:FileWrapper", names,
                                     &filelike, &blksize))
        return NULL;
    size = PyLong_FromSsize_t(blksize > 0 ? blksize : BLOCK_BYTES);
    if (!size)
        return NULL;
    self = (struct filewrapper *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(
        type, 0);
    if (!self)
        return NULL;
    self->filelike = Py_NewRef(filelike);
    self->blksize = give(&size);
    return (PyObject *)self;
}

static int wrapper_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct filewrapper *self = (struct filewrapper *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->filelike);
    return 0;
}

static int wrapper_clear(PyObject *object)
{
    Py_CLEAR(((struct filewrapper *)object)->filelike);
    return 0;
}

static void wrapper_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    wrapper_clear(object);
    Py_CLEAR(((struct filewrapper *)object)->blksize);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyObject *wrapper_next(PyObject *object)
{
    struct filewrapper *self = (struct filewrapper *)object;
    owned PyObject *block = PyObject_CallMethod(self->filelike, "read", "O",
                                                self->blksize);

    if (block && PyObject_Size(block) == 0)
        return NULL; /* the end */
    return PyErr_Occurred() ? NULL : give(&block);
}

/* The old iteration protocol, which Gunicorn's wrapper offers as well. */
static PyObject *wrapper_item(PyObject *object, Py_ssize_t index)
{
    PyObject *block = wrapper_next(object);

    (void)index;
    if (!block && !PyErr_Occurred())
        PyErr_SetNone(PyExc_IndexError);
    return block;
}

static PyObject *wrapper_close(PyObject *object, PyObject *args)
{
    struct filewrapper *self = (struct filewrapper *)object;
    owned PyObject *close = PyObject_GetAttrString(self->filelike, "close");

    (void)args;
    if (!close) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return NULL;
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return PyObject_CallNoArgs(close);
}

static int make_type(struct filewrapper_kit *kit)
{
    static PyMethodDef methods[] = {
        {"close", wrapper_close, METH_NOARGS, NULL},
        {NULL, NULL, 0, NULL},
    };
    static PyMemberDef members[] = {
        {"filelike", T_OBJECT, offsetof(struct filewrapper, filelike), READONLY,
         NULL},
        {"blksize", T_OBJECT, offsetof(struct filewrapper, blksize), READONLY,
         NULL},
        {NULL, 0, 0, 0, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_new, (void *)wrapper_new},
        {Py_tp_dealloc, (void *)wrapper_dealloc},
        {Py_tp_traverse, (void *)wrapper_traverse},
        {Py_tp_clear, (void *)wrapper_clear},
        {Py_tp_iter, (void *)PyObject_SelfIter},
        {Py_tp_iternext, (void *)wrapper_next},
        {Py_sq_item, (void *)wrapper_item},
        {Py_tp_methods, methods},
        {Py_tp_members, members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "gcorn.FileWrapper",
        .basicsize = sizeof(struct filewrapper),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };

    kit->type = (PyTypeObject *)PyType_FromSpec(&spec);
    return kit->type ? 0 : -1;
}

int filewrapper_kit_init(struct filewrapper_kit *kit)
{
    static const char *const plain[] = {"BufferedReader", "BufferedRandom",
                                        "FileIO"};
    owned PyObject *io = PyImport_ImportModule("io");
    size_t i;

    memset(kit, 0, sizeof(*kit));
    for (i = 0; io && i < ARRAY_SIZE(plain); i++)
        if (!(kit->plain[i] = PyObject_GetAttrString(io, plain[i])))
            return -1;
    return io ? make_type(kit) : -1;
}

void filewrapper_kit_done(struct filewrapper_kit *kit)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(kit->plain); i++)
        Py_CLEAR(kit->plain[i]);
    Py_CLEAR(kit->type);
}

static bool is_plain(const struct filewrapper_kit *kit, PyObject *file)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(kit->plain); i++)
        if ((PyObject *)Py_TYPE(file) == kit->plain[i])
            return true;
    return false;
}

/*
 * The plain file whose own read() the file-like object offers: itself, or the
 * one inside a thin wrapper such as Django's File. Others may have a fileno()
 * too, but of other bytes than read() gives: a GzipFile, or a file whose read
 * was replaced. NULL without exception: none.
 */
static PyObject *plain_file(const struct filewrapper_kit *kit,
                            PyObject *filelike)
{
    owned PyObject *read = PyObject_GetAttrString(filelike, "read");
    owned PyObject *file = NULL;

    if (read && PyCFunction_Check(read))
        file = PyObject_GetAttrString(read, "__self__");
    PyErr_Clear();
    return file && is_plain(kit, file) ? give(&file) : NULL;
}

bool filewrapper_range(const struct filewrapper_kit *kit, PyObject *wrapper,
                       int *ret_fd, uint64_t *ret_off, uint64_t *ret_len)
{
    owned PyObject *file =
        plain_file(kit, ((struct filewrapper *)wrapper)->filelike);
    owned PyObject *tell = NULL;
    struct stat st;
    long long off;
    int fd;

    if (!file)
        return false;
    fd = PyObject_AsFileDescriptor(file);
    tell = fd >= 0 ? PyObject_CallMethod(file, "tell", NULL) : NULL;
    off = tell ? PyLong_AsLongLong(tell) : -1;
    if (off < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        PyErr_Clear(); /* a pipe cannot tell: it is read like any other */
        return false;
    }
    if (off >= st.st_size)
        return false; /* at its end, or one of the kernel's, whose sizes lie */
    *ret_fd = fd;
    *ret_off = (uint64_t)off;
    *ret_len = (uint64_t)(st.st_size - off);
    return true;
}
