/* SPDX-License-Identifier: MIT */
/*
 * What holds whatever threads and signal handlers do: each child hook runs exactly once in each child; what is prepared
 * gets its `parent` or its `child`; nothing of a hook runs after it was unregistered; lineages are unique.
 *
 * Hooks with all callbacks, and forks, that check this.  A child allocates nothing.
 */
#ifndef ATFORK_FUZZ_INVARIANTS_H
#define ATFORK_FUZZ_INVARIANTS_H

#include <atfork.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "ops.h"

enum { NEVER_REGISTERED, REGISTERED, UNREGISTERED };

/* A hook, which keeps its place in memory after it has gone. */
struct record {
  _Atomic int state;
  _Atomic int destroyed;
  _Atomic bool is_removed; /* so it is destroyed when the last walk that has it ends */
  atfork_id id;
  bool may_refuse;
};

/* Of the calling thread. */
extern _Thread_local struct mine {
  uint64_t random;
  long open;     /* hooks that are prepared in its forks under way */
  uint64_t sum;  /* of their addresses, mixed */
  int inside;    /* callbacks */
  int forking;   /* ordinary forks under way */
  pid_t forker;  /* the process that began the innermost of them */
  bool polls;    /* child hooks run that a bypassing fork has missed */
  int births;    /* processes that this one descends from, and has gone on as */
  bool bypasses; /* a bypassing fork has made this process while there were other threads */
} mine;

/* Whether there are other threads. */
extern bool invariants_have_threads;

/* Called in callbacks, sometimes. */
extern void (*invariants_act)(void);

/* Makes the hooks that stay, in a new process group's first process. */
void invariants_begin(uint64_t seed);

/* Says whether all lineages differ, and what was removed is destroyed; no other thread is left. */
void invariants_end(void);

#define expect(condition) ((condition) ? (void)0 : expectation_failed(__FILE__, __LINE__, #condition))
_Noreturn void expectation_failed(const char *file, int line, const char *what);

/* NULL when there have been so many.  Removing it outside of callbacks, and of signal handlers, destroys it at once. */
struct record *record_add(enum owner owner);
void record_remove(struct record *record, bool at_once);

/* Adds one where there is none, or removes it. */
void record_change(struct record **record, bool at_once);

/* What has gone with the plugin is destroyed, too. */
void record_gone(struct record *record);

/* There are hooks, and each has an id. */
void visit_all(void);

/* Forks, and checks it in both processes; the child calls `body`, which may be NULL, and ends. */
void fork_checked(enum way way, void (*body)(void));

/* Forks, checks it in both processes, and goes on in both. */
void fork_coming_back(enum way way);

/*
 * Whether the child of a signal handler may go on with what the signal has interrupted: all but the child hooks of a
 * fork, some of which the child has called as its own, but not all of them in the place of its parent.
 */
bool may_come_back(void);

/*
 * One of all but BY_FAILING.  BY_FORK where a signal handler may have come between the phases of a fork, as a bypassing
 * fork's child takes itself for that one's there.  No BY_FORK where another thread may have had the C library's lock
 * when a bypassing fork came: there fork() itself waits for ever.
 */
enum way draw_sound_way(void);

#endif
