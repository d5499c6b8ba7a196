/* SPDX-License-Identifier: MIT */
#include "callbacks.h"

#include <errno.h>
#include <string.h>

#include "log.h"
#include "runner.h"

const char *error_name(void) {
  return errno == EINVAL ? "EINVAL" : errno == ENOENT ? "ENOENT" : errno == EALREADY ? "EALREADY" : strerror(errno);
}

void say_result(const char *what, int result) {
  say("%s: %d%s%s", what, result, result == -1 ? " " : "", result == -1 ? error_name() : "");
}

static void called(const char *phase, void *data) {
  const struct note *note = data;
  say("%s %d#%d", phase, note->slot, note->ordinal);
  if (!runner.is_exiting) run_script(note->script);
}

static void called_preparing(const char *phase, void *data) {
  runner.preparing++;
  called(phase, data);
  runner.preparing--;
}

static void on_prepare(void *data) {
  called_preparing("prepare", data);
}
static void on_parent(void *data) {
  called("parent", data);
}
static void on_child(void *data) {
  called("child", data);
}
static void on_wait(void *data) {
  called_preparing("wait", data);
}
static void on_destroy(void *data) {
  called("destroy", data);
}

static int on_try(void *data) {
  struct note *note = data;
  bool refuses = note->refusals > 0;
  if (refuses) note->refusals--;
  called_preparing(refuses ? "not now" : "try", data);
  return refuses;
}

const struct atfork_hook callbacks = {
    .prepare = on_prepare,
    .parent = on_parent,
    .child = on_child,
    .try_prepare = on_try,
    .wait = on_wait,
    .destroy = on_destroy,
};

struct atfork_hook callbacks_chosen(int has) {
  struct atfork_hook hook = callbacks;
  if ((has & HAS_PREPARE) == 0) hook.prepare = NULL;
  if ((has & HAS_PARENT) == 0) hook.parent = NULL;
  if ((has & HAS_CHILD) == 0) hook.child = NULL;
  if ((has & HAS_TRY) == 0) hook.try_prepare = NULL;
  if ((has & HAS_WAIT) == 0) hook.wait = NULL;
  if ((has & HAS_DESTROY) == 0) hook.destroy = NULL;
  return hook;
}

int callbacks_of(const struct atfork_hook *hook) {
  return (hook->prepare != NULL ? HAS_PREPARE : 0) | (hook->parent != NULL ? HAS_PARENT : 0) |
         (hook->child != NULL ? HAS_CHILD : 0) | (hook->try_prepare != NULL ? HAS_TRY : 0) |
         (hook->wait != NULL ? HAS_WAIT : 0) | (hook->destroy != NULL ? HAS_DESTROY : 0);
}

void handler_called(enum handler which) {
  if (runner.handlers[which] == 0) return;
  say("handler %d", (int)which);
  bool prepares = which == EARLY_PREPARE || which == LATE_PREPARE;
  runner.preparing += prepares;
  run_script(runner.handlers[which]);
  runner.preparing -= prepares;
}

/* Of many hooks at once, only the order is noted. */
void on_tick(void *data) {
  runner.ticks++;
  runner.ticks_digest = runner.ticks_digest * 31 + (uintptr_t)data;
}

void say_ticks(void) {
  if (runner.ticks == runner.ticks_said) return;
  say("ticks %u %llx", runner.ticks, (unsigned long long)runner.ticks_digest);
  runner.ticks_said = runner.ticks;
}
