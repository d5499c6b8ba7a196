/* SPDX-License-Identifier: MIT */
#include "hooks.h"

#include <atfork.h>
#include <glib.h>

static int stop_at_first(const struct atfork_info *info, void *id) {
  *(atfork_id *)id = info->id;
  return 1;
}

void unregister_all(void) {
  for (atfork_id id; atfork_foreach(stop_at_first, &id) != 0;) g_assert_cmpint(atfork_unregister(id), ==, 0);
}
