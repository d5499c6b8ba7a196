/* SPDX-License-Identifier: MIT */
#include "tree_rows.h"

#include <string.h>

#include "clean.h"
#include "tree_words.h"

enum { ARGUMENTS_MOST = 80 /* characters */ };

/* ---- Pieces ---- */

void row_add_paint(GString *row, enum paint paint) {
  g_string_append_c(row, (char)paint);
}

static void add_painted(GString *row, enum paint paint, const char *text) {
  row_add_paint(row, paint);
  clean_add(row, text);
  row_add_paint(row, PAINT_PLAIN);
}

static void add_duration(GString *row, guint64 nanoseconds) {
  g_autofree char *text = duration_describe(nanoseconds);
  g_string_append(row, text);
}

void row_add_time(GString *row, const struct model *model, guint64 time) {
  g_string_append_printf(row, "+%.1f ms", (double)since_begin(model, time) / 1e6);
}

/* ---- A process ---- */

static void add_threads(GString *row, guint others) {
  g_string_append_printf(row, " (%u %s)", others + 1, others == 0 ? "thread" : "threads");
}

static void add_arguments(GString *row, const struct process *process) {
  if (!process->loaded || process->arguments == NULL || process->arguments[0] == NULL) return;
  g_autofree char *joined = g_strjoinv(" ", process->arguments + 1);
  g_autofree char *valid = g_utf8_make_valid(joined, -1);
  if (*valid == '\0') return;
  gboolean cut = g_utf8_strlen(valid, -1) > ARGUMENTS_MOST;
  if (cut) *g_utf8_offset_to_pointer(valid, ARGUMENTS_MOST) = '\0';
  g_string_append_c(row, ' ');
  clean_add(row, valid);
  if (cut) g_string_append(row, "…");
}

/* The program that it began with, and each program that it executed; the last one with its arguments. */
static void add_programs(GString *row, const struct process *process) {
  const char *first = process->first == NULL ? "?" : process->first;
  clean_add(row, first);
  for (guint i = 0; i < process->execs->len; i++) {
    const struct exec_event *event = g_ptr_array_index(process->execs, i);
    if (!exec_is_told(process, i)) continue;
    g_string_append(row, " → ");
    clean_add(row, event->path);
    if (event->error != 0) g_string_append_printf(row, " (%s)", error_name(event->error));
  }
  if (process->execed || process->birth == NULL) add_arguments(row, process);
  const char *unwatched = process_known_unwatched(process);
  if (unwatched == NULL) return;
  row_add_paint(row, PAINT_RED);
  g_string_append_printf(row, " (not watched: %s)", unwatched);
  row_add_paint(row, PAINT_PLAIN);
}

static void add_how(GString *row, enum how how, const char *thread) {
  add_painted(row, PAINT_CYAN, how_name(how));
  g_string_append(row, " by \"");
  clean_add(row, thread);
  g_string_append_c(row, '"');
}

void row_add_birth(GString *row, const struct process *process) {
  g_string_append_printf(row, "%d ", process->pid);
  if (process->birth == NULL) {
    add_painted(row, PAINT_CYAN, how_name(process->how));
  } else {
    add_how(row, process->how, process->thread);
    g_string_append_printf(row, " of %s", process->parent->lineage);
    add_threads(row, process->birth->threads);
  }
  g_string_append(row, ": ");
  add_programs(row, process);
}

void row_add_failure(GString *row, const struct fork_event *event) {
  add_how(row, event->how, event->thread);
  g_string_append_printf(row, " of %s", event->parent->lineage);
  add_threads(row, event->threads);
  row_add_paint(row, PAINT_RED);
  g_string_append_printf(row, " failed: %s (%s)", error_name(event->error), g_strerror(event->error));
  row_add_paint(row, PAINT_PLAIN);
}

