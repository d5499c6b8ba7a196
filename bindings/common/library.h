/* SPDX-License-Identifier: MIT */
/* C functions by their names, and the libraries that they are in, which stay loaded: a hook's code must not go while a
 * fork may still call it. */
#ifndef ATFORK_COMMON_LIBRARY_H
#define ATFORK_COMMON_LIBRARY_H

#include <stdbool.h>

/* Why a function was not found. */
struct library_fault {
  bool is_of_library; /* there is no such library; or else no such function in it */
  char text[512];     /* as the dynamic linker says it; cut off where that is longer */
};

/* The address of a function, in a library (NULL: the process itself); or NULL and the fault. */
void *library_find(const char *library, const char *name, struct library_fault *fault);

/* Has the library of that function stay loaded; false if it is in none, as a closure is. */
bool library_keep(void *function);

#endif
