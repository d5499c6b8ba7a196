/* SPDX-License-Identifier: MIT */
/* After opencryptoki/opencryptoki#533: dlclose() has the C library forget the handlers of the module. */
/* finds: nothing */
#include "../program.h"

#include "plugin.h"

int main(void) {
  void *plugin = plugin_load(0);
  plugin_call(plugin, "plugin_register");
  dlclose(plugin);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    _exit(0);
  }
  wait_for(child);
  return 0;
}
