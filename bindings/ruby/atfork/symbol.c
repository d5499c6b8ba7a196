/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE /* Ruby's own build defines it */
#define _GNU_SOURCE /* dladdr1() */
#endif
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>

#include "native.h"
#include "symbol.h"

static VALUE symbol_class;
static ID id_function, id_pointer;

void symbol_init(void) {
  symbol_class = rb_define_class_under(rb_define_module("AtFork"), "Symbol", rb_cObject);
  rb_gc_register_mark_object(symbol_class);
  id_function = rb_intern("@to_i");
  id_pointer = rb_intern("@pointer");
}

struct symbol symbol_of(VALUE callable) {
  struct symbol symbol = {0};
  if (NIL_P(callable) || RTEST(rb_obj_is_proc(callable)) || !RTEST(rb_obj_is_kind_of(callable, symbol_class)))
    return symbol;
  symbol.function = (callback)(uintptr_t)NUM2ULL(rb_ivar_get(callable, id_function));
  symbol.data = (void *)(uintptr_t)NUM2ULL(rb_ivar_get(callable, id_pointer));
  return symbol;
}

/* Data symbols and code look the same to dlsym(); the symbol table knows. */
static bool is_function(void *address) {
  Dl_info info;
  const ElfW(Sym) *entry = NULL;
  if (!dladdr1(address, &info, (void **)(uintptr_t)&entry, RTLD_DL_SYMENT) || entry == NULL) return true;
  int type = ELF64_ST_TYPE(entry->st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

VALUE native_symbol(VALUE library, VALUE name) {
  const char *c_library = NIL_P(library) ? NULL : StringValueCStr(library);
  const char *c_name = StringValueCStr(name);
  void *handle = dlopen(c_library, RTLD_NOW | RTLD_NODELETE);
  if (handle == NULL) rb_raise(rb_eArgError, "%s", dlerror());
  void *address = dlsym(handle, c_name);
  VALUE error = address == NULL ? rb_str_new_cstr(dlerror()) : Qnil;
  dlclose(handle);
  if (!NIL_P(error)) rb_exc_raise(rb_exc_new_str(rb_eArgError, error));
  if (!is_function(address)) rb_raise(rb_eArgError, "%s is not a function", c_name);
  RB_GC_GUARD(library);
  RB_GC_GUARD(name);
  return ULL2NUM((uintptr_t)address);
}

/* A library that Fiddle has loaded is unloaded when its handle is told to close; then not. */
VALUE native_keep_library(VALUE address) {
  Dl_info info;
  if (!dladdr((void *)(uintptr_t)NUM2ULL(address), &info) || info.dli_fname == NULL) return Qfalse;
  void *handle = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  if (handle != NULL) dlclose(handle); /* NULL for the program itself, which goes nowhere */
  return Qtrue;
}
