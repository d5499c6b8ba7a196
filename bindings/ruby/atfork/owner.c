/* SPDX-License-Identifier: MIT */
#include "native.h"

/* The variable has no name that Ruby code could use: `inspect` and JSON do not see it. */
VALUE native_attach(VALUE owner, VALUE object) {
  return rb_ivar_set(owner, rb_intern("__atfork__"), object);
}
