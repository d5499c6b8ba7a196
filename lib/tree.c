/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <stdatomic.h>
#include <stddef.h>

#include "os.h"

enum { PIDS = 10000000 /* more than a kernel has */, KEPT = 512, NAMES = 510, PROBES = 8 };
enum { COUNT_BITS = 32, TICKET_BITS = 24 };

/* Two pages. */
static struct tree {
  _Atomic uint64_t pids[KEPT];   /* a pid, and how many numbers it has given; 0: free */
  _Atomic uint64_t others;       /* how many numbers all pids have given that are not kept above */
  _Atomic uint64_t tickets;      /* how many tickets were drawn */
  _Atomic uint64_t names[NAMES]; /* a name that is taken, and the ticket of its process; 0: free */
} * tree;

void atfork_tree_loaded(void) {
  tree = atfork_os_map_shared(sizeof *tree);
}

/* Relaxed, here and below: no other memory is published by these words. */
static bool exchange(_Atomic uint64_t *at, uint64_t *before, uint64_t after) {
  return atomic_compare_exchange_strong_explicit(at, before, after, memory_order_relaxed, memory_order_relaxed);
}

/* How many numbers a pid has given before.  All pids for which there is no room share one count. */
static uint64_t count_given(uint64_t pid) {
  for (uint64_t i = 0; i < PROBES; i++) {
    _Atomic uint64_t *kept = &tree->pids[(pid + i) % KEPT];
    uint64_t found = 0;
    if (exchange(kept, &found, pid << COUNT_BITS | 1)) return 0;
    if (found >> COUNT_BITS == pid)
      return atomic_fetch_add_explicit(kept, 1, memory_order_relaxed) & ((UINT64_C(1) << COUNT_BITS) - 1);
  }
  return atomic_fetch_add_explicit(&tree->others, 1, memory_order_relaxed) + 1;
}

uint64_t atfork_tree_number(uint64_t pid) {
  return tree == NULL ? pid : count_given(pid) * PIDS + pid;
}

/* Two processes have the same ticket only if millions drew in between; they do not take the same name then. */
uint64_t atfork_tree_draw(void) {
  uint64_t drawn = tree == NULL ? 0 : atomic_fetch_add_explicit(&tree->tickets, 1, memory_order_relaxed);
  return drawn % ((UINT64_C(1) << TICKET_BITS) - 2) + 2;
}

/* If there is no room, one name is forgotten: a second process that could take it would have done so soon after the
 * first. */
bool atfork_tree_take(uint64_t lineage, uint64_t ticket) {
  if (tree == NULL) return true;
  uint64_t name = lineage >> TICKET_BITS, taken = name << TICKET_BITS | ticket;
  for (uint64_t i = 0; i < PROBES; i++) {
    uint64_t found = 0;
    if (exchange(&tree->names[(name + i) % NAMES], &found, taken) || found == taken) return true;
    if (found >> TICKET_BITS == name) return false;
  }
  atomic_store_explicit(&tree->names[name % NAMES], taken, memory_order_relaxed);
  return true;
}
