/* SPDX-License-Identifier: MIT */
/* The model's mutexes, which no other thread has. */
#include <errno.h>
#include <stdlib.h>

#include "model.h"

/* A hook of a mutex, and how often forks under way have prepared it. */
struct holder {
  struct holder *next;
  int mutex;
  unsigned holds;
};

static struct holder *holders;
static pid_t locked_in[MUTEXES];

static bool is_held(int mutex) {
  for (const struct holder *holder = holders; holder != NULL; holder = holder->next)
    if (holder->mutex == mutex && holder->holds > 0) return true;
  return false;
}

/* To lock or unlock one is a call that looks. */
static void lock(int mutex) {
  model_look();
  locked_in[mutex] = me.thread;
}

static int hold(void *data) {
  struct holder *holder = data;
  if (!is_held(holder->mutex)) lock(holder->mutex);
  holder->holds++;
  return 0;
}

static void hold_in_the_end(void *data) {
  hold(data);
}

static void let_go(void *data) {
  struct holder *holder = data;
  if (holder->holds == 0) return;
  holder->holds--;
  if (!is_held(holder->mutex)) model_look();
}

/* Whatever forks this one is nested in: the child has one thread. */
static void let_go_in_child(void *data) {
  const struct holder *own = data;
  for (struct holder *holder = holders; holder != NULL; holder = holder->next)
    if (holder->mutex == own->mutex) holder->holds = 0;
}

static void forget(void *holder) {
  ((struct holder *)holder)->holds = 0;
}

atfork_id model_add_mutex(int which, int priority) {
  if (which == NO_MUTEX) {
    errno = EINVAL;
    return 0;
  }
  struct holder *holder = calloc(1, sizeof *holder);
  struct atfork_hook hook = {.name = "mutex",
                             .priority = priority,
                             .try_prepare = hold,
                             .wait = hold_in_the_end,
                             .parent = let_go,
                             .child = let_go_in_child,
                             .destroy = forget,
                             .data = holder};
  *holder = (struct holder){.next = holders, .mutex = which};
  holders = holder;
  return model_add(&hook, OF_PROGRAM);
}

static bool is_kept[MUTEXES];

/* A recursive one is this thread's own, as far as the C library knows. */
bool model_is_busy(int which) {
  return (is_held(which) || is_kept[which]) && (which != RECURSIVE || locked_in[which] != me.thread);
}

void model_keep(int which) {
  if (!is_held(which)) locked_in[which] = me.thread;
  is_kept[which] = true;
}

void model_give(int which) {
  is_kept[which] = false;
}
