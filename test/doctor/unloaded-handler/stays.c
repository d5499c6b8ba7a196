/* SPDX-License-Identifier: MIT */
/* After snxd/proxyres#88: the module is never unloaded, whatever dlclose() is called for. */
/* finds: nothing */
#include "../program.h"

#include "plugin.h"

int main(void) {
  void *plugin = plugin_load(RTLD_NODELETE);
  plugin_call(plugin, "plugin_register_ownerless");
  dlclose(plugin);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    _exit(0);
  }
  wait_for(child);
  return 0;
}
