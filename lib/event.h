/* SPDX-License-Identifier: MIT */
/*
 * An event that threads of one process wait for:
 *
 *   for (;;) {
 *     uint32_t seen = event_look(event);
 *     if (the condition is true) break;
 *     event_sleep(event, seen);
 *   }
 *
 * A thread that makes the condition true calls event_happened() afterwards.  An event lies in the transient page.  If a
 * signal handler forks in the middle of the loop, the child finds another word there, and checks the condition again.
 * No sleep is long.
 */
#ifndef ATFORK_EVENT_H
#define ATFORK_EVENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "os.h"

/* Odd: a thread may sleep.  No thread sleeps on 0, which is the value that a child finds. */
struct event {
  _Atomic uint32_t word;
};

/* Sequentially consistent; pairs with event_happened(): either this thread sees the condition true, or event_happened()
 * sees that this thread may sleep. */
static inline uint32_t event_look(struct event *event) {
  return atomic_fetch_or(&event->word, 1) | 1;
}

static inline void event_sleep(struct event *event, uint32_t seen) {
  atfork_os_wait(&event->word, seen);
}

/* To be called after a sequentially consistent store that makes the condition true. */
static inline void event_happened(struct event *event) {
  if ((atomic_load(&event->word) & 1) == 0) return;
  atomic_fetch_add(&event->word, 1);
  atfork_os_wake_all(&event->word);
}

#endif
