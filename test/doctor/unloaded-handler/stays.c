/* SPDX-License-Identifier: MIT */
/* After snxd/proxyres#88: the module is never unloaded, whatever dlclose() is called for. */
/* finds: nothing */
#include "plugin.h"

int main(void) {
  void *plugin = plugin_load(RTLD_NODELETE);
  plugin_call(plugin, "plugin_register_ownerless");
  dlclose(plugin);
  fork_once(go_on);
  return 0;
}
