/* SPDX-License-Identifier: MIT */
/* A shared object that calls its program as it is loaded, and as it is unloaded. */
#include "calling.h"

#include <stddef.h>

__attribute__((constructor)) static void come(void) {
  if (at_load != NULL) at_load();
}

__attribute__((destructor)) static void go(void) {
  if (at_unload != NULL) at_unload();
}
