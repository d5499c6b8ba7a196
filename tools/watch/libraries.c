/* SPDX-License-Identifier: MIT */
/* What libraries other than the C library are called for: sessions, and CUDA. */
#include <dlfcn.h>
#include <string.h>

#include "library.h"

/* ---- The functions that ours stand in front of ---- */

/* Among what the caller's object was linked with: that may be hidden from all others. */
static void *find_for(const char *name, const void *caller) {
  Dl_info info;
  if (dladdr(caller, &info) == 0 || info.dli_fname == NULL) return NULL;
  void *object = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (object == NULL) return NULL;
  void *found = dlsym(object, name);
  dlclose(object);
  return found;
}

any_function library_next(struct next *next, const void *caller) {
  any_function function = atomic_load_explicit(&next->function, memory_order_relaxed);
  if (LIKELY(function != NULL)) return function;
  void *found = dlsym(RTLD_NEXT, next->name);
  if (found == NULL) found = find_for(next->name, caller);
  memcpy(&function, &found, sizeof function); /* ISO C has no conversion */
  atomic_store_explicit(&next->function, function, memory_order_relaxed);
  return function;
}
