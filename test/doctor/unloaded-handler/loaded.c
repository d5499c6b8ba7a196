/* SPDX-License-Identifier: MIT */
/* After OpenSC/libp11#21: the module is there as the process forks. */
/* finds: nothing */
#include "plugin.h"

int main(void) {
  void *plugin = plugin_load(0);
  plugin_call(plugin, "plugin_register");
  fork_once(go_on);
  dlclose(plugin);
  return 0;
}
