/* SPDX-License-Identifier: MIT */
/*
 * Which hooks there are: add, find, retire, bury, walk.  Knows nothing of forks.
 *
 * A hook's id is its sort key: (priority + 32768) << 48 | sequence.  The sequence counts all commits.  A walk
 * that begins at sequence S sees the hooks added at or before S and not retired at or before S, however much
 * is added and retired meanwhile; nothing is written to a hook to keep it so.
 *
 * Hooks lie in chunks, each twice the one before, a list of them per priority, as a dense array per member.
 * A chunk never moves and never grows, so that nothing is copied while hooks come and go.  When more than half of
 * all hooks are dead, the live ones are copied to a new table, and the old one is given back when no walk
 * that began before is under way.
 *
 * A hook is retired (it takes part in no later walk), then buried (no walk needs it any more: its slot is dead and
 * its `destroy` is the caller's to run).
 */
#ifndef ATFORK_REGISTRY_H
#define ATFORK_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atfork.h"

/* Either kind of callback is kept as this one; a cast by way of it is not an accident. */
typedef void (*any_callback)(void);

enum phase { PREPARE, PARENT, CHILD, PHASES };

typedef void (*callback)(void *data);
typedef int (*try_callback)(void *data);

/* What hooks that are registered alike share. */
struct detail {
  const char *name;
  callback destroy;
  void *dso;
  uint64_t generation;
  bool refuses; /* the callback of PREPARE is a try_callback */
};

struct chunk;
struct table;

/* Where a walk stands: at the first `end` hooks of a chunk. */
struct walk {
  const struct table *table;
  uint64_t sequence;
  int bucket;
  const struct chunk *chunk;
  size_t end;
  bool sparse;  /* some of them may be retired: ask walk_takes_part() */
  bool refuses; /* some of them may have a try_prepare: ask walk_refuses() */
};

/* What is left of a hook that was buried. */
struct grave {
  atfork_id id;
  callback destroy;
  void *data;
};

/* The sequence of the latest commit. */
uint64_t registry_sequence(void);

/* Returns the id, or 0 when there is no memory. */
atfork_id registry_add(const struct atfork_hook *hook, void *dso, uint64_t generation);

/*
 * Retires a hook; `deferred` says that registry_bury_due() is to bury it.  Returns the sequence of this
 * commit; or 0 and errno ENOENT, or ENOMEM when nested.
 */
uint64_t registry_retire(atfork_id id, bool deferred);

/* Retires the first hook of a shared object that is not retired yet; its id, or 0.  Begins at `from`. */
atfork_id registry_retire_owned(const void *dso, atfork_id from);

/* The first hook of a shared object from `from` on, retired or not; 0 when there is none. */
atfork_id registry_find_owned(const void *dso, atfork_id from);

/* Whether hooks are retired and not yet buried. */
bool registry_has_retired(void);

/* Buries a retired hook; false when it is gone already. */
bool registry_bury(atfork_id id, struct grave *grave);

/* Buries the first hook with an id above `after` that is retired, deferred, and needed by no walk that began at
 * `oldest` or later; false when there is none. */
bool registry_bury_due(atfork_id after, uint64_t oldest, struct grave *grave);

/* Under the lock, in a new process: what other threads of its parent were unregistering is deferred here. */
void registry_adopt(void);

/* Gives back what no walk that began at `oldest` or later needs, and shrinks when most is dead. */
void registry_collect(uint64_t oldest);

/* A walk in run order, or against it; begin, then step until false. */
void walk_begin(struct walk *walk, uint64_t sequence);
bool walk_forward(struct walk *walk);
void walk_end(struct walk *walk, uint64_t sequence);
bool walk_backward(struct walk *walk);

/* The hook at index `i` < walk->end.  Callbacks and data are dense arrays, as dispatch reads nothing else. */
const _Atomic(callback) *walk_callbacks(const struct walk *walk, enum phase phase);
void *const *walk_data(const struct walk *walk);
bool walk_takes_part(const struct walk *walk, size_t i);
bool walk_is_buried(const struct walk *walk, size_t i);
bool walk_refuses(const struct walk *walk, size_t i);
void walk_describe(const struct walk *walk, size_t i, struct atfork_info *info);

#endif
