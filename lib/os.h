/* SPDX-License-Identifier: MIT */
/*
 * What differs between operating systems.  One file each implements this; no other file asks which it is.
 */
#ifndef ATFORK_OS_H
#define ATFORK_OS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory of its own pages, or NULL.  Never malloc(): a child made while another thread was inside
 * malloc() may not use it, and a signal handler may not either. */
void *atfork_os_map(size_t size);
void atfork_os_unmap(void *memory, size_t size);
/* The same, but a fork does not copy it: all that descend from this process have the same memory. */
void *atfork_os_map_shared(size_t size);
size_t atfork_os_page_size(void);

/* The size, at least `size`, that atfork_os_map() makes the best of. */
size_t atfork_os_map_size(size_t size);

/* Has the kernel zero these pages in every new process, however it is made; false when it cannot, or that is in doubt.
 * Leaves errno alone. */
bool atfork_os_wipe_on_fork(void *pages, size_t size);

/* Has fork() call these; 0, or -1 and errno ENOMEM. */
int atfork_os_handle_forks(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/* Whether a fork inside a handler has all handlers called, and not only those from that one on.  If not, we can have
 * one set of handlers alone: of two, the fork might miss the first. */
bool atfork_os_nests_forks(void);

/* Calls function(argument) before the shared object `dso` is unmapped, and at exit; 0, or -1 and ENOMEM. */
int atfork_os_at_unload(void (*function)(void *argument), void *argument, void *dso);

/*
 * Sleeps while *at is `value`, until atfork_os_wake_all(), and 50 ms at the most: the caller looks again, as it must
 * anyway, and so needs no care for what a signal handler does between its last look and its sleep, a fork included.
 */
void atfork_os_wait(_Atomic uint32_t *at, uint32_t value);
void atfork_os_wake_all(_Atomic uint32_t *at);

/* Lets other threads run for a while: longer with each attempt, 1 ms at the most. */
void atfork_os_back_off(unsigned attempt);

/* A variable of the environment; NULL when it is not set, or this is a setuid program, whose environment is not to be
 * trusted.  And takes it out of there. */
const char *atfork_os_environment(const char *name);
void atfork_os_forget(const char *name);

/* The table of the copy of the library that serves this process: one that is loaded already, or this copy's `own`,
 * which then stays loaded. */
struct service;
const struct service *atfork_os_serving(const struct service *own);

/* The number of this process, different from that of every process alive that it can see. */
uint64_t atfork_os_process(void);

/* 64 bits that no process can foretell; and, where the system gives none, that no other process is likely to have. */
uint64_t atfork_os_random(void);

/* Whether this process was forked, has not called exec(3) since, and its parent runs the same program still: so it is
 * likely to be one of several. */
bool atfork_os_is_forked_by_alike(void);

/* False where that process is alive and not this one's parent.  A parent that has ended cannot be told any more. */
bool atfork_os_may_be_child_of(uint64_t process);

/* ---- What waiting.c says ---- */

/* Whether the environment has this variable, and not as "" or "0"; as atfork_os_environment() looks at it. */
bool atfork_os_is_set(const char *name);

/* A clock that only goes forward, in ms, never 0; and the number of this thread, as the system's tools show it: that of
 * the process, for the thread that this began with. */
uint64_t atfork_os_clock(void);
uint64_t atfork_os_thread(void);

/* Writes to stderr, in one piece, and leaves errno alone. */
void atfork_os_say(const char *text, size_t length);

/* ---- What mutex.c needs; a mutex is a pthread_mutex_t ---- */

/* The number of the thread that has locked it; 0 where that cannot be told, and where none has. */
uint64_t atfork_os_mutex_owner(const void *mutex);

/* Of one that is locked: whether by none of this process's threads. */
bool atfork_os_mutex_is_orphaned(void *mutex);

/* Waits for it, for so many ms at the most; 0, ETIMEDOUT, or what pthread_mutex_lock() says. */
int atfork_os_mutex_lock_for(void *mutex, unsigned ms);

/* Whether this process is known to have one thread only. */
bool atfork_os_is_single_threaded(void);

#endif
