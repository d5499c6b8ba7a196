/* SPDX-License-Identifier: MIT */
#include "kept.h"

#include <stdbool.h>
#include <stddef.h>

#include "made.h"
#include "registry.h"

/* Not freed with the box if the value is a parent's. */
struct node {
  struct made made; /* comes first */
  PyObject *value;
};

struct kept {
  PyObject_HEAD struct node *node;
};

static bool is_inherited(const struct node *node) {
  return made_is_inherited(&node->made);
}

static void free_node(struct node *node) {
  made_remove(&node->made);
  PyMem_RawFree(node);
}

/* ---- The box ---- */

static struct node *node_of(PyObject *self) {
  return ((struct kept *)self)->node;
}

/* If the reference is not visited, the collector takes it for one from outside, and leaves the value alone. */
static int traverse(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT((PyObject *)Py_TYPE(self));
  if (!is_inherited(node_of(self))) Py_VISIT(node_of(self)->value);
  return 0;
}

static int clear(PyObject *self) {
  if (!is_inherited(node_of(self))) Py_CLEAR(node_of(self)->value);
  return 0;
}

static void dealloc(PyObject *self) {
  struct node *node = node_of(self);
  PyObject_GC_UnTrack(self);
  if (node->value == NULL) {
    free_node(node);
  } else if (!is_inherited(node)) {
    PyObject *value = node->value;
    free_node(node);
    Py_DECREF(value);
  }
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_Del(self);
  Py_DECREF((PyObject *)type);
}

static PyObject *get_value(PyObject *self, void *unused) {
  (void)unused;
  PyObject *value = node_of(self)->value;
  if (value == NULL) return PyErr_Format(PyExc_AttributeError, "the value has been released");
  Py_INCREF(value);
  return value;
}

static PyObject *get_generation(PyObject *self, void *unused) {
  (void)unused;
  return PyLong_FromUnsignedLongLong(node_of(self)->made.generation);
}

static PyObject *get_inherited(PyObject *self, void *unused) {
  (void)unused;
  return PyBool_FromLong(is_inherited(node_of(self)));
}

/* From here on the value is an ordinary reference. */
static PyObject *release(PyObject *self, PyObject *unused) {
  (void)unused;
  Py_CLEAR(node_of(self)->value);
  Py_RETURN_NONE;
}

static PyGetSetDef attributes[] = {
    {"value", get_value, NULL, NULL, NULL},
    {"generation", get_generation, NULL, NULL, NULL},
    {"inherited", get_inherited, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
    {"release", release, METH_NOARGS, "release($self, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, SLOT(dealloc)}, {Py_tp_traverse, SLOT(traverse)}, {Py_tp_clear, SLOT(clear)},
    {Py_tp_getset, attributes},     {Py_tp_methods, methods},         {0, NULL},
};

static PyType_Spec spec = {
    .name = "atfork._native.Kept",
    .basicsize = sizeof(struct kept),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *kept_make_type(void) {
  PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(&spec);
  if (type != NULL) type->tp_new = NULL;
  return (PyObject *)type;
}

PyObject *native_keep(PyObject *value) {
  const struct registry *registry = registry_open();
  if (registry == NULL) return NULL;
  struct node *node = PyMem_RawMalloc(sizeof *node);
  if (node == NULL) return PyErr_NoMemory();
  struct kept *kept = PyObject_GC_New(struct kept, registry->kept_type);
  if (kept == NULL) {
    PyMem_RawFree(node);
    return NULL;
  }
  Py_INCREF(value);
  node->value = value;
  made_add(&node->made);
  kept->node = node;
  PyObject_GC_Track((PyObject *)kept);
  return (PyObject *)kept;
}

PyObject *native_inherited(void) {
  PyObject *list = PyList_New(0);
  struct made *made = NULL;
  while (list != NULL && (made = made_next_inherited(made)) != NULL) {
    PyObject *value = ((struct node *)made)->value;
    if (value != NULL && PyList_Append(list, value) != 0) Py_CLEAR(list);
  }
  return list;
}
