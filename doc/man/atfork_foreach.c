/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <stdio.h>

static void nothing(void *data) {
  (void)data;
}

static int print_hook(const struct atfork_info *info, void *arg) {
  (void)arg;
  printf("%d %s\n", info->hook.priority, info->hook.name);
  return 0;
}

int main(void) {
  struct atfork_hook cache = {.name = "cache", .child = nothing};
  struct atfork_hook log = cache;
  log.name = "log";
  log.priority = -10;
  if (atfork_register(&cache) == 0) return 1;
  if (atfork_register(&log) == 0) return 1;
  return atfork_foreach(print_hook, NULL);
}

/* prints:
-10 log
0 cache
*/
