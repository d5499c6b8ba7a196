/* SPDX-License-Identifier: MIT */
#include "made.h"

#include <atfork.h>
#include <stddef.h>

static struct made ring = {&ring, &ring, 0};

/* The generation of the process that has taken a place, or 0.  Before, it was of generation 0. */
static uint64_t placed;

void made_place_taken(void) {
  placed = atfork_generation();
}

void made_add(struct made *made) {
  *made = (struct made){.before = &ring, .after = ring.after, .generation = atfork_generation()};
  ring.after = made->after->before = made;
}

void made_remove(struct made *made) {
  made->before->after = made->after;
  made->after->before = made->before;
  made->before = made->after = made;
}

bool made_is_inherited(const struct made *made) {
  uint64_t now = atfork_generation();
  return made->generation != now && (made->generation != 0 || now != placed);
}

struct made *made_next_inherited(struct made *made) {
  for (made = made == NULL ? ring.after : made->after; made != &ring; made = made->after)
    if (made_is_inherited(made)) return made;
  return NULL;
}
