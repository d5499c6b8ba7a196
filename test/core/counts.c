/* SPDX-License-Identifier: MIT */
#include "counts.h"

#include <glib.h>

struct counts one, two;
atfork_id one_id, two_id;

void prepare(void *counts) {
  ((struct counts *)counts)->prepared++;
}
void parent(void *counts) {
  ((struct counts *)counts)->parented++;
}
void child(void *counts) {
  ((struct counts *)counts)->childed++;
}
void destroy(void *counts) {
  ((struct counts *)counts)->destroyed++;
}

atfork_id add(struct counts *counts) {
  atfork_id id = atfork_register(
      &(struct atfork_hook){.prepare = prepare, .parent = parent, .child = child, .destroy = destroy, .data = counts});
  g_assert_cmpuint(id, !=, 0);
  return id;
}

void start(void) {
  one = two = (struct counts){0};
  one_id = two_id = 0;
}
