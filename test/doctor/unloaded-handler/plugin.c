/* SPDX-License-Identifier: MIT */
/* A module with a fork handler, which the programs here load and unload. */
/* builds: module */
#include "../program.h"

void plugin_child(void);
void plugin_register(void);
void plugin_register_ownerless(void);

void plugin_child(void) {
}

/* The C library forgets the handler as the module is unloaded: it knows whose it is. */
void plugin_register(void) {
  must(pthread_atfork(NULL, NULL, plugin_child) == 0);
}

int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);

void plugin_register_ownerless(void) {
  must(__register_atfork(NULL, NULL, plugin_child, NULL) == 0);
}
