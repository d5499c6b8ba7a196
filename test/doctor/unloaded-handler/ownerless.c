/* SPDX-License-Identifier: MIT */
/* After stevegrubb/libcap-ng#5: a module says not whose its handler is, and the C library keeps it. */
/* finds: unloaded-handler */
#include "plugin.h"

int main(void) {
  void *plugin = plugin_load(0);
  plugin_call(plugin, "plugin_register_ownerless");
  dlclose(plugin);
  fork_once(end);
  return 0;
}
