/* SPDX-License-Identifier: MIT */
/* A copy of what atfork_foreach() shows, for languages that raise errors by longjmp(), which must not leave a visit. */
#ifndef ATFORK_COMMON_INFOS_H
#define ATFORK_COMMON_INFOS_H

#include <atfork.h>
#include <stdbool.h>
#include <stddef.h>

struct infos {
  struct atfork_info *all; /* in run order */
  size_t count;
  /* Private. */
  size_t room;
  bool (*leaves_out)(const struct atfork_hook *hook);
};

/* Copies all hooks, except those for which leaves_out() is true (NULL: none).  False: no memory.  Free the result in
 * both cases. */
bool infos_take(struct infos *infos, bool (*leaves_out)(const struct atfork_hook *hook));
void infos_free(struct infos *infos);

#endif
