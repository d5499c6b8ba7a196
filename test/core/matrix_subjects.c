/* SPDX-License-Identifier: MIT */
/* What is interrupted, and by what. */
#include <string.h>

#include "forks.h"
#include "matrix.h"

/* ---- Handlers ---- */

/*
 * f, c    makes a child, by fork() or a raw clone, and waits for it; the child does the rest
 * F, C    the same, but this does the rest
 * x       ends; in the end of any other script the process comes back into the subject
 * r, u    registers, or unregisters, a hook; s: that of the subject
 * l, p    asks for its lineage; polls
 * v       visits the hooks, and polls meanwhile
 */
const struct handler handlers[] = {
    {"fork", "fx", NULL, false},
    {"fork-back", "f", NULL, false},
    {"fork-fork", "ff", NULL, false},
    {"two-forks", "FF", NULL, false},
    {"register", "r", NULL, false},
    {"unregister", "u", NULL, false},
    {"unregister-same", "s", "unregister", false},
    {"lineage", "l", NULL, false},
    {"poll", "p", NULL, false},
    {"visit", "v", NULL, false},
    {"clone", "cx", NULL, false},
    {"clone-back", "c", NULL, false},
    {"clone-lineage-fork-fork", "clff", NULL, false},
    {"clone-lineage-two-forks", "clFF", NULL, false},
    {"fork-fork-fork", "fff", NULL, true},
    {"clone-fork", "cf", NULL, true},
    {"clone-poll-fork", "cpf", NULL, true},
    {"clone-clone", "cc", NULL, true},
    {"fork-clone", "fc", NULL, true},
    {"register-clone", "rc", NULL, true},
    {"clone-register", "cr", NULL, true},
    {"clone-unregister", "cu", NULL, true},
    {"unregister-fork", "uf", NULL, true},
    {"fork-unregister", "fu", NULL, true},
};

static void handler_registers(void) {
  struct account *account = &me.accounts[OF_HANDLER_NEW];
  set_registered(OF_HANDLER_NEW, UNKNOWN);
  account->id = add(OF_HANDLER_NEW);
  expect(account->id != 0, "the handler cannot register");
  set_registered(OF_HANDLER_NEW, YES);
}

static void handler_unregisters(int hook) {
  struct account *account = &me.accounts[hook];
  enum known before = account->registered;
  set_registered(hook, UNKNOWN);
  int result = atfork_unregister(account->id);
  expect(result == 0 || before == UNKNOWN, "the handler cannot unregister");
  if (result == 0) set_registered(hook, NO);
  /* What a bypassing fork missed is for the hooks that are there when it is made up for. */
  if (me.bypassed && account->due == YES && account->ran == 0 && me.accounts[FIRST].ran == 0) {
    account->due = UNKNOWN;
    account->is_vague = true;
  }
}

/* Where an ordinary fork has made this process, its hooks are not for a poll to run, but for that fork. */
static void poll_early(void) {
  int count = poll_here();
  expect(count == 0 || me.bypassed, "a poll runs %d hooks", count);
}

static int poll_in_visit(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  poll_early();
  return 0;
}

static void make_child(const char **rest) {
  char what = **rest;
  pid_t pid = make(what == 'c' || what == 'C');
  if (pid > 0) await(pid);
  bool goes_on = (pid == 0) == (what == 'f' || what == 'c');
  if (!goes_on) *rest += strlen(*rest) - 1;
}

static void do_one(const char **at) {
  switch (**at) {
    case 'r':
      handler_registers();
      break;
    case 'u':
      handler_unregisters(OF_HANDLER_OLD);
      break;
    case 's':
      handler_unregisters(OF_SUBJECT_OLD);
      break;
    case 'l':
      note_self();
      break;
    case 'p':
      poll_early();
      break;
    case 'v':
      expect(atfork_foreach(poll_in_visit, NULL) == 0, "a visit fails");
      break;
    case 'x':
      finish(true);
    default:
      make_child(at);
  }
}

static void act(void) {
  struct context context;
  pid_t here = me.pid;
  *has_acted = true;
  begin_context(&context, false);
  for (const char *at = cell->handler->script; *at != '\0'; at++) do_one(&at);
  me.has_come_back = me.pid != here;
  me.lingering = 0;
  end_context(&context);
}

/* ---- Subjects ---- */

static void enter(void) {
  entries_are_noted = tracing;
  if (tracing)
    places_trace(places);
  else
    places_break(places, place, act);
}

static void leave(void) {
  entries_are_noted = false;
  if (tracing)
    places_trace_end();
  else
    places_break_not();
}

static void subject_registers(void) {
  struct account *account = &me.accounts[OF_SUBJECT_NEW];
  set_registered(OF_SUBJECT_NEW, UNKNOWN);
  enter();
  atfork_id id = add(OF_SUBJECT_NEW);
  leave();
  expect(id != 0, "cannot register");
  account->id = id;
  set_registered(OF_SUBJECT_NEW, YES);
  finish(false);
}

static void subject_unregisters(void) {
  struct account *account = &me.accounts[OF_SUBJECT_OLD];
  set_registered(OF_SUBJECT_OLD, UNKNOWN);
  enter();
  int result = atfork_unregister(account->id);
  leave();
  expect(result == 0 || account->registered == NO, "cannot unregister");
  set_registered(OF_SUBJECT_OLD, NO);
  finish(false);
}

static void in_clone(void (*what)(void)) {
  pid_t pid = make(true);
  if (pid == 0) {
    what();
    finish(false);
  }
  await(pid);
  finish(false);
}

static void look(void) {
  enter();
  (atfork_generation)();
  leave();
}

static void look_in_clone(void) {
  in_clone(look);
}

static void look_and_poll(void) {
  (atfork_generation)();
  enter();
  atfork_poll();
  leave();
}

static void poll_in_clone(void) {
  in_clone(look_and_poll);
}

/* Called in the child of each fork, by another library's handler, before ours. */
static void (*early)(void);

void on_child(void) {
  if (early == NULL) return;
  be_born();
  void (*what)(void) = early;
  early = NULL;
  what();
}

static void fork_and_finish(void) {
  pid_t pid = make(false);
  leave();
  early = NULL;
  if (pid > 0) await(pid);
  finish(false);
}

static void look_in_child(void) {
  early = look;
  fork_and_finish();
}

static void fork_in_parent(void) {
  early = leave;
  enter();
  fork_and_finish();
}

static void fork_in_child(void) {
  early = enter;
  fork_and_finish();
}

const struct subject subjects[] = {
    {"register", subject_registers, false, false}, {"unregister", subject_unregisters, false, false},
    {"look-in-child", look_in_child, true, false}, {"look-in-clone", look_in_clone, false, false},
    {"poll-in-clone", poll_in_clone, true, true},  {"fork-in-parent", fork_in_parent, true, true},
    {"fork-in-child", fork_in_child, true, true},
};

const size_t subjects_count = G_N_ELEMENTS(subjects), handlers_count = G_N_ELEMENTS(handlers);
