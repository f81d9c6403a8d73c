/* `take`, `symbols` and `take_v2` of `ecpmon.agents.taking` in C, for whoever had a compiler when this was installed (ui/build.py, hatch hook).

   They take and tell the same as those in Python, which say what that is; tests/unit/agents/test_twins.py holds them
   equal. Nothing is read that does not lie between `at` and `end`, and nothing is built but what is taken. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "doubles are copied as they stand, which is little-endian"
#endif

#define LARGEST 1e100 /* model.samples.LARGEST */

static PyObject *malformed; /* protobuf.Malformed */

/* Where a message goes on, and where it ends. */
typedef struct {
    const uint8_t *at, *end;
} Part;

static int broken(const char *why)
{
    PyErr_SetString(malformed, why);
    return 0;
}

static int varint(Part *part, uint64_t *value)
{
    const uint8_t *at = part->at;
    *value = 0;
    for (int n = 0; n < 10 && at < part->end; n++) {
        uint8_t byte = *at++;
        *value |= (uint64_t)(byte & 0x7f) << (7 * n);
        if (byte < 0x80) {
            part->at = at;
            return 1;
        }
    }
    return broken("a number is cut short, or too long");
}

/* What is as long as the number here says; `part` goes on behind it. */
static int nested(Part *part, Part *inner)
{
    uint64_t length;
    if (!varint(part, &length))
        return 0;
    if (length > (uint64_t)(part->end - part->at))
        return broken("a field ends after its message");
    inner->at = part->at;
    inner->end = part->at += length;
    return 1;
}

/* Past a field that is none of ours. */
static int pass(Part *part)
{
    uint64_t tag;
    Part inner;
    if (!varint(part, &tag))
        return 0;
    if (!(tag >> 3))
        return broken("a field has the number 0");
    switch (tag & 7) {
    case 0:
        return varint(part, &tag);
    case 1:
    case 5: {
        Py_ssize_t size = (tag & 7) == 1 ? 8 : 4;
        if (part->end - part->at < size)
            return broken("a field ends after its message");
        part->at += size;
        return 1;
    }
    case 2:
        return nested(part, &inner);
    }
    return broken("a field has an unknown wire type");
}

/* 1: a sample that can be stored; 0: it has to be looked at closely; -1: it is none. */
static int sample(Part part, int64_t oldest, int64_t latest, int64_t *ms, double *value)
{
    uint64_t time = 0;
    *value = 0.0;
    if (part.end - part.at >= 9 && *part.at == 0x09) {
        memcpy(value, part.at + 1, 8);
        part.at += 9;
    }
    if (part.at < part.end && *part.at == 0x10) {
        part.at++;
        if (!varint(&part, &time))
            return -1;
    }
    *ms = (int64_t)time;
    /* A NaN is not in this range. */
    return part.at == part.end && *ms >= 0 && *value >= -LARGEST && *value <= LARGEST && oldest <= *ms && *ms <= latest;
}

/* The lists that samples of a tenant and instant go to; of the last one remembered, as most follow their like. */
typedef struct {
    PyObject *groups, *tenant, *numbers, *values; /* all borrowed */
    int64_t ms;
} Group;

static int find(Group *group, PyObject *tenant, int64_t ms)
{
    if (group->tenant == tenant && group->ms == ms)
        return 1;
    PyObject *time = PyLong_FromLongLong(ms), *key = time ? PyTuple_Pack(2, tenant, time) : NULL;
    Py_XDECREF(time);
    if (!key)
        return 0;
    PyObject *pair = PyDict_GetItemWithError(group->groups, key);
    if (!pair && !PyErr_Occurred()) {
        PyObject *numbers = PyList_New(0), *values = PyList_New(0);
        PyObject *made = numbers && values ? PyTuple_Pack(2, numbers, values) : NULL;
        Py_XDECREF(numbers);
        Py_XDECREF(values);
        if (made && !PyDict_SetItem(group->groups, key, made))
            pair = made; /* which the dict holds from now on */
        Py_XDECREF(made);
    }
    Py_DECREF(key);
    if (!pair)
        return 0;
    group->numbers = PyTuple_GetItem(pair, 0);
    group->values = PyTuple_GetItem(pair, 1);
    group->tenant = tenant;
    group->ms = ms;
    return group->numbers && group->values;
}

static int put(Group *group, PyObject *tenant, PyObject *number, int64_t ms, double value)
{
    if (!find(group, tenant, ms))
        return 0;
    PyObject *told = PyFloat_FromDouble(value);
    int done = told && !PyList_Append(group->numbers, number) && !PyList_Append(group->values, told);
    Py_XDECREF(told);
    return done;
}

/* What is behind the labels of a series whose labels are `block`, which is given up. 1: it was taken; 0: it has to be
   looked at closely; -1: an error is set. `second`: of version 2.0, where metadata is read over. */
