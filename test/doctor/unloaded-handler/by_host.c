/* SPDX-License-Identifier: MIT */
/* After opencryptoki/opencryptoki#534: the program registers a function of a module, and unloads the module. */
/* finds: unloaded-handler */
#include "plugin.h"

int main(void) {
  void *plugin = plugin_load(0);
  void (*function)(void);
  *(void **)&function = dlsym(plugin, "plugin_child");
  must(function != NULL && pthread_atfork(NULL, NULL, function) == 0);
  dlclose(plugin);
  fork_once(end);
  return 0;
}
