/* SPDX-License-Identifier: MIT */
/*
 * The library that is loaded into a program to make its fork handlers hooks of libatfork: all that the program, its
 * libraries and its plugins register by pthread_atfork().
 *
 * It may be called before any constructor, and from inside another library's malloc(): so it allocates nothing by
 * malloc().
 */
#ifndef ATFORK_ADOPT_H
#define ATFORK_ADOPT_H

#include <stdbool.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

typedef void (*any_function)(void);

/* The C library's function of this name, which ours wraps; NULL: it has none. */
any_function adopt_next(const char *name);

/* ---- Objects ---- */

struct object {
  const char *path; /* lasts as long as the object is loaded; "": there is no such object */
  bool has_library; /* a copy of the library is linked into it */
  bool stays;       /* it was loaded with the program, so it stays as long as the process */
};

/* Of the objects loaded so far: these belong to the program. */
void adopt_note_objects(void);

void adopt_find_object(struct object *object, const void *address);

/* The file's name in a path. */
const char *adopt_name(const char *path);

/* ---- Priorities ---- */

/* Copies them from the environment, as the program may change it. */
void adopt_read_priorities(void);

/* Of the handlers of the object with this path. */
int adopt_priority(const char *path);

#endif
