/* SPDX-License-Identifier: MIT */
/* C functions by name.  Their libraries stay loaded: a hook's code must not be unmapped while a fork may still call
 * it. */
#ifndef ATFORK_COMMON_LIBRARY_H
#define ATFORK_COMMON_LIBRARY_H

#include <stdbool.h>

/* Why a function was not found. */
struct library_fault {
  bool is_of_library; /* there is no such library; false: there is no such function in it */
  char text[512];     /* the dynamic linker's message, perhaps cut off */
};

/* The address of a function in a library (NULL: in the process itself); or NULL and the fault. */
void *library_find(const char *library, const char *name, struct library_fault *fault);

/* Keeps the library of this function loaded; false: it is in no library, as a closure is. */
bool library_keep(void *function);

#endif
