/* SPDX-License-Identifier: MIT */
/* Functions of libraries that the program may not have, or may load later with RTLD_LOCAL. */
#ifndef ATFORK_WATCH_LIBRARY_H
#define ATFORK_WATCH_LIBRARY_H

#include "watch.h"

/* The function of this name that the caller would have called; NULL: there is none.  The first call for a caller may
 * take the dynamic linker's lock. */
any_function library_next(struct next *next, const void *caller);
void library_forget_unloaded(void); /* callers: after an object was unloaded */

/* How deep the thread is in functions of a session: descriptors that they use are not recorded. */
extern _Thread_local unsigned library_depth __attribute__((tls_model("initial-exec")));

/* Declares `next`.  Without such a function, returns the second argument, which is empty in a void function. */
#define LIBRARY_NEXT(of, missing)                                                                   \
  static struct next next_of_##of = {.name = #of};                                                  \
  __typeof__(&of) next = (__typeof__(&of))library_next(&next_of_##of, __builtin_return_address(0)); \
  if (next == NULL) return missing

#endif
