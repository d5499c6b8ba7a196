/* SPDX-License-Identifier: MIT */
/* Which function and line an address in a file is. */
#ifndef ATFORK_SYMBOLS_H
#define ATFORK_SYMBOLS_H

#include <glib.h>

#include "model.h"

/* A place in a program or a shared object. */
struct place {
  guint64 address;    /* in the process */
  const char *object; /* path; NULL: in none that is known */
  guint64 offset;     /* in the object's file */
  /* Filled in by symbols_find(): */
  const char *function; /* NULL: not known */
  const char *file;     /* NULL: not known */
  guint line;
};

/* The object that contained the address at that time (see struct frames). */
struct place symbols_place(const struct process *process, guint64 address, guint64 time);

/* Fills in function, file and line, as far as symbols and debugging information have them.  The strings are never
 * freed. */
void symbols_find(struct place *place);

/* "function (file.c:12)", "function (libc.so.6)" or "libc.so.6+0x123"; free it. */
char *symbols_describe(struct place *place);

/* An address in memory, with the name of the variable if there is one: "0x5593757360a0 (queue+0x28)"; free it. */
char *symbols_address(const struct process *process, guint64 address, guint64 time);

#endif
