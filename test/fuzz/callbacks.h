/* SPDX-License-Identifier: MIT */
/* What hooks of a program call: they write down that they ran, and run a script. */
#ifndef ATFORK_FUZZ_CALLBACKS_H
#define ATFORK_FUZZ_CALLBACKS_H

#include <atfork.h>

#include "ops.h"

/* A hook that was registered.  Its address is its callbacks' data. */
struct note {
  int slot, ordinal;
  int script;   /* 0: none */
  int refusals; /* how often its try_prepare still says "not now" */
  atfork_id id;
};

/* All of them; `has` chooses. */
extern const struct atfork_hook callbacks;
struct atfork_hook callbacks_chosen(int has);

/* What the fork handlers of other libraries call. */
void handler_called(enum handler which);

/* What an info shows a hook to have. */
int callbacks_of(const struct atfork_hook *hook);

#endif
