/* SPDX-License-Identifier: MIT */
/*
 * Who this process is: generation, lineage, place, run, seeds, tokens.  Knows nothing of hooks.
 */
#ifndef ATFORK_PROCESS_H
#define ATFORK_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "atfork.h"
#include "transient.h"

/* Called once, when the library is loaded, by the copy of it that serves. */
void atfork_process_loaded(void);

/* Has forks before the first call numbered: a child that is made by one finds its place all the same. */
void atfork_process_number_forks(void);

/*
 * Notices a new process, and gives its mark.  It is the child of the ordinary fork that this thread has prepared, or
 * else of a bypassing one.
 */
uint64_t atfork_process_look(void);

/* The mark of this process, never 0: its generation + 1.  Notices a bypassing fork. */
static inline uint64_t process_mark(void) {
  /* Acquire pairs with establish(): who reads the mark sees the identity that it is of. */
  uint64_t mark = atomic_load_explicit(&transient()->mark, memory_order_acquire);
  return mark != 0 ? mark : atfork_process_look();
}

struct frame;

/* In the forking process, before an ordinary fork: the number of the child to come, from 1, into the fork's frame; and
 * this process's mark. */
void atfork_process_number_child(struct frame *fork);

/* In a new process that has its parent's pid, as both are the first of their namespaces: has the next look find that it
 * is one, where pids are compared. */
void atfork_process_forget_parent(void);

/* Where the mark stands for atfork_mark(). */
const uint64_t *atfork_process_mark_address(void);

/* As the public functions of these names, in a process that has been looked at.  The last three give 0 or an errno. */
size_t atfork_process_lineage(char *buf, size_t size);
enum atfork_place atfork_process_place(void);
uint64_t atfork_process_run(void);
uint64_t atfork_process_seed(uint64_t base);
void atfork_process_seed_bytes(uint64_t base, uint8_t *buf, size_t size);
size_t atfork_process_token(char *buf, size_t size);
int atfork_process_child_token(const char *token, uint64_t number, char *buf, size_t size, size_t *length);
int atfork_process_spawned(const char *token);
int atfork_process_adopt(const char *rank);

#endif
