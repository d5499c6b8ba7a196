/* SPDX-License-Identifier: MIT */
/*
 * The tree in Chrome's trace event format, which Perfetto and chrome://tracing open: a slice for the life of each
 * process, for each fork in the thread that made it, and for each handler and hook; an arrow from a fork to its child.
 */
#include "json.h"
#include "tree.h"
#include "tree_words.h"

/* In µs, as the format has it. */
static void add_time(struct json *json, const char *name, guint64 nanoseconds) {
  json_number(json, name, (double)nanoseconds / 1e3);
}

static void begin_event(struct json *json, const char *phase, const char *name, pid_t pid, pid_t tid) {
  json_begin(json, NULL, '{');
  json_string(json, "ph", phase);
  json_string(json, "name", name);
  json_string(json, "cat", "fork");
  json_integer(json, "pid", pid);
  json_integer(json, "tid", tid != 0 ? tid : pid);
}

static void begin_slice(struct json *json, const struct model *model, const char *name, pid_t pid, pid_t tid,
                        guint64 time, guint64 nanoseconds) {
  begin_event(json, "X", name, pid, tid);
  add_time(json, "ts", since_begin(model, time));
  add_time(json, "dur", nanoseconds);
  json_begin(json, "args", '{');
}

static void end_slice(struct json *json) {
  json_end(json, '}');
  json_end(json, '}');
}

static void add_metadata(struct json *json, const char *what, pid_t pid, pid_t tid, const char *name) {
  begin_event(json, "M", what, pid, tid);
  json_begin(json, "args", '{');
  json_string(json, "name", name);
  end_slice(json);
}

/* ---- Forks ---- */

static void add_callback(struct json *json, const struct model *model, const struct fork_event *event,
                         const struct callback *callback) {
  g_autofree char *what = callback_describe(callback);
  g_autofree char *name = g_strdup_printf("%s: %s", phase_names[callback->phase % PHASES], what);
  pid_t tid = callback->process == event->parent ? event->tid : 0;
  begin_slice(json, model, name, callback->process->pid, tid, callback->time, callback->nanoseconds);
  json_string(json, "kind", callback->kind == CALLBACK_HOOK ? "hook" : "handler");
  json_string(json, "object", callback->object);
  if (callback->kind == CALLBACK_HOOK) json_string(json, "hook", callback->name);
  if (callback->kind == CALLBACK_HOOK) json_integer(json, "priority", callback->priority);
  end_slice(json);
}

/* An arrow from the slice of the fork to the slice of its child. */
static void add_arrow(struct json *json, const struct model *model, const struct fork_event *event) {
  const struct process *child = event->child;
  begin_event(json, "s", "fork", event->parent->pid, event->tid);
  json_integer(json, "id", child->id);
  add_time(json, "ts", since_begin(model, event->time));
  json_end(json, '}');
  begin_event(json, "f", "fork", child->pid, child->pid);
  json_integer(json, "id", child->id);
  json_string(json, "bp", "e");
  add_time(json, "ts", since_begin(model, child->born));
  json_end(json, '}');
}

static void add_fork(struct json *json, const struct model *model, const struct fork_event *event) {
  const char *how = how_name(event->how);
  g_autofree char *name = event->error == 0 ? g_strdup(how) : g_strdup_printf("%s: %s", how, error_name(event->error));
  begin_slice(json, model, name, event->parent->pid, event->tid, event->time, event->nanoseconds);
  json_string(json, "thread", event->thread);
  json_integer(json, "threads", event->threads + 1);
  json_integer(json, "handlers", event->handlers);
  json_string(json, "child", event->child == NULL ? NULL : event->child->lineage);
  json_string(json, "error", event->error == 0 ? NULL : error_name(event->error));
  end_slice(json);
  if (event->tid != 0 && *event->thread != '\0')
    add_metadata(json, "thread_name", event->parent->pid, event->tid, event->thread);
  for (guint i = 0; i < event->callbacks->len; i++)
    add_callback(json, model, event, g_ptr_array_index(event->callbacks, i));
  if (event->child != NULL) add_arrow(json, model, event);
}

/* ---- Processes ---- */

static void add_exec(struct json *json, const struct model *model, const struct process *process,
                     const struct exec_event *exec) {
  g_autofree char *name = exec->error == 0 ? g_strdup_printf("exec %s", exec->path)
                                           : g_strdup_printf("exec %s: %s", exec->path, error_name(exec->error));
  begin_event(json, "i", name, process->pid, process->pid);
  json_string(json, "s", "p");
  add_time(json, "ts", since_begin(model, exec->time));
  json_end(json, '}');
}

static void add_life(struct json *json, const struct model *model, const struct process *process) {
  g_autofree char *ending = process_ending(process);
  g_autofree char *program = g_path_get_basename(process->program == NULL ? "?" : process->program);
  guint64 end = process->end != 0 ? process->end : MAX(model->root->end, process->born);
  begin_slice(json, model, program, process->pid, process->pid, process->born,
              end > process->born ? end - process->born : 0);
  json_string(json, "lineage", process->lineage);
  json_string(json, "parent", process->parent == NULL ? NULL : process->parent->lineage);
  json_string(json, "how", how_name(process->how));
  json_string(json, "by thread", process->birth == NULL ? NULL : process->thread);
  json_string(json, "first program", process->first);
  json_string(json, "program", process->program);
  json_string(json, "not watched", process_known_unwatched(process));
  json_string(json, "ending", ending);
  end_slice(json);
}

static void add_process(struct json *json, const struct model *model, const struct process *process) {
  g_autofree char *program = g_path_get_basename(process->program == NULL ? "?" : process->program);
  g_autofree char *name = g_strdup_printf("%s %s", process->lineage, program);
  add_metadata(json, "process_name", process->pid, process->pid, name);
  begin_event(json, "M", "process_sort_index", process->pid, process->pid);
  json_begin(json, "args", '{');
  json_integer(json, "sort_index", process->id);
  end_slice(json);
  add_life(json, model, process);
  for (guint i = 0; i < process->execs->len; i++) add_exec(json, model, process, g_ptr_array_index(process->execs, i));
  for (guint i = 0; i < process->forks->len; i++) add_fork(json, model, g_ptr_array_index(process->forks, i));
}

GString *tree_trace(const struct tree *tree) {
  struct json json = {.text = g_string_new(NULL)};
  json_begin(&json, NULL, '{');
  json_string(&json, "displayTimeUnit", "ns");
  json_begin(&json, "otherData", '{');
  json_string(&json, "tool", "atfork tree " VERSION);
  json_end(&json, '}');
  json_begin(&json, "traceEvents", '[');
  for (guint i = 0; i < tree->model->processes->len; i++)
    add_process(&json, tree->model, g_ptr_array_index(tree->model->processes, i));
  json_end(&json, ']');
  json_end(&json, '}');
  g_string_append_c(json.text, '\n');
  return json.text;
}
