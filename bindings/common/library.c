/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE /* Ruby's own build defines it */
#define _GNU_SOURCE /* dladdr1() */
#endif
#include "library.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* dlsym() does not tell data from code; the symbol table does. */
static bool is_function(void *address) {
  Dl_info info;
  const ElfW(Sym) *entry = NULL;
  if (!dladdr1(address, &info, (void **)(uintptr_t)&entry, RTLD_DL_SYMENT) || entry == NULL) return true;
  int type = ELF64_ST_TYPE(entry->st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

static void note_linkers_word(struct library_fault *fault) {
  const char *said = dlerror();
  snprintf(fault->text, sizeof fault->text, "%s", said == NULL ? "" : said);
}

void *library_find(const char *library, const char *name, struct library_fault *fault) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_NODELETE);
  fault->is_of_library = handle == NULL;
  fault->text[0] = '\0';
  if (handle == NULL) {
    note_linkers_word(fault);
    return NULL;
  }
  dlerror();
  void *address = dlsym(handle, name);
  if (address == NULL) note_linkers_word(fault);
  dlclose(handle);
  if (address != NULL && is_function(address)) return address;
  if (fault->text[0] == '\0') snprintf(fault->text, sizeof fault->text, "%s is not a function", name);
  return NULL;
}

bool library_keep(void *function) {
  Dl_info info;
  if (!dladdr(function, &info) || info.dli_fname == NULL) return false;
  void *handle = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  if (handle != NULL) dlclose(handle); /* NULL for the program itself, which is never unloaded */
  return true;
}
