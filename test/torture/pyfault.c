/* SPDX-License-Identifier: MIT */
/* For Python: what fault.h counts and refuses, and with it the allocations of the interpreter. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "fault.h"

static PyMemAllocatorEx own[3]; /* of each domain */

static void *allocate(void *allocator, size_t size) {
  const PyMemAllocatorEx *of = allocator;
  return fault_is_refused("malloc", 0) ? NULL : of->malloc(of->ctx, size);
}
static void *allocate_zeroed(void *allocator, size_t count, size_t size) {
  const PyMemAllocatorEx *of = allocator;
  return fault_is_refused("calloc", 0) ? NULL : of->calloc(of->ctx, count, size);
}
static void *allocate_again(void *allocator, void *block, size_t size) {
  const PyMemAllocatorEx *of = allocator;
  return fault_is_refused("realloc", 0) ? NULL : of->realloc(of->ctx, block, size);
}
static void let_go(void *allocator, void *block) {
  const PyMemAllocatorEx *of = allocator;
  of->free(of->ctx, block);
}

static void stand_before(PyMemAllocatorDomain domain) {
  PyMemAllocatorEx counting = {&own[domain], allocate, allocate_zeroed, allocate_again, let_go};
  PyMem_GetAllocator(domain, &own[domain]);
  PyMem_SetAllocator(domain, &counting);
}

/* arm(first, many): needs no memory, as it is the last before the call. */
static PyObject *arm(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
  (void)module;
  if (count != 2) return PyErr_Format(PyExc_TypeError, "arm(first, many)");
  fault_arm((int)PyLong_AsLong(arguments[0]), (int)PyLong_AsLong(arguments[1]));
  Py_RETURN_NONE;
}

/* disarm(): how many requests there were. */
static PyObject *disarm(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  return PyLong_FromLong(fault_disarm());
}

static PyMethodDef methods[] = {
    {"arm", (PyCFunction)(void (*)(void))arm, METH_FASTCALL, NULL},
    {"disarm", disarm, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "fault", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit_fault(void);
PyMODINIT_FUNC PyInit_fault(void) {
  stand_before(PYMEM_DOMAIN_RAW);
  stand_before(PYMEM_DOMAIN_MEM);
  stand_before(PYMEM_DOMAIN_OBJ);
  return PyModule_Create(&definition);
}
