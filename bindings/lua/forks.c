/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */
#include "forks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- How many threads this process has ---- */

/* The C library's flag, if it has one: false from the first pthread_create() on, for good. */
extern char __libc_single_threaded __attribute__((weak));

static bool had_one_thread(void) {
  return &__libc_single_threaded != NULL && __libc_single_threaded;
}

/* The number of this field after the name, which is in parentheses, and may contain parentheses. */
enum { THREADS_FIELD = 18 };

static long count_in(const char *stat) {
  const char *at = strrchr(stat, ')');
  for (int field = 0; at != NULL && field < THREADS_FIELD; field++) at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtol(at, NULL, 10);
}

static long count(void) {
  char stat[1024];
  int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, stat, sizeof stat - 1);
  close(file);
  if (length < 0) return 0;
  stat[length] = 0;
  return count_in(stat);
}

static bool has_one_thread(void) {
  if (had_one_thread()) return true;
  int error = errno;
  bool is_one = count() == 1;
  errno = error;
  return is_one;
}

/* ---- One inside another ---- */

enum { DEEPEST = 64 }; /* Lua's own limit of C calls comes first */

enum at { PREPARING, PREPARED, IN_PARENT, IN_CHILD };

struct level {
  enum at at;
  bool alone;
  unsigned number; /* no other fork under way has this number */
  uint64_t mark;   /* of the process that PREPARED the fork; IN_CHILD: of the child, which is one more */
};

static _Thread_local struct {
  unsigned depth;
  struct level levels[DEEPEST];
} inside;

static struct level *level_at(unsigned depth) {
  return &inside.levels[(depth - 1) % DEEPEST];
}

/*
 * No hook notes the beginning of the child phase, as atfork_poll() would count its callback.  So the next look at the
 * levels notes that it began.  A process has one child phase.  If a child callback of the parent made this fork, the
 * parent's child phase does not go on here.
 */
static void note_child_phase(void) {
  struct level *level = level_at(inside.depth);
  if (level->at != PREPARED || level->mark == atfork_generation()) return;
  level->at = IN_CHILD;
  level->mark++;
  if (inside.depth > 1 && level_at(inside.depth - 1)->at == IN_CHILD) *level_at(--inside.depth) = *level;
}

/* The innermost, or NULL. */
static struct level *innermost(void) {
  if (inside.depth > 0) note_child_phase();
  return inside.depth == 0 ? NULL : level_at(inside.depth);
}

/* The same for a prepare or parent callback: a level in its child phase is over. */
static struct level *innermost_before_child(void) {
  const struct level *level = innermost();
  if (level != NULL && level->at == IN_CHILD) inside.depth--;
  return innermost();
}

static void fork_begins(void *unused) {
  (void)unused;
  const struct level *outer = innermost();
  unsigned number = outer == NULL ? 0 : outer->number + 1;
  *level_at(++inside.depth) = (struct level){.at = PREPARING, .alone = has_one_thread(), .number = number};
}

static void all_are_prepared(void *unused) {
  struct level *level = innermost_before_child();
  (void)unused;
  if (level == NULL) return;
  level->mark = atfork_generation();
  level->at = PREPARED;
}

static void parents_begin(void *unused) {
  struct level *level = innermost_before_child();
  (void)unused;
  if (level != NULL) level->at = IN_PARENT;
}

static void fork_ends(void *unused) {
  (void)unused;
  if (innermost_before_child() != NULL) inside.depth--;
}

/* Whether this process is in the child phase of this fork, not in one of atfork_poll(). */
static bool is_born_of(const struct level *level) {
  return level->at == IN_CHILD && level->mark == atfork_generation();
}

/* The level of the fork that a callback belongs to; NULL: atfork_poll() runs it. */
static const struct level *level_of(enum phase phase) {
  if (phase != CHILD) return innermost_before_child();
  const struct level *level = innermost();
  return level != NULL && is_born_of(level) ? level : NULL;
}

struct told_fork forks_of(enum phase phase) {
  const struct level *level = level_of(phase);
  if (level == NULL) return (struct told_fork){.alone = had_one_thread()};
  return (struct told_fork){.is_told = true, .alone = level->alone, .number = level->number % DEEPEST};
}

/* ---- Watching ---- */

static _Atomic atfork_id first, last;

static atfork_id watch_first(void) {
  return atfork_register(&(struct atfork_hook){
      .name = "lua", .priority = ATFORK_PRIORITY_MAX, .prepare = fork_begins, .parent = fork_ends});
}

static atfork_id watch_last(void) {
  return atfork_register(&(struct atfork_hook){
      .name = "lua", .priority = ATFORK_PRIORITY_MIN, .prepare = all_are_prepared, .parent = parents_begin});
}

bool forks_is_watch(const struct atfork_hook *hook) {
  return hook->prepare == fork_begins || hook->prepare == all_are_prepared;
}

/* Replaces `before` by `id`, and unregisters the replaced hook; or `id`, if another thread was faster. */
static void replace(_Atomic atfork_id *place, atfork_id before, atfork_id id) {
  if (!atomic_compare_exchange_strong(place, &before, id)) before = id;
  if (before != 0) atfork_unregister(before);
}

bool forks_watch(void) {
  if (atomic_load(&last) == 0) {
    atfork_id id = watch_last();
    if (id == 0) return false;
    replace(&last, 0, id);
  }
  return forks_watch_before(1);
}

/* Of equal priorities, a later id is the larger one. */
bool forks_watch_before(atfork_id id) {
  atfork_id now;
  while ((now = atomic_load(&first)) < id) {
    atfork_id new = watch_first();
    if (new == 0) return false;
    replace(&first, now, new);
  }
  return true;
}
