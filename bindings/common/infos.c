/* SPDX-License-Identifier: MIT */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* strdup() */
#endif
#include "infos.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct infos *infos) {
  if (infos->count < infos->room) return true;
  size_t room = infos->room == 0 ? 16 : 2 * infos->room;
  struct atfork_info *all = realloc(infos->all, room * sizeof *all);
  if (all == NULL) return false;
  infos->all = all;
  infos->room = room;
  return true;
}

static int copy(const struct atfork_info *info, void *arg) {
  struct infos *infos = arg;
  if (infos->leaves_out != NULL && infos->leaves_out(&info->hook)) return 0;
  if (!make_room(infos)) return ENOMEM;
  struct atfork_info *to = &infos->all[infos->count];
  *to = *info;
  to->hook.name = strdup(info->hook.name);
  if (to->hook.name == NULL) return ENOMEM;
  infos->count++;
  return 0;
}

bool infos_take(struct infos *infos, bool (*leaves_out)(const struct atfork_hook *hook)) {
  *infos = (struct infos){.leaves_out = leaves_out};
  return atfork_foreach(copy, infos) == 0;
}

void infos_free(struct infos *infos) {
  for (size_t i = 0; i < infos->count; i++) free((char *)(uintptr_t)infos->all[i].hook.name);
  free(infos->all);
}
