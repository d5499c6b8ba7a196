/* SPDX-License-Identifier: MIT */
/* A library that stays loaded only because a hook refers to it. */
void unloaded_after_fork(void *data);
int unloaded_ran(void);
void unloaded_add_one(void *data);

void unloaded_add_one(void *data) {
  ++*(int *)data;
}

static int ran;

void unloaded_after_fork(void *data) {
  (void)data;
  ran++;
}

int unloaded_ran(void) {
  return ran;
}
