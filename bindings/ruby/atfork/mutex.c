/* SPDX-License-Identifier: MIT */
#include <atfork.h>

#include "native.h"

/* A lock that a thread of the parent held is of no use here, and nobody lets go of it when C code forks.  No other
 * thread of Ruby's runs in between. */
VALUE native_lock(VALUE box) {
  VALUE generation = ULL2NUM(atfork_generation());
  if (!rb_equal(rb_ary_entry(box, 0), generation)) {
    rb_ary_store(box, 1, rb_mutex_new());
    rb_ary_store(box, 0, generation);
  }
  return rb_ary_entry(box, 1);
}