static void add_ending(GString *row, const struct process *process) {
  g_autofree char *ending = process_ending(process);
  gboolean bad = process->ending == ENDING_SIGNALED || (process->ending == ENDING_EXITED && process->status != 0);
  add_painted(row, process->ending == ENDING_NONE ? PAINT_GREEN : bad ? PAINT_RED : PAINT_PLAIN, ending);
  guint64 end = process->end != 0 ? process->end : (guint64)g_get_monotonic_time() * 1000;
  if (process->ending == ENDING_UNKNOWN && process->end == 0) return;
  g_string_append(row, process->ending == ENDING_NONE ? " for " : " after ");
  add_duration(row, end > process->born ? end - process->born : 0);
}

/* ---- The tree ---- */

struct making {
  const struct model *model;
  GPtrArray *rows;
};

static void free_row(gpointer data) {
  struct row *row = data;
  g_free(row->text);
  g_free(row);
}

static void add_row(struct making *making, const struct process *process, gboolean detail, GString *text) {
  struct row *row = g_new(struct row, 1);
  *row = (struct row){process, detail, g_string_free(text, FALSE)};
  g_ptr_array_add(making->rows, row);
}

static GString *new_row(const char *prefix, const char *branch) {
  GString *row = g_string_new(NULL);
  row_add_paint(row, PAINT_DIM);
  g_string_append(row, prefix);
  g_string_append(row, branch);
  row_add_paint(row, PAINT_PLAIN);
  return row;
}

static void add_callback_row(struct making *making, const struct process *process, const char *prefix,
                             const struct callback_times *times) {
  g_autofree char *what = callback_describe(times->callback);
  GString *row = new_row(prefix, "  ");
  clean_add(row, what);
  for (guint phase = 0, told = 0; phase < PHASES; phase++) {
    if (times->runs[phase] == 0) continue;
    g_string_append_printf(row, "%s %s ", told++ == 0 ? ":" : ",", phase_names[phase]);
    add_duration(row, times->nanoseconds[phase]);
  }
  add_row(making, process, TRUE, row);
}

static void add_callbacks(struct making *making, const struct process *process, const char *prefix,
                          const struct fork_event *event) {
  g_autoptr(GArray) all = callback_times_of(event);
  for (guint i = 0; i < all->len; i++)
    add_callback_row(making, process, prefix, &g_array_index(all, struct callback_times, i));
}

static void add_process(struct making *making, const struct process *process, const char *prefix, const char *branch,
                        const char *below);

static void add_fork(struct making *making, const struct fork_event *event, const char *prefix, gboolean last) {
  const char *branch = last ? "└─ " : "├─ ", *more = last ? "   " : "│  ";
  if (event->child != NULL) {
    add_process(making, event->child, prefix, branch, more);
    return;
  }
  GString *row = new_row(prefix, branch);
  if (event->error != 0) {
    row_add_failure(row, event);
  } else {
    add_how(row, event->how, event->thread);
    g_string_append(row, ": the child was not seen");
  }
  g_string_append_c(row, ' ');
  row_add_time(row, making->model, event->time);
  add_row(making, event->parent, TRUE, row);
  g_autofree char *deeper = g_strconcat(prefix, more, NULL);
  add_callbacks(making, event->parent, deeper, event);
}

static void add_process(struct making *making, const struct process *process, const char *prefix, const char *branch,
                        const char *below) {
  GString *row = new_row(prefix, branch);
  add_painted(row, PAINT_BOLD, process->lineage);
  g_string_append_c(row, ' ');
  row_add_time(row, making->model, process->born);
  g_string_append(row, ", ");
  add_ending(row, process);
  g_string_append(row, ", ");
  row_add_birth(row, process);
  add_row(making, process, FALSE, row);
  g_autofree char *deeper = g_strconcat(prefix, below, NULL);
  g_autofree char *details = g_strconcat(deeper, process->forks->len > 0 ? "│" : " ", NULL);
  if (process->birth != NULL) add_callbacks(making, process, details, process->birth);
  for (guint i = 0; i < process->forks->len; i++)
    add_fork(making, g_ptr_array_index(process->forks, i), deeper, i + 1 == process->forks->len);
}

GPtrArray *tree_rows(const struct model *model) {
  struct making making = {model, g_ptr_array_new_with_free_func(free_row)};
  add_process(&making, model->root, "", "", "");
  return making.rows;
}
