/* SPDX-License-Identifier: MIT */
/* Has the program, where that is forks.c, register a function that goes with this object. */
#include <stddef.h>

extern void register_child_handler(void (*handler)(void)) __attribute__((weak));

static void handler(void) {
}

__attribute__((constructor)) static void begin(void) {
  if (register_child_handler != NULL) register_child_handler(handler);
}
