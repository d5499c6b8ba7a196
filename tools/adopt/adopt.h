/* SPDX-License-Identifier: MIT */
/*
 * What is loaded into a program whose fork handlers become hooks of the library: those of pthread_atfork(), whoever
 * registers them.
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

/* The function of this name behind ours; NULL where the C library has none. */
any_function adopt_next(const char *name);

/* ---- Objects ---- */

struct object {
  const char *path; /* lasts as long as the object is loaded; "": there is no such object */
  bool has_library; /* a copy of the library is linked into it */
  bool stays;       /* it was loaded with the program, and so stays as long as the process */
};

/* Of what has been loaded so far: that is the program's own. */
void adopt_note_objects(void);

void adopt_find_object(struct object *object, const void *address);

/* The file's name in a path. */
const char *adopt_name(const char *path);

/* ---- Priorities ---- */

/* Takes them out of the environment, which the program may change. */
void adopt_read_priorities(void);

/* Of the handlers of the object with this path. */
int adopt_priority(const char *path);

#endif
