/* SPDX-License-Identifier: MIT */
/* Registers, unregisters and visits hooks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "runner.h"

void do_load(const int *unused) {
  (void)unused;
  if (!runner.has_objects || runner.is_loaded) return;
  runner.is_loaded = true;
  runner.api->load();
}

static bool is_new(atfork_id id) {
  for (int i = 0; i < runner.notes_count; i++)
    if (runner.notes[i].id == id) return false;
  return true;
}

/* Loads the plugin if it is to be one of its hooks. */
static enum owner owner_of(int argument) {
  if (!runner.has_objects && (argument == OF_COPY || argument == OF_PLUGIN)) return OF_PROGRAM;
  if (argument == OF_PLUGIN) do_load(NULL);
  return (enum owner)argument;
}

static void note_registered(struct note *note, atfork_id id) {
  int slot = note->slot;
  say("register %d#%d: %s", slot, note->ordinal, id == 0 ? error_name() : is_new(id) ? "new" : "given before");
  if (id == 0) return;
  note->id = id;
  if (runner.slots[slot] != NULL) runner.stale[slot] = runner.slots[slot]->id;
  runner.slots[slot] = note;
  runner.notes_count++;
}

void do_register(const int *arguments) {
  if (runner.notes_count == NOTES) return;
  int slot = arguments[1];
  enum owner owner = owner_of(arguments[5]);
  struct note *note = &runner.notes[runner.notes_count];
  struct atfork_hook hook = callbacks_chosen(arguments[0]);
  char name[16];
  snprintf(name, sizeof name, "slot %d", slot);
  /* A script might unload the plugin that has called it. */
  *note = (struct note){slot, runner.notes_count, owner == OF_PLUGIN ? 0 : arguments[3], arguments[4], 0};
  hook.name = name;
  hook.priority = arguments[2];
  hook.data = note;
  errno = 0;
  note_registered(note, runner.api->add(&hook, owner));
}

void do_mutex(const int *arguments) {
  if (runner.notes_count == NOTES) return;
  struct note *note = &runner.notes[runner.notes_count];
  *note = (struct note){.slot = arguments[1], .ordinal = runner.notes_count};
  say("mutex %d", arguments[0]);
  errno = 0;
  note_registered(note, runner.api->add_mutex(arguments[0], arguments[2]));
}

void do_busy(const int *arguments) {
  say("mutex %d: %s", arguments[0], runner.api->is_busy(arguments[0]) ? "busy" : "free");
}

void do_unregister(const int *arguments) {
  int slot = arguments[0];
  atfork_id id = runner.slots[slot] == NULL ? 0 : runner.slots[slot]->id;
  say("unregister %d", slot);
  say_result("unregister", runner.api->unregister(id));
}

void do_stale(const int *arguments) {
  say_result("unregister stale", runner.api->unregister(runner.stale[arguments[0]]));
}

void do_garbage(const int *arguments) {
  static const atfork_id ids[] = {0, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 48, UINT64_C(0x8000ffffffffffff)};
  enum { IDS = sizeof ids / sizeof *ids };
  say_result("unregister garbage", runner.api->unregister(ids[arguments[0] % IDS]));
}

/* Where a fork may still take it: in its prepare callbacks, and in what else this process runs before it, or between
 * those, and may have come back to. */
static bool fork_would_wait(void) {
  return runner.preparing > 0 || runner.has_come_back || runner.forker == getpid() || runner.had_handlers;
}

void do_keep(const int *arguments) {
  int which = arguments[0];
  if (fork_would_wait() || (runner.kept & 1U << which) != 0) return;
  bool is_busy = runner.api->is_busy(which);
  say("keep mutex %d: %s", which, is_busy ? "busy" : "kept");
  if (is_busy) return;
  runner.kept |= 1U << which;
  runner.api->keep(which);
}

/* All: nothing is kept across a fork. */
void do_give(const int *unused) {
  (void)unused;
  for (int which = 0; which < MUTEXES; which++)
    if ((runner.kept & 1U << which) != 0) runner.api->give(which);
  if (runner.kept != 0) say("give back");
  runner.kept = 0;
}

void do_many(const int *arguments) {
  int count = arguments[0], keep = arguments[1];
  struct atfork_hook hook = {.name = "many", .priority = arguments[2], .child = on_tick};
  if ((arguments[3] & HAS_PREPARE) != 0) hook.prepare = hook.parent = on_tick;
  int from = runner.many_count;
  for (int i = 0; i < count && runner.many_count < MANY; i++) {
    hook.data = (void *)(uintptr_t)runner.many_count;
    runner.many[runner.many_count++] = runner.api->add(&hook, OF_PROGRAM);
  }
  int gone = 0;
  for (int i = from; i < runner.many_count; i++)
    if (keep == KEEP_NONE || (keep != KEEP_ALL && i % (keep + 1) != 0))
      gone += runner.api->unregister(runner.many[i]) == 0;
  say("many: %d of %d gone", gone, runner.many_count - from);
  atomic_fetch_add(&shared->operations, 2 * (uint64_t)count);
}

void do_fewer(const int *arguments) {
  int keep = arguments[0], gone = 0;
  for (int i = 0; i < runner.many_count; i++)
    if (keep == 0 || i % keep != 0) gone += runner.api->unregister(runner.many[i]) == 0;
  say("fewer: %d gone", gone);
  atomic_fetch_add(&shared->operations, (uint64_t)runner.many_count);
  if (keep == 0) runner.many_count = 0;
}

void do_handler(const int *arguments) {
  if (!runner.has_objects) return;
  runner.handlers[arguments[0]] = arguments[1];
  runner.had_handlers = true;
}

void do_unload(const int *unused) {
  (void)unused;
  if (!runner.is_loaded) return;
  runner.is_loaded = false;
  say("unload");
  runner.api->unload();
  say("unloaded");
}

/* ---- Visiting ---- */

struct visits {
  int script, at, stop;
  int count;
};

static int visit(const struct atfork_info *info, void *arg) {
  struct visits *visits = arg;
  if (strcmp(info->hook.name, "many") == 0) {
    on_tick(info->hook.data);
    return 0;
  }
  if (strcmp(info->hook.name, "mutex") == 0) {
    say("visit a mutex's %d %d", info->hook.priority, callbacks_of(&info->hook));
    return 0;
  }
  const struct note *note = info->hook.data;
  say("visit %d#%d \"%s\" %d %d of %llu%s", note->slot, note->ordinal, info->hook.name, info->hook.priority,
      callbacks_of(&info->hook), (unsigned long long)info->generation, info->id == note->id ? "" : ", another id");
  if (visits->count++ == visits->at) run_script(visits->script);
  return visits->stop > 0 && visits->count == visits->stop ? 70 + visits->stop : 0;
}

void do_foreach(const int *arguments) {
  enum { NO_VISITOR = 7 };
  struct visits visits = {.script = arguments[0], .at = arguments[1], .stop = arguments[2]};
  errno = 0;
  say_result("foreach", runner.api->visit(visits.stop == NO_VISITOR ? NULL : visit, &visits));
  say_ticks();
}

void say_hooks(void) {
  do_foreach((const int[]){0, 0, 0});
}
