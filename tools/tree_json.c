/* SPDX-License-Identifier: MIT */
/* The tree for programs: all that is known of each process and of each fork, times in ns since the command began. */
#include "json.h"
#include "report.h"
#include "tree.h"
#include "tree_words.h"

static void add_time(struct json *json, const char *name, const struct model *model, guint64 time) {
  json_integer(json, name, (gint64)since_begin(model, time));
}

/* ---- A fork ---- */

static void add_callback(struct json *json, const struct model *model, const struct callback *callback) {
  json_begin(json, NULL, '{');
  json_string(json, "kind", callback->kind == CALLBACK_HOOK ? "hook" : "handler");
  json_string(json, "phase", callback->phase < PHASES ? phase_names[callback->phase] : NULL);
  if (callback->kind == CALLBACK_HOOK) {
    json_string(json, "name", callback->name);
    json_integer(json, "priority", callback->priority);
  }
  json_string(json, "object", callback->object);
  struct place place = symbols_place(callback->process, callback->function, 0);
  symbols_find(&place);
  json_string(json, "function", place.function);
  json_integer(json, "key", (gint64)callback->data);
  json_integer(json, "pid", callback->process->pid);
  add_time(json, "begin_ns", model, callback->time);
  json_integer(json, "duration_ns", (gint64)callback->nanoseconds);
  if (callback->unloaded) json_boolean(json, "unloaded", TRUE);
  json_end(json, '}');
}

static void add_stack(struct json *json, const struct fork_event *event) {
  json_begin(json, "stack", '[');
  for (guint i = 0; i < event->stack.count; i++) {
    struct place place = symbols_place(event->parent, event->stack.addresses[i], event->stack.time);
    json_place(json, &place);
  }
  json_end(json, ']');
}

static void add_fork(struct json *json, const struct model *model, const struct fork_event *event) {
  json_begin(json, NULL, '{');
  json_integer(json, "index", event->index);
  json_string(json, "how", how_name(event->how));
  json_string(json, "thread", event->thread);
  if (event->tid != 0) json_integer(json, "tid", event->tid);
  json_integer(json, "threads", event->threads + 1);
  json_integer(json, "handlers", event->handlers);
  json_boolean(json, "in_signal_handler", event->in_signal);
  add_time(json, "begin_ns", model, event->time);
  if (event->nanoseconds != 0) json_integer(json, "duration_ns", (gint64)event->nanoseconds);
  json_string(json, "error", event->error == 0 ? NULL : error_name(event->error));
  json_string(json, "child", event->child == NULL ? NULL : event->child->lineage);
  json_begin(json, "callbacks", '[');
  for (guint i = 0; i < event->callbacks->len; i++) add_callback(json, model, g_ptr_array_index(event->callbacks, i));
  json_end(json, ']');
  add_stack(json, event);
  json_end(json, '}');
}

/* ---- A process ---- */

static void add_execs(struct json *json, const struct model *model, const struct process *process) {
  json_begin(json, "execs", '[');
  for (guint i = 0; i < process->execs->len; i++) {
    const struct exec_event *event = g_ptr_array_index(process->execs, i);
    json_begin(json, NULL, '{');
    add_time(json, "time_ns", model, event->time);
    json_string(json, "path", event->path);
    json_string(json, "error", event->error == 0 ? NULL : error_name(event->error));
    json_end(json, '}');
  }
  json_end(json, ']');
}

static void add_ending(struct json *json, const struct model *model, const struct process *process) {
  static const char *const names[] = {"runs", "exit", "signal", "unknown"};
  g_autofree char *ending = process_ending(process);
  json_string(json, "ending", names[process->ending]);
  if (process->ending == ENDING_EXITED) json_integer(json, "status", process->status);
  if (process->ending == ENDING_SIGNALED) json_string(json, "signal", ending);
  if (process->end != 0) add_time(json, "end_ns", model, process->end);
}

static void add_strings(struct json *json, const char *name, char **strings) {
  json_begin(json, name, '[');
  for (guint i = 0; strings != NULL && strings[i] != NULL; i++) json_string(json, NULL, strings[i]);
  json_end(json, ']');
}

static void add_process(struct json *json, const struct model *model, const struct process *process) {
  json_begin(json, NULL, '{');
  json_string(json, "lineage", process->lineage);
  json_integer(json, "pid", process->pid);
  json_string(json, "parent", process->parent == NULL ? NULL : process->parent->lineage);
  json_string(json, "how", how_name(process->how));
  json_string(json, "thread", process->birth == NULL ? NULL : process->thread);
  if (process->birth != NULL) json_integer(json, "threads", process->birth->threads + 1);
  add_time(json, "born_ns", model, process->born);
  add_ending(json, model, process);
  json_string(json, "first_program", process->first);
  json_string(json, "program", process->program);
  json_string(json, "not_watched", process_known_unwatched(process));
  add_strings(json, "arguments", process->arguments);
  add_execs(json, model, process);
  json_begin(json, "forks", '[');
  for (guint i = 0; i < process->forks->len; i++) add_fork(json, model, g_ptr_array_index(process->forks, i));
  json_end(json, ']');
  json_end(json, '}');
}

GString *tree_json(const struct tree *tree) {
  struct json json = {.text = g_string_new(NULL)};
  json_begin(&json, NULL, '{');
  json_string(&json, "version", VERSION);
  json_string(&json, "tool", "tree");
  add_strings(&json, "command", tree->command);
  json_integer(&json, "status", tree->status);
  json_begin(&json, "processes", '[');
  for (guint i = 0; i < tree->model->processes->len; i++)
    add_process(&json, tree->model, g_ptr_array_index(tree->model->processes, i));
  json_end(&json, ']');
  json_end(&json, '}');
  g_string_append_c(json.text, '\n');
  return json.text;
}
