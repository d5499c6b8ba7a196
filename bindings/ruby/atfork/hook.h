/* SPDX-License-Identifier: MIT */
/*
 * AtFork::Hook: an object of Ruby, and what the core calls on its behalf.  The struct is shared by the two, and goes
 * when both have let go of it: the core may be in the middle of a fork when the object is collected.
 */
#ifndef ATFORK_RUBY_HOOK_H
#define ATFORK_RUBY_HOOK_H

#include <atfork.h>
#include <ruby.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "due.h"
#include "phase.h"
#include "symbol.h"

/* Ruby's values are for who holds the GVL and the object; inside fork() only the rest is looked at. */
struct hook {
  _Atomic int references; /* the object's, and the core's */
  int priority;
  atfork_id id;
  VALUE name;
  VALUE key;               /* nil, or what another hook with an equal one replaces it by */
  VALUE callables[PHASES]; /* nil where there is none.  An AtFork::Symbol is one too */
  struct symbol symbols[PHASES];
  due_word due; /* for job.h */
};

/* Defines the class. */
void hook_init(void);

struct hook *hook_of(VALUE object);

/* Whether that callback is Ruby's. */
bool hook_is_scripted(const struct hook *hook, enum phase phase);

#endif
