/* SPDX-License-Identifier: MIT */
/*
 * Which hooks there are: add, retire, bury.  Knows nothing of forks.
 *
 * A hook's id is its sort key: (priority + 32768) << 48 | sequence, of its registration.  A walk that begins at
 * sequence S sees the hooks added at or before S and not retired at or before S, however much is added and retired
 * meanwhile; nothing is written to a hook to keep it so.  A fork inside another one sees what that one does, too.
 *
 * A hook is retired (it takes part in no later walk), then buried (no walk needs it any more: its slot is dead and
 * its `destroy` is the caller's to run).  When more than half of all hooks are dead, the live ones are copied to a new
 * table, and the old one is given back when no walk that began before is under way.
 */
#ifndef ATFORK_REGISTRY_H
#define ATFORK_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "atfork.h"
#include "state.h"
#include "table.h"

/* What is left of a hook that was buried. */
struct grave {
  atfork_id id; /* 0: none */
  callback destroy;
  void *data;
};

/* The table in force; NULL before the first hook. */
static inline struct table *registry_table(void) {
  return atomic_load_explicit(&atfork_state.registry.table, memory_order_acquire);
}

/* Whether hooks are retired and not yet buried.  Under the lock, or in a walk, as the table must not be given back
 * meanwhile. */
static inline bool registry_has_retired(void) {
  return table_has_retired(registry_table());
}

/* How many hooks are not buried, for tracers: one too few or many where a signal handler has interrupted an update.  In
 * a walk, as the table must not be given back meanwhile. */
static inline uint64_t registry_live(void) {
  const struct table *table = registry_table();
  return table == NULL ? 0 : table_live(table);
}

/* Returns the id, or 0 when there is no memory. */
atfork_id atfork_registry_add(const struct atfork_hook *hook, void *dso, uint64_t generation);

/*
 * Retires a hook, and buries it at once if no walk needs it.  Else, when called from `inside` a walk of this thread,
 * leaves it to atfork_registry_bury_due(); otherwise to the caller.  Returns the sequence of this commit; or 0 and
 * errno ENOENT, or ENOMEM when nested.
 */
uint64_t atfork_registry_retire(atfork_id id, bool inside, struct grave *grave);

/* Has walks, those of this thread in tables that are outgrown too, call nothing of a hook any more: its code goes. */
void atfork_registry_silence(atfork_id id);

/* The first hook of a shared object from `from` on; 0 when there is none.  Retires it, if it is to and is not. */
atfork_id atfork_registry_next_owned(const void *dso, atfork_id from, bool to_retire);

/* Whether a hook is retired, or gone with its object.  In a walk, as the table must not be given back meanwhile. */
bool atfork_registry_is_retired(atfork_id id);

/* Buries a retired hook, if that is not done. */
void atfork_registry_bury(atfork_id id, struct grave *grave);

/* Buries, in the end of `walk`, the first hook with an id above `after` that is retired, deferred, and needed by no
 * walk; false when there is none. */
bool atfork_registry_bury_due(atfork_id after, struct frame *walk, struct grave *grave);

/* In a new process, under the lock and not nested: what other threads of its parent were about to commit is undone,
 * and what they were unregistering is deferred. */
void atfork_registry_adopt(void);

/* Gives back what no walk needs, and shrinks when most is dead. */
void atfork_registry_collect(void);

#endif
