/* SPDX-License-Identifier: MIT */
#include "hooks.h"

#include <atfork.h>
#include <glib.h>

static int collect(const struct atfork_info *info, void *arg) {
  g_array_append_val((GArray *)arg, info->id);
  return 0;
}

void unregister_all(void) {
  GArray *ids = g_array_new(FALSE, FALSE, sizeof(atfork_id));
  atfork_foreach(collect, ids);
  for (guint i = 0; i < ids->len; i++) atfork_unregister(g_array_index(ids, atfork_id, i));
  g_array_free(ids, TRUE);
}
