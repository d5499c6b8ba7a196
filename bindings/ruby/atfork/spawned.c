/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <errno.h>

#include "made.h"
#include "native.h"

VALUE native_spawned(VALUE token) {
  int error = atfork_spawned(NIL_P(token) ? NULL : StringValueCStr(token)) == 0 ? 0 : errno;
  RB_GC_GUARD(token);
  if (error == 0) made_place_taken();
  return INT2FIX(error);
}
