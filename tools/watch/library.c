/* SPDX-License-Identifier: MIT */
/*
 * Finds the functions of libraries that ours wrap.
 *
 * A process may have two copies of a library, used by different objects.  So our function calls the one that the
 * dynamic linker would have given to the caller: that of the first object with this function in the version that the
 * caller needs; otherwise that of a library that the caller itself is linked with, which may be hidden from all others.
 */
#include "library.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

_Thread_local unsigned library_depth __attribute__((tls_model("initial-exec")));

/* ---- What the caller asks for ---- */

/* If the dynamic linker does not relocate a table's address, it is relative to the beginning of the object. */
static const void *table_of(const struct link_map *object, ElfW(Sxword) tag) {
  for (const ElfW(Dyn) *at = object->l_ld; at->d_tag != DT_NULL; at++)
    if (at->d_tag == tag)
      return (const void *)(at->d_un.d_ptr + (at->d_un.d_ptr < object->l_addr ? object->l_addr : 0));
  return NULL;
}

static const char *version_name(const struct link_map *object, const char *strings, unsigned number) {
  const char *at = table_of(object, DT_VERNEED);
  while (at != NULL) {
    const ElfW(Verneed) *of = (const void *)at;
    const char *version = at + of->vn_aux;
    for (unsigned i = 0; i < of->vn_cnt; i++) {
      const ElfW(Vernaux) *one = (const void *)version;
      if ((one->vna_other & 0x7fff) == number) return strings + one->vna_name;
      version += one->vna_next;
    }
    at = of->vn_next == 0 ? NULL : at + of->vn_next;
  }
  return NULL;
}

/* NULL: none.  The symbols that an object lacks come before those that its hash table knows. */
static const char *version_asked_for(const struct link_map *object, const char *name) {
  const char *strings = table_of(object, DT_STRTAB);
  const ElfW(Sym) *symbols = table_of(object, DT_SYMTAB);
  const ElfW(Half) *versions = table_of(object, DT_VERSYM);
  const uint32_t *hash = table_of(object, DT_GNU_HASH);
  if (hash == NULL) hash = table_of(object, DT_HASH);
  if (strings == NULL || symbols == NULL || versions == NULL || hash == NULL) return NULL;
  for (uint32_t i = 1; i < hash[1]; i++)
    if (symbols[i].st_shndx == SHN_UNDEF && strcmp(strings + symbols[i].st_name, name) == 0)
      return version_name(object, strings, versions[i] & 0x7fff);
  return NULL;
}

static void *look_up(void *object, const char *name, const char *version) {
  void *found = version == NULL ? dlsym(object, name) : dlvsym(object, name, version);
  return watch_is_ours((uintptr_t)found) ? NULL : found;
}

static void *find_for(const char *name, const void *caller) {
  Dl_info info;
  void *extra = NULL;
  bool known = dladdr1(caller, &info, &extra, RTLD_DL_LINKMAP) != 0 && extra != NULL;
  const char *version = known ? version_asked_for(extra, name) : NULL;
  void *found = look_up(RTLD_NEXT, name, version);
  if (found != NULL || !known || info.dli_fname == NULL) return found;
  void *object = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (object == NULL) return NULL;
  found = look_up(object, name, version);
  dlclose(object);
  return found;
}

/* ---- What was found for each caller ---- */

enum { CALLS = 4096, NEAR = 8 };

struct call {
  _Atomic(const struct next *) next; /* NULL: the place is free */
  _Atomic(const void *) caller;
  _Atomic(any_function) function;
};

static struct call calls[CALLS];
static const struct next taken; /* by the thread that is about to fill it in */

static struct call *place_of(const struct next *next, const void *caller, unsigned number) {
  uintptr_t hash = ((uintptr_t)caller ^ (uintptr_t)next >> 4) * 0x9e3779b1U;
  return &calls[((hash >> 8) + number) % CALLS];
}

/* The acquire pairs with the release in remember(). */
static any_function recall(const struct next *next, const void *caller) {
  for (unsigned i = 0; i < NEAR; i++) {
    struct call *call = place_of(next, caller, i);
    if (atomic_load_explicit(&call->next, memory_order_acquire) == next &&
        atomic_load_explicit(&call->caller, memory_order_relaxed) == caller)
      return atomic_load_explicit(&call->function, memory_order_relaxed);
  }
  return NULL;
}

/* If there is no room, it is looked up each time. */
static void remember(const struct next *next, const void *caller, any_function function) {
  for (unsigned i = 0; i < NEAR; i++) {
    struct call *call = place_of(next, caller, i);
    const struct next *none = NULL;
    if (!atomic_compare_exchange_strong(&call->next, &none, &taken)) continue;
    atomic_store_explicit(&call->caller, caller, memory_order_relaxed);
    atomic_store_explicit(&call->function, function, memory_order_relaxed);
    atomic_store_explicit(&call->next, next, memory_order_release);
    return;
  }
}

any_function library_next(struct next *next, const void *caller) {
  any_function function = atomic_load_explicit(&next->function, memory_order_relaxed);
  if (function == NULL) function = recall(next, caller);
  if (LIKELY(function != NULL)) return function;
  void *found = find_for(next->name, caller);
  memcpy(&function, &found, sizeof function); /* ISO C has no conversion */
  if (function != NULL) remember(next, caller, function);
  return function;
}

/* No code calls from there any more, and another object may be loaded there. */
void library_forget_unloaded(void) {
  for (struct call *call = calls; call < calls + CALLS; call++) {
    const struct next *next = atomic_load_explicit(&call->next, memory_order_acquire);
    Dl_info info;
    if (next == NULL || next == &taken || dladdr(atomic_load(&call->caller), &info) != 0) continue;
    atomic_store_explicit(&call->next, NULL, memory_order_release);
  }
}
