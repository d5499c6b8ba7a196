/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <stdatomic.h>
#include <stddef.h>

#include "os.h"

enum { PIDS = 10000000 /* more than a kernel has */, COUNTS = 1024, NAMES = 512, PROBES = 8 };

static struct tree {
  _Atomic uint32_t given[COUNTS]; /* how many numbers, for the pids with this remainder */
  _Atomic uint64_t taken[NAMES];  /* 0: free */
} * tree;

void atfork_tree_loaded(void) {
  tree = atfork_os_map_shared(sizeof *tree);
}

/* Relaxed, here and below: nothing else is to be seen with these words. */
uint64_t atfork_tree_number(uint64_t pid) {
  if (tree == NULL) return pid;
  uint64_t given = atomic_fetch_add_explicit(&tree->given[pid % COUNTS], 1, memory_order_relaxed);
  return given * PIDS + pid;
}

static bool exchange_name(_Atomic uint64_t *name, uint64_t *before, uint64_t after) {
  return atomic_compare_exchange_strong_explicit(name, before, after, memory_order_relaxed, memory_order_relaxed);
}

/* Where there is no room one name is forgotten: whoever else would take it does so soon after the first, or never. */
bool atfork_tree_take(uint64_t lineage) {
  if (tree == NULL) return true;
  uint64_t name = lineage == 0 ? 1 : lineage;
  for (uint64_t i = 0; i < PROBES; i++) {
    uint64_t found = 0;
    if (exchange_name(&tree->taken[(name + i) % NAMES], &found, name)) return true;
    if (found == name) return false;
  }
  atomic_store_explicit(&tree->taken[name % NAMES], name, memory_order_relaxed);
  return true;
}
