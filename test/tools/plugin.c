/* SPDX-License-Identifier: MIT */
/* A shared object that has its program, if it is forks.c, register a handler in this object. */
#include <stddef.h>

extern void register_child_handler(void (*handler)(void)) __attribute__((weak));

static void handler(void) {
}

__attribute__((constructor)) static void begin(void) {
  if (register_child_handler != NULL) register_child_handler(handler);
}
