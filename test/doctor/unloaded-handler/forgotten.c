/* SPDX-License-Identifier: MIT */
/* After opencryptoki/opencryptoki#533: dlclose() has the C library forget the handlers of the module. */
/* finds: nothing */
#include "plugin.h"

int main(void) {
  void *plugin = plugin_load(0);
  plugin_call(plugin, "plugin_register");
  dlclose(plugin);
  fork_once(go_on);
  return 0;
}
