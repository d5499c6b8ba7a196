/* SPDX-License-Identifier: MIT */
/*
 * The identity of this process: generation, lineage, place, run, seeds, tokens.  Knows nothing of hooks.
 */
#ifndef ATFORK_PROCESS_H
#define ATFORK_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "atfork.h"
#include "transient.h"

/* The serving copy calls this once, when the library is loaded. */
void atfork_process_loaded(void);

/* Has the forks before the first call numbered, so that their children find their places. */
void atfork_process_number_forks(void);

/*
 * The first look in a new process; returns its mark.  The process is the child of the ordinary fork that this thread
 * has prepared, or of a bypassing fork.
 */
uint64_t atfork_process_look(void);

/* The mark of this process, never 0: its generation + 1.  Notices a bypassing fork. */
static inline uint64_t process_mark(void) {
  /* Acquire pairs with the release in establish(): a thread that reads the mark sees the identity of the mark. */
  uint64_t mark = atomic_load_explicit(&transient()->mark, memory_order_acquire);
  return mark != 0 ? mark : atfork_process_look();
}

struct frame;

/* Before an ordinary fork: stores the number of the coming child, from 1, and the mark of this process in the fork's
 * frame. */
void atfork_process_number_child(struct frame *fork);

/* For a new process that has its parent's pid, as both are the first of their namespaces.  Where pids are compared, the
 * next look would otherwise not notice that this is another process. */
void atfork_process_forget_parent(void);

/* The address of the mark, for atfork_mark(). */
const uint64_t *atfork_process_mark_address(void);

/* The public functions of these names, to be called after the first look.  The last three return 0 or an errno. */
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