static int samples(PyObject *block, Part part, PyObject *known, Group *group, int64_t oldest, int64_t latest, int second)
{
    Part inner;
    int64_t ms;
    double value;
    PyObject *entry = block ? PyDict_GetItemWithError(known, block) : NULL;
    Py_XDECREF(block);
    if (!entry)
        return PyErr_Occurred() ? -1 : 0;
    if (!PyTuple_Check(entry) || PyTuple_Size(entry) != 2) {
        PyErr_SetString(PyExc_TypeError, "a known series is a tenant and a number");
        return -1;
    }
    PyObject *tenant = PyTuple_GetItem(entry, 0), *number = PyTuple_GetItem(entry, 1);
    for (Part look = part; look.at < look.end;) {
        uint8_t tag = *look.at;
        if (second && tag == 0x2a) {
            if (!pass(&look))
                return -1;
            continue;
        }
        if (tag != 0x12)
            return 0;
        look.at++;
        if (!nested(&look, &inner))
            return -1;
        int plain = sample(inner, oldest, latest, &ms, &value);
        if (plain != 1)
            return plain;
    }
    while (part.at < part.end) {
        if (*part.at != 0x12) {
            pass(&part);
            continue;
        }
        part.at++;
        nested(&part, &inner);
        sample(inner, oldest, latest, &ms, &value);
        if (!put(group, tenant, number, ms, value))
            return -1;
    }
    return 1;
}

static int series(Part part, PyObject *known, Group *group, int64_t oldest, int64_t latest)
{
    const uint8_t *begin = part.at;
    Part inner;
    while (part.at < part.end && *part.at == 0x0a) {
        part.at++;
        if (!nested(&part, &inner))
            return -1;
    }
    PyObject *block = PyBytes_FromStringAndSize((const char *)begin, part.at - begin);
    return block ? samples(block, part, known, group, oldest, latest, 0) : -1;
}

/* --- version 2.0: labels are numbers of symbols */

/* Bytes that grow; `full` when there was no memory. */
typedef struct {
    uint8_t *bytes;
    size_t size, room;
    int full;
} Buffer;

static void add(Buffer *buffer, const void *bytes, size_t size)
{
    if (buffer->size + size > buffer->room) {
        size_t room = 2 * (buffer->size + size) + 256;
        uint8_t *grown = PyMem_Realloc(buffer->bytes, room);
        if (!grown) {
            buffer->full = 1;
            return;
        }
        buffer->bytes = grown;
        buffer->room = room;
    }
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
}

/* The tag of a field of bytes, and how long it is. */
static void add_head(Buffer *buffer, uint8_t tag, uint64_t length)
{
    uint8_t head[11] = {tag};
    int n = 1;
    for (; length > 0x7f; length >>= 7)
        head[n++] = (uint8_t)(length & 0x7f) | 0x80;
    head[n++] = (uint8_t)length;
    add(buffer, head, n);
}

static size_t head_size(uint64_t length)
{
    size_t n = 2;
    for (; length > 0x7f; length >>= 7)
        n++;
    return n;
}

/* A label as 1.0 writes it. */
static int add_label(Buffer *buffer, PyObject *name, PyObject *value)
{
    char *names, *values;
    Py_ssize_t first, second;
    if (PyBytes_AsStringAndSize(name, &names, &first) || PyBytes_AsStringAndSize(value, &values, &second))
        return 0;
    add_head(buffer, 0x0a, head_size(first) + first + head_size(second) + second);
    add_head(buffer, 0x0a, first);
    add(buffer, names, first);
    add_head(buffer, 0x12, second);
    add(buffer, values, second);
    if (buffer->full)
        PyErr_NoMemory();
    return !buffer->full;
}

/* The block that 1.0 would have of these references; NULL: an error is set. */
static PyObject *block_of(Part refs, PyObject *symbols, Buffer *buffer)
{
    uint64_t pair[2], count = (uint64_t)PyList_Size(symbols);
    buffer->size = 0;
    while (refs.at < refs.end) {
        if (!varint(&refs, &pair[0]))
            return NULL;
        pair[1] = count; /* of an odd number of references the last one refers to nothing */
        if (refs.at < refs.end && !varint(&refs, &pair[1]))
            return NULL;
        if (pair[0] >= count || pair[1] >= count) {
            broken("labels refer to symbols that are not there");
            return NULL;
        }
        if (!add_label(buffer, PyList_GetItem(symbols, pair[0]), PyList_GetItem(symbols, pair[1])))
            return NULL;
    }
    return PyBytes_FromStringAndSize((const char *)buffer->bytes, buffer->size);
}

static int series_v2(Part part, PyObject *symbols, Buffer *buffer, PyObject *known, Group *group, int64_t oldest,
                     int64_t latest)
{
    Part refs;
    if (part.at >= part.end || *part.at != 0x0a)
        return 0;
    part.at++;
    if (!nested(&part, &refs))
        return -1;
    if (part.at < part.end && *part.at == 0x0a) /* in several pieces */
        return 0;
    PyObject *block = block_of(refs, symbols, buffer);
    return block ? samples(block, part, known, group, oldest, latest, 1) : -1;
}

