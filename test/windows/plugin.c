/* SPDX-License-Identifier: MIT */
/* DLLs that register a hook, when they are told to or as they are loaded, and leave without a word; and one that does
 * neither. */
#include <atfork.h>

__declspec(dllexport) int plugin_ran;
__declspec(dllexport) void plug_in(void);

#ifndef IDLE
static void child(void *unused) {
  (void)unused;
  plugin_ran++;
}
#endif

#ifdef AT_LOAD
__attribute__((constructor))
#endif
void plug_in(void) {
#ifndef IDLE
  if (atfork_register(&(struct atfork_hook){.name = "plugin", .child = child}) == 0) plugin_ran = -1;
#endif
}
