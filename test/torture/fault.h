/* SPDX-License-Identifier: MIT */
/*
 * Stands between the library and the system: counts what the library asks for that the system may refuse, and refuses
 * the n-th.  Linked in by `-Wl,--wrap=FUNCTION` for each function that fault.c has a __wrap_ of.
 */
#ifndef ATFORK_TEST_FAULT_H
#define ATFORK_TEST_FAULT_H

#include <limits.h>
#include <stdbool.h>

/* From now on requests are counted, and `many` of them refused from the `first` on, counted from 1. */
enum { AND_ALL_LATER = INT_MAX };
void fault_arm(int first, int many);

/* No more; how many requests there were since fault_arm(). */
int fault_disarm(void);

/* For what else is to be counted, an interpreter's own allocations say: whether this request is refused, with errno. */
bool fault_is_refused(const char *function, int error);

/* Whether this function was refused since then; "sleep" is futex() for a thread that would sleep. */
bool fault_has_refused(const char *function);

/* Calls that hold something, less those that give it back. */
struct held_things {
  long blocks;   /* of malloc() */
  long mapped;   /* bytes of mmap() */
  long handlers; /* of __cxa_atexit() and pthread_atfork(), which nothing gives back */
};
struct held_things fault_held(void);
long fault_blocks(void); /* for those who call it from a script */

/* Called once, as a thread is about to sleep on a futex or a mutex, or is refused that. */
extern void (*_Atomic fault_at_sleep)(void);

/* Whether much memory is mapped where a huge page can begin; else it never is. */
extern bool fault_maps_aligned;

/* The answer of the next getppid(), whose process has ended right after it; 0: what the kernel says. */
extern _Atomic int fault_parent_before;

/* How often a thread paused. */
extern _Atomic int fault_pauses;

#endif