static int tell(PyObject *strange, Py_ssize_t begin, Py_ssize_t end)
{
    PyObject *place = Py_BuildValue("nn", begin, end);
    int done = place && !PyList_Append(strange, place);
    Py_XDECREF(place);
    return done;
}

static PyObject *take(PyObject *self, PyObject *args)
{
    PyObject *body, *known, *groups, *strange;
    Py_ssize_t at, most, size;
    long long oldest, latest;
    char *bytes;
    (void)self;
    if (!PyArg_ParseTuple(args, "SnnO!LLO!O!", &body, &at, &most, &PyDict_Type, &known, &oldest, &latest, &PyDict_Type,
                          &groups, &PyList_Type, &strange) ||
        PyBytes_AsStringAndSize(body, &bytes, &size))
        return NULL;
    if (at < 0 || at > size) {
        PyErr_SetString(PyExc_ValueError, "outside of the body");
        return NULL;
    }
    const uint8_t *first = (const uint8_t *)bytes;
    Part whole = {first + at, first + size}, inner;
    Group group = {groups, NULL, NULL, NULL, 0};
    for (; whole.at < whole.end && most; most--) {
        if (*whole.at != 0x0a) {
            if (!pass(&whole))
                return NULL;
            continue;
        }
        whole.at++;
        if (!nested(&whole, &inner))
            return NULL;
        int taken = series(inner, known, &group, oldest, latest);
        if (taken < 0 || (!taken && !tell(strange, inner.at - first, inner.end - first)))
            return NULL;
    }
    return PyLong_FromSsize_t(whole.at - first);
}

static PyObject *take_v2(PyObject *self, PyObject *args)
{
    PyObject *body, *symbols, *known, *groups, *strange;
    Py_ssize_t at, most, size;
    long long oldest, latest;
    char *bytes;
    (void)self;
    if (!PyArg_ParseTuple(args, "SnnO!O!LLO!O!", &body, &at, &most, &PyList_Type, &symbols, &PyDict_Type, &known, &oldest,
                          &latest, &PyDict_Type, &groups, &PyList_Type, &strange) ||
        PyBytes_AsStringAndSize(body, &bytes, &size))
        return NULL;
    if (at < 0 || at > size) {
        PyErr_SetString(PyExc_ValueError, "outside of the body");
        return NULL;
    }
    const uint8_t *first = (const uint8_t *)bytes;
    Part whole = {first + at, first + size}, inner;
    Group group = {groups, NULL, NULL, NULL, 0};
    Buffer buffer = {NULL, 0, 0, 0};
    int good = 1;
    for (; good && whole.at < whole.end && most; most--) {
        if (*whole.at != 0x2a) {
            good = pass(&whole);
            continue;
        }
        whole.at++;
        if (!(good = nested(&whole, &inner)))
            break;
        int taken = series_v2(inner, symbols, &buffer, known, &group, oldest, latest);
        good = taken > 0 || (!taken && tell(strange, inner.at - first, inner.end - first));
    }
    PyMem_Free(buffer.bytes);
    return good ? PyLong_FromSsize_t(whole.at - first) : NULL;
}

/* The symbols of a body of 2.0, wherever they stand. */
static PyObject *symbols(PyObject *self, PyObject *args)
{
    PyObject *body, *found;
    Py_ssize_t at, most, size;
    char *bytes;
    (void)self;
    if (!PyArg_ParseTuple(args, "SnnO!", &body, &at, &most, &PyList_Type, &found) ||
        PyBytes_AsStringAndSize(body, &bytes, &size))
        return NULL;
    if (at < 0 || at > size) {
        PyErr_SetString(PyExc_ValueError, "outside of the body");
        return NULL;
    }
    const uint8_t *first = (const uint8_t *)bytes;
    Part whole = {first + at, first + size}, inner;
    for (; whole.at < whole.end && most; most--) {
        if (*whole.at != 0x22) {
            if (!pass(&whole))
                return NULL;
            continue;
        }
        whole.at++;
        PyObject *symbol = nested(&whole, &inner)
                               ? PyBytes_FromStringAndSize((const char *)inner.at, inner.end - inner.at)
                               : NULL;
        int failed = !symbol || PyList_Append(found, symbol);
        Py_XDECREF(symbol);
        if (failed)
            return NULL;
    }
    return PyLong_FromSsize_t(whole.at - first);
}

static PyMethodDef methods[] = {
    {"take", take, METH_VARARGS, "See ecpmon.agents.taking.take."},
    {"take_v2", take_v2, METH_VARARGS, "See ecpmon.agents.taking.take_v2."},
    {"symbols", symbols, METH_VARARGS, "See ecpmon.agents.taking.symbols."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_taking", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__taking(void)
{
    PyObject *errors = PyImport_ImportModule("ecpmon.agents.protobuf");
    if (!errors)
        return NULL;
    malformed = PyObject_GetAttrString(errors, "Malformed");
    Py_DECREF(errors);
    PyObject *made = malformed ? PyModule_Create(&module) : NULL;
    /* As in taking.py. */
    if (made && PyModule_AddIntConstant(made, "VERSION", 2))
        Py_CLEAR(made);
    return made;
}
