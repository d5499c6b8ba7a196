/* SPDX-License-Identifier: MIT */
/*
 * Which hooks there are: add, retire, bury.  Knows nothing of forks.
 *
 * A hook's id is its sort key: (priority + 32768) << 48 | sequence of its registration.  A walk that begins at sequence
 * S sees the hooks added at or before S and not retired at or before S, whatever is added or retired meanwhile. Nothing
 * is written to a hook for that.  A fork inside another fork also sees what that fork sees.
 *
 * A hook is retired (no later walk sees it), then buried (no walk sees it any more: its slot is dead, and the caller
 * runs its `destroy`).  When most hooks of a table are dead, the live ones are copied to a new table.  The old table is
 * freed when no walk that began before is under way.
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

/* Whether hooks are retired and not yet buried.  To be called under the lock or in a walk, so that the table is not
 * freed meanwhile. */
static inline bool registry_has_retired(void) {
  return table_has_retired(registry_table());
}

/* How many hooks are not buried, for tracers; off by one if a signal handler has interrupted an update.  To be called
 * in a walk, so that the table is not freed meanwhile. */
static inline uint64_t registry_live(void) {
  const struct table *table = registry_table();
  return table == NULL ? 0 : table_live(table);
}

/* Adds a hook.  Returns its id, or 0 if there is no memory. */
atfork_id atfork_registry_add(const struct atfork_hook *hook, void *dso, uint64_t generation);

/*
 * Retires a hook, and buries it at once if no walk sees it.  Otherwise the caller waits, and then buries it; or, if the
 * caller is `inside` a walk of its own thread, atfork_registry_bury_due() buries it later.  Returns the sequence of the
 * retirement; or 0 and errno ENOENT, or ENOMEM if nested.
 */
uint64_t atfork_registry_retire(atfork_id id, bool inside, struct grave *grave);

/* Removes the callbacks of a hook whose code is being unloaded, so that no walk calls them; also from old tables, in
 * which this thread may be walking. */
void atfork_registry_silence(atfork_id id);

/* The first hook of a shared object with an id of at least `from`; 0 if there is none.  With `to_retire`, retires it
 * unless it is retired. */
atfork_id atfork_registry_next_owned(const void *dso, atfork_id from, bool to_retire);

/* Whether a hook is retired or buried.  To be called in a walk, so that the table is not freed meanwhile. */
bool atfork_registry_is_retired(atfork_id id);

/* Buries a retired hook, unless it is buried. */
void atfork_registry_bury(atfork_id id, struct grave *grave);

/* At the end of `walk`: buries the first hook with an id above `after` that is deferred and that no walk sees.  False
 * if there is none. */
bool atfork_registry_bury_due(atfork_id after, struct frame *walk, struct grave *grave);

/* In a new process, under the lock and not nested: undoes what a lost thread had stored but not committed, and defers
 * the hooks that lost threads were unregistering. */
void atfork_registry_adopt(void);

/* Frees old tables that no walk needs, and renews the table if most of its hooks are dead. */
void atfork_registry_collect(void);

#endif
