/* SPDX-License-Identifier: MIT */
/*
 * What the servers of the soak have in common, in C: hooks that write down that they ran, and hard work for the
 * registry.  Scripts call it by their FFI.  It is for one thread at a time.
 */
#ifndef SOAK_PROBE_H
#define SOAK_PROBE_H

/* Registers the hooks in C; again, as a server reads its configuration again, it does nothing.  Returns 0, or -1. */
int probe_register(void);

/* Who this process is, as JSON, and which of the hooks have run in it. */
const char *probe_describe(void);

/*
 * The work: each forks, and gives "", or what went wrong, of which the first word is missed, doubled or error.
 *
 * churn    registers thousands of hooks, forks, and takes them back
 * plugin   loads an object that has a hook, forks, unloads it, and forks again
 * exhaust  registers until there is no memory left, and forks then
 */
const char *probe_churn(void);
const char *probe_plugin(void);
const char *probe_exhaust(void);

/*
 * A fork for a script that has none: the child calls probe_reply(), which ends it, and the parent probe_hear(), which
 * gives that text, or "".
 */
int probe_fork(void);
void probe_reply(const char *text);
const char *probe_hear(void);

/* Of probe_hooks.c: 1 if each hook in C has run once in this process, in its order. */
int probe_all_ran(void);

#endif
