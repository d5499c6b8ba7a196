/* SPDX-License-Identifier: MIT */
/*
 * What differs between operating systems.  There is a file for each system; no other file asks which system it is.
 */
#ifndef ATFORK_OS_H
#define ATFORK_OS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed pages, or NULL.  They are never from malloc(), which a signal handler must not call, nor a child if another
 * thread was inside malloc() at the fork. */
void *atfork_os_map(size_t size);
void atfork_os_unmap(void *memory, size_t size);
/* The same, but shared with all descendants of this process: a fork does not copy it. */
void *atfork_os_map_shared(size_t size);
size_t atfork_os_page_size(void);

/* Rounds a size up to what atfork_os_map() uses without waste. */
size_t atfork_os_map_size(size_t size);

/* Has the kernel clear these pages in every new process, however it is made.  False if the kernel cannot do that, or if
 * it is not certain.  Keeps errno. */
bool atfork_os_wipe_on_fork(void *pages, size_t size);

/* Registers fork handlers.  Returns 0; or -1 and errno ENOMEM. */
int atfork_os_handle_forks(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/* Whether a fork inside a fork handler calls all handlers, not only those after that handler.  If not, the library must
 * have only one set of handlers: of two sets, such a fork could miss the first. */
bool atfork_os_nests_forks(void);

/* Has function(argument) called before the shared object `dso` is unmapped, and at exit.  Returns 0; or -1 and errno
 * ENOMEM. */
int atfork_os_at_unload(void (*function)(void *argument), void *argument, void *dso);

/*
 * Sleeps while *at is `value`: until atfork_os_wake_all(), and at most 50 ms.  The caller checks its condition again
 * anyway, so a signal handler between that check and the sleep does no harm, even if it forks.
 */
void atfork_os_wait(_Atomic uint32_t *at, uint32_t value);
void atfork_os_wake_all(_Atomic uint32_t *at);

/* Lets other threads run: longer with each attempt, at most 1 ms. */
void atfork_os_back_off(unsigned attempt);

/* An environment variable; NULL if it is not set, or if this is a setuid program.  atfork_os_forget() removes the
 * variable. */
const char *atfork_os_environment(const char *name);
void atfork_os_forget(const char *name);

/* The table of the copy of the library that serves this process: that of a copy which is loaded already; or `own`, and
 * then this copy stays loaded. */
struct service;
const struct service *atfork_os_serving(const struct service *own);

/* The number of this process: no other process that is alive, and that it can see, has the same. */
uint64_t atfork_os_process(void);

/* 64 unpredictable bits; if the system gives none, bits that no other process is likely to have. */
uint64_t atfork_os_random(void);

/* Whether this process was forked, has not called exec(3) since, and its parent runs the same program.  Then it is
 * probably one of several workers. */
bool atfork_os_is_forked_by_alike(void);

/* False if a process between the two shows that this is no child of `process`, but a descendant.  If the processes in
 * between have ended, nothing shows any more whether there were any. */
bool atfork_os_may_be_child_of(uint64_t process);

/* ---- For waiting.c ---- */

/* Whether an environment variable is set to anything but "" and "0".  Never in a setuid program. */
bool atfork_os_is_set(const char *name);

/* A monotonic clock in ms, never 0.  And the number of this thread as the system's tools show it: for the first thread
 * of a process it is the number of the process. */
uint64_t atfork_os_clock(void);
uint64_t atfork_os_thread(void);

/* Writes to stderr by one call.  Keeps errno. */
void atfork_os_say(const char *text, size_t length);

/* ---- For mutex.c; a mutex is a pthread_mutex_t ---- */

/* The number of the thread that has locked the mutex; 0 if no thread has, or if the C library does not note it. */
uint64_t atfork_os_mutex_owner(const void *mutex);

/* Whether a locked mutex has no owner among the threads of this process. */
bool atfork_os_mutex_is_orphaned(void *mutex);

/* Locks the mutex, and waits for at most `ms`.  Returns 0, ETIMEDOUT, or an error of pthread_mutex_lock(). */
int atfork_os_mutex_lock_for(void *mutex, unsigned ms);

/* Whether this process has only one thread; false if that is not known. */
bool atfork_os_is_single_threaded(void);

#endif
