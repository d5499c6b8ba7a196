/* SPDX-License-Identifier: MIT */
#include "symbol.h"
#include "library.h"
#include "native.h"

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

VALUE native_symbol(VALUE library, VALUE name) {
  struct library_fault fault;
  void *address = library_find(NIL_P(library) ? NULL : StringValueCStr(library), StringValueCStr(name), &fault);
  RB_GC_GUARD(library);
  RB_GC_GUARD(name);
  if (address == NULL) rb_raise(rb_eArgError, "%s", fault.text);
  return ULL2NUM((uintptr_t)address);
}

/* Fiddle unloads a library when its handle is closed; from now on the library stays loaded. */
VALUE native_keep_library(VALUE address) {
  return library_keep((void *)(uintptr_t)NUM2ULL(address)) ? Qtrue : Qfalse;
}
