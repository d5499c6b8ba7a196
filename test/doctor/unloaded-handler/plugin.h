/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_TEST_DOCTOR_PLUGIN_H
#define ATFORK_TEST_DOCTOR_PLUGIN_H

#include <dlfcn.h>

#include "../program.h"

static inline void *plugin_load(int flags) {
  void *plugin = dlopen(BUILD "/unloaded-handler-plugin.so", RTLD_NOW | flags);
  must(plugin != NULL);
  return plugin;
}

static inline void plugin_call(void *plugin, const char *name) {
  void (*function)(void);
  *(void **)&function = dlsym(plugin, name);
  must(function != NULL);
  function();
}

static inline void end(void) {
}

#endif
