/* SPDX-License-Identifier: MIT */
/* After OpenSC/libp11#21: the module is there as the process forks. */
/* finds: nothing */
#include "../program.h"

#include "plugin.h"

int main(void) {
  void *plugin = plugin_load(0);
  plugin_call(plugin, "plugin_register");
  pid_t child = fork();
  if (child == 0) {
    go_on();
    _exit(0);
  }
  wait_for(child);
  dlclose(plugin);
  return 0;
}
