/* SPDX-License-Identifier: MIT */
/* What a plugin, whose callbacks call those of the program, says of itself. */
#ifndef ATFORK_FUZZ_PLUGIN_H
#define ATFORK_FUZZ_PLUGIN_H

#include <atfork.h>

struct plugin {
  struct atfork_hook callbacks;
  void *dso;
};

const struct plugin *plugin_here(const struct atfork_hook *programs);

#endif
