/* SPDX-License-Identifier: MIT */
#include "tree_words.h"

#include <string.h>

#include "launch.h"

const char *const phase_names[PHASES] = {"prepare", "parent", "child"};

/* ---- Callbacks ---- */

static gboolean same_callback(const struct callback *a, const struct callback *b) {
  return a->kind == b->kind && a->data == b->data && strcmp(a->object, b->object) == 0;
}

static struct callback_times *times_for(GArray *all, const struct callback *callback) {
  for (guint i = 0; i < all->len; i++) {
    struct callback_times *times = &g_array_index(all, struct callback_times, i);
    if (same_callback(times->callback, callback)) return times;
  }
  struct callback_times times = {.callback = callback};
  g_array_append_val(all, times);
  return &g_array_index(all, struct callback_times, all->len - 1);
}

GArray *callback_times_of(const struct fork_event *event) {
  GArray *all = g_array_new(FALSE, FALSE, sizeof(struct callback_times));
  for (guint i = 0; i < event->callbacks->len; i++) {
    const struct callback *callback = g_ptr_array_index(event->callbacks, i);
    if (callback->phase >= PHASES) continue;
    struct callback_times *times = times_for(all, callback);
    times->runs[callback->phase]++;
    times->nanoseconds[callback->phase] += callback->nanoseconds;
  }
  return all;
}

char *callback_describe(const struct callback *callback) {
  const char *object = *callback->object == '\0' ? "an unknown object" : callback->object;
  if (callback->kind == CALLBACK_HANDLER) return g_strdup_printf("fork handler of %s", object);
  return g_strdup_printf("hook \"%s\" (priority %d) of %s", callback->name, callback->priority, object);
}

/* ---- Programs that were executed ---- */

gboolean exec_is_told(const struct process *process, guint i) {
  const struct exec_event *event = g_ptr_array_index(process->execs, i);
  return event->error == 0 || i + 1 == process->execs->len;
}

/* ---- Numbers ---- */

static const struct {
  double limit, size;
  const char *name;
} units[] = {{1e3, 1, "ns"}, {1e6, 1e3, "µs"}, {1e9, 1e6, "ms"}, {1e300, 1e9, "s"}};

static guint unit_of(guint64 nanoseconds) {
  guint unit = 0;
  while ((double)nanoseconds >= units[unit].limit) unit++;
  return unit;
}

char *duration_describe(guint64 nanoseconds) {
  guint unit = unit_of(nanoseconds);
  double number = (double)nanoseconds / units[unit].size;
  return g_strdup_printf("%.*f %s", unit == 0 ? 0 : number < 10 ? 2 : number < 100 ? 1 : 0, number, units[unit].name);
}

char *tick_describe(guint64 nanoseconds) {
  guint unit = unit_of(nanoseconds);
  return g_strdup_printf("%g %s", (double)nanoseconds / units[unit].size, units[unit].name);
}

const char *error_name(int error) {
  const char *name = strerrorname_np(error);
  return name != NULL ? name : "an unknown error";
}

guint64 since_begin(const struct model *model, guint64 time) {
  return time > model->begin ? time - model->begin : 0;
}
