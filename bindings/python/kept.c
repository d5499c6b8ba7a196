/* SPDX-License-Identifier: MIT */
#include "kept.h"

#include <atfork.h>
#include <stdbool.h>
#include <stddef.h>

#include "registry.h"
#include "slot.h"

/* Stays when the box goes, if the value is a parent's.  A ring, with `nodes` in it. */
struct node {
  struct node *before, *after;
  PyObject *value;
  unsigned long long generation;
};

struct kept {
  PyObject_HEAD struct node *node;
};

static struct node nodes = {&nodes, &nodes, NULL, 0};

/* The generation that this process took as a place, by a token, or 0: it was in generation 0 before. */
static uint64_t place;

void kept_place_taken(uint64_t generation) {
  place = generation;
}

static bool is_inherited(const struct node *node) {
  uint64_t now = atfork_generation();
  return node->generation != now && (node->generation != 0 || now != place);
}

static void free_node(struct node *node) {
  node->before->after = node->after;
  node->after->before = node->before;
  PyMem_RawFree(node);
}

/* ---- The box ---- */

static struct node *node_of(PyObject *self) {
  return ((struct kept *)self)->node;
}

/* A reference that is not shown counts as one from elsewhere, so the collector leaves the value alone. */
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
  return PyLong_FromUnsignedLongLong(node_of(self)->generation);
}

static PyObject *get_inherited(PyObject *self, void *unused) {
  (void)unused;
  return PyBool_FromLong(is_inherited(node_of(self)));
}

/* From here on the value is held, and let go of, in the ordinary way. */
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
  const struct registry *registry = registry_of_interpreter();
  if (registry == NULL) return PyErr_Format(PyExc_RuntimeError, "the interpreter is ending");
  struct node *node = PyMem_RawMalloc(sizeof *node);
  if (node == NULL) return PyErr_NoMemory();
  struct kept *kept = PyObject_GC_New(struct kept, registry->kept_type);
  if (kept == NULL) {
    PyMem_RawFree(node);
    return NULL;
  }
  Py_INCREF(value);
  *node = (struct node){&nodes, nodes.after, value, atfork_generation()};
  nodes.after = node->after->before = node;
  kept->node = node;
  PyObject_GC_Track((PyObject *)kept);
  return (PyObject *)kept;
}

PyObject *native_inherited(void) {
  PyObject *list = PyList_New(0);
  for (const struct node *node = nodes.after; list != NULL && node != &nodes; node = node->after)
    if (node->value != NULL && is_inherited(node) && PyList_Append(list, node->value) != 0) Py_CLEAR(list);
  return list;
}
