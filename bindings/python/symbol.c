/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* dladdr1() */
#include "symbol.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>

/* Data symbols and code look the same to dlsym(); the symbol table knows. */
static bool is_function(void *address) {
  Dl_info info;
  const ElfW(Sym) *entry = NULL;
  if (!dladdr1(address, &info, (void **)(uintptr_t)&entry, RTLD_DL_SYMENT) || entry == NULL) return true;
  int type = ELF64_ST_TYPE(entry->st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

PyObject *native_symbol(PyObject *library, PyObject *name) {
  const char *c_library = library == Py_None ? NULL : PyUnicode_AsUTF8(library);
  const char *c_name = PyUnicode_AsUTF8(name);
  if (c_name == NULL || PyErr_Occurred()) return NULL;
  void *handle = dlopen(c_library, RTLD_NOW | RTLD_NODELETE);
  if (handle == NULL) return PyErr_Format(PyExc_ValueError, "%s", dlerror());
  void *address = dlsym(handle, c_name);
  if (address == NULL)
    PyErr_Format(PyExc_ValueError, "%s", dlerror());
  else if (!is_function(address))
    PyErr_Format(PyExc_ValueError, "%s is not a function", c_name);
  dlclose(handle);
  return PyErr_Occurred() ? NULL : PyLong_FromVoidPtr(address);
}
