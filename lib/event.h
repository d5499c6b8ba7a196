/* SPDX-License-Identifier: MIT */
/*
 * Something that threads of one process wait for:
 *
 *   for (;;) {
 *     uint32_t seen = event_look(event);
 *     if (it is so) break;
 *     event_sleep(event, seen);
 *   }
 *
 * and whoever makes it so calls event_happened() afterwards.  An event lies in the transient page: a child that a
 * signal handler forks in the middle of this goes round the loop once more, as the word is another one there, and no
 * sleep is long.
 */
#ifndef ATFORK_EVENT_H
#define ATFORK_EVENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "os.h"

/* Odd: somebody may sleep.  Nobody sleeps on 0, which is what a child finds. */
struct event {
  _Atomic uint32_t word;
};

/* Sequentially consistent, with event_happened(): either we see what it is about, or it sees us wait. */
static inline uint32_t event_look(struct event *event) {
  return atomic_fetch_or(&event->word, 1) | 1;
}

static inline void event_sleep(struct event *event, uint32_t seen) {
  atfork_os_wait(&event->word, seen);
}

/* After a sequentially consistent store, of what the waiters look at. */
static inline void event_happened(struct event *event) {
  if ((atomic_load(&event->word) & 1) == 0) return;
  atomic_fetch_add(&event->word, 1);
  atfork_os_wake_all(&event->word);
}

#endif
