/* SPDX-License-Identifier: MIT */
/*
 * The timeline: time goes to the right, and each process has a row, below that of its parent.
 *
 *     |        0  | ======+===========|
 *     |      0.1  |       `===<>====x |      <> an exec, x an end that is no success
 */
#include "tree_html.h"
#include "tree_words.h"

enum {
  ROW = 24,     /* px, each row's height */
  TOP = 30,     /* px, for the scale */
  LABELS = 340, /* px, for the names of the rows */
  CHART = 900,  /* px, for all the time */
  MARGIN = 24,  /* px, right of it */
  BAR = 13,     /* px, a bar's height */
  INDENT = 9,   /* px, for each generation */
  INDENTS = 10, /* generations that are indented, at most */
  LINEAGE = 16, /* characters of a lineage, at most */
};

static const double CHARACTER = 7.3; /* px, a character of a label */
static const double SMALL = 6.4;     /* px, one in a bar */

struct timeline {
  GString *html;
  const struct model *model;
  guint64 span;    /* ns that the chart spans */
  GPtrArray *rows; /* of struct process, from top to bottom */
  GHashTable *row; /* struct process -> its row + 1 */
};

/* ---- Places ---- */

static double x_of(const struct timeline *timeline, guint64 time) {
  return LABELS + (double)since_begin(timeline->model, time) / (double)timeline->span * CHART;
}

static double y_of(const struct timeline *timeline, const struct process *process) {
  guint row = GPOINTER_TO_UINT(g_hash_table_lookup(timeline->row, process)) - 1;
  return TOP + (double)row * ROW;
}

static guint64 end_of(const struct timeline *timeline, const struct process *process) {
  return process->end != 0 ? MAX(process->end, process->born) : timeline->model->begin + timeline->span;
}

static void add_rows(struct timeline *timeline, struct process *process) {
  g_ptr_array_add(timeline->rows, process);
  g_hash_table_insert(timeline->row, process, GUINT_TO_POINTER(timeline->rows->len));
  for (guint i = 0; i < process->forks->len; i++) {
    const struct fork_event *event = g_ptr_array_index(process->forks, i);
    if (event->child != NULL) add_rows(timeline, event->child);
  }
}

static guint depth_of(const struct process *process) {
  guint depth = 0;
  for (; process->parent != NULL; process = process->parent) depth++;
  return depth;
}

/* To the last event that is known. */
static guint64 find_span(const struct model *model) {
  guint64 last = model->root->end;
  for (guint i = 0; i < model->processes->len; i++) {
    const struct process *process = g_ptr_array_index(model->processes, i);
    last = MAX(last, MAX(process->born, process->end));
  }
  return CLAMP(since_begin(model, last), 1000, G_MAXINT64 / 16); /* so that no tick is too large a number */
}

/* ---- Pieces ---- */

#define PRINT(timeline, ...) g_string_append_printf((timeline)->html, __VA_ARGS__)
#define X "%.2f"

static void add_title(struct timeline *timeline, const char *text) {
  g_autofree char *escaped = html_escape(text);
  PRINT(timeline, "<title>%s</title>", escaped);
}

/* Keeps the end of a text that is too long. */
static char *cut(const char *text, glong most) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  if (g_utf8_strlen(valid, -1) <= most) return g_steal_pointer(&valid);
  if (most < 2) return g_strdup("");
  g_autofree char *start = g_utf8_substring(valid, 0, most - 1);
  return g_strconcat(start, "…", NULL);
}

static char *cut_left(const char *text, glong most) {
  glong length = g_utf8_strlen(text, -1);
  return length <= most ? g_strdup(text) : g_strconcat("…", g_utf8_offset_to_pointer(text, length - most + 1), NULL);
}

static char *program_name(const struct process *process) {
  return process->program == NULL ? g_strdup("?") : g_path_get_basename(process->program);
}

static char *describe(const struct timeline *timeline, const struct process *process) {
  g_autofree char *programs = html_programs(process);
  g_autofree char *ending = process_ending(process);
  g_autofree char *born = duration_describe(since_begin(timeline->model, process->born));
  g_autofree char *lived = duration_describe(end_of(timeline, process) - process->born);
  if (process->birth == NULL)
    return g_strdup_printf("%s, pid %d: the command\n%s\n%s after %s", process->lineage, process->pid, programs, ending,
                           lived);
  return g_strdup_printf("%s, pid %d: %s by \"%s\" of %s, which had %u threads\n%s\nborn at %s; %s after %s",
                         process->lineage, process->pid, how_name(process->how), process->thread,
                         process->parent->lineage, process->birth->threads + 1, programs, born, ending, lived);
}

/* ---- A row ---- */

static void add_label(struct timeline *timeline, const struct process *process, double y) {
  guint indent = MIN(depth_of(process), INDENTS) * INDENT;
  g_autofree char *program = program_name(process);
  g_autofree char *lineage = cut_left(process->lineage, LINEAGE);
  g_autofree char *whole = g_strdup_printf("%s  %d  %s", lineage, process->pid, program);
  g_autofree char *text = cut(whole, (glong)((LABELS - 16 - (double)indent) / CHARACTER));
  g_autofree char *escaped = html_escape(text);
  g_autofree char *title = describe(timeline, process);
  PRINT(timeline, "<a href=\"#p%u\"><text x=\"%u\" y=\"" X "\" xml:space=\"preserve\">%s", process->id, 4 + indent,
        y + 16, escaped);
  add_title(timeline, title);
  PRINT(timeline, "</text></a>\n");
}

static const char *bar_class(const struct process *process) {
  if (process->how == HOW_ROOT) return "root";
  if (how_bypasses(process->how)) return "bypass";
  return how_starts(process->how) ? "start" : "fork";
}

static void add_bar(struct timeline *timeline, const struct process *process, double y) {
  double x = x_of(timeline, process->born), width = x_of(timeline, end_of(timeline, process)) - x;
  g_autofree char *title = describe(timeline, process);
  PRINT(timeline, "<rect class=\"bar-%s\" x=\"" X "\" y=\"" X "\" width=\"" X "\" height=\"%d\" rx=\"2\">",
        bar_class(process), x, y + 4, MAX(width, 2), BAR);
  add_title(timeline, title);
  PRINT(timeline, "</rect>\n");
  if (process->ending == ENDING_NONE)
    PRINT(timeline, "<rect class=\"open\" x=\"" X "\" y=\"" X "\" width=\"" X "\" height=\"%d\" rx=\"2\"/>\n", x, y + 4,
          MAX(width, 2), BAR);
}

/* Returns where the last mark ends. */
static double add_execs(struct timeline *timeline, const struct process *process, double y) {
  double last = x_of(timeline, process->born);
  for (guint i = 0; i < process->execs->len; i++) {
    const struct exec_event *exec = g_ptr_array_index(process->execs, i);
    if (exec->error != 0) continue;
    double x = x_of(timeline, exec->time);
    g_autofree char *at = duration_describe(since_begin(timeline->model, exec->time));
    g_autofree char *title = g_strdup_printf("exec %s at %s", exec->path, at);
    PRINT(timeline, "<path class=\"exec\" d=\"M" X " " X "l4 4l-4 4l-4 -4z\">", x, y + 6.5);
    add_title(timeline, title);
    PRINT(timeline, "</path>\n");
    last = x + 4;
  }
  return last;
}

/* The name of the program, if there is room for it. */
static void add_name(struct timeline *timeline, const struct process *process, double y, double from) {
  double room = x_of(timeline, end_of(timeline, process)) - from - 10;
  g_autofree char *program = program_name(process);
  if (room < SMALL * 3) return;
  g_autofree char *text = cut(program, (glong)(room / SMALL));
  g_autofree char *escaped = html_escape(text);
  PRINT(timeline, "<text class=\"onbar\" x=\"" X "\" y=\"" X "\">%s</text>\n", from + 4, y + 14, escaped);
}

static void add_end(struct timeline *timeline, const struct process *process, double y) {
  gboolean failed = process->ending == ENDING_EXITED && process->status != 0;
  if (process->ending != ENDING_SIGNALED && !failed) return;
  g_autofree char *ending = process_ending(process);
  double x = MAX(x_of(timeline, end_of(timeline, process)), x_of(timeline, process->born) + 2);
  if (failed)
    PRINT(timeline, "<path class=\"end\" d=\"M" X " " X "v15\">", x, y + 3);
  else
    PRINT(timeline, "<path class=\"end\" d=\"M" X " " X "l8 8m0 -8l-8 8\">", x - 4, y + 6.5);
  add_title(timeline, ending);
  PRINT(timeline, "</path>\n");
}

/* ---- Forks ---- */

static void add_arrow(struct timeline *timeline, const struct process *process) {
  if (process->birth == NULL) return;
  double from = y_of(timeline, process->parent) + 4 + BAR;
  double x = x_of(timeline, process->birth->time), born = x_of(timeline, process->born);
  PRINT(timeline, "<path class=\"arrow\" d=\"M" X " " X "V" X "H" X "\"/>\n", x, from, y_of(timeline, process) + 10.5,
        MAX(born, x + 2));
}

static void add_callback(struct timeline *timeline, const struct callback *callback) {
  if (callback->phase >= PHASES) return;
  double x = x_of(timeline, callback->time);
  double width = x_of(timeline, callback->time + callback->nanoseconds) - x;
  g_autofree char *what = callback_describe(callback);
  g_autofree char *took = duration_describe(callback->nanoseconds);
  g_autofree char *title = g_strdup_printf("%s: %s took %s", phase_names[callback->phase], what, took);
  PRINT(timeline, "<rect class=\"%s\" x=\"" X "\" y=\"" X "\" width=\"" X "\" height=\"4\">",
        phase_names[callback->phase], x, y_of(timeline, callback->process) + 18, MAX(width, 1.5));
  add_title(timeline, title);
  PRINT(timeline, "</rect>\n");
}

static void add_fork(struct timeline *timeline, const struct fork_event *event, double y) {
  for (guint i = 0; i < event->callbacks->len; i++) add_callback(timeline, g_ptr_array_index(event->callbacks, i));
  if (event->error == 0) return;
  g_autofree char *title = g_strdup_printf("%s by \"%s\" failed: %s (%s)", how_name(event->how), event->thread,
                                           error_name(event->error), g_strerror(event->error));
  PRINT(timeline, "<path class=\"failed\" d=\"M" X " " X "l5 9h-10z\">", x_of(timeline, event->time), y + 6);
  add_title(timeline, title);
  PRINT(timeline, "</path>\n");
}

static void add_row(struct timeline *timeline, const struct process *process) {
  double y = y_of(timeline, process);
  add_label(timeline, process, y);
  add_bar(timeline, process, y);
  add_name(timeline, process, y, add_execs(timeline, process, y));
  for (guint i = 0; i < process->forks->len; i++) add_fork(timeline, g_ptr_array_index(process->forks, i), y);
  add_end(timeline, process, y);
}

/* ---- The scale, and what means what ---- */

/* The distance of ticks: 1, 2 or 5 times a power of ten, with some ten ticks in the span. */
static guint64 tick_of(guint64 span) {
  for (guint64 power = 1;; power *= 10)
    for (guint i = 0; i < 3; i++) {
      guint64 tick = power * (guint[]){1, 2, 5}[i];
      if (tick * 12 >= span) return tick;
    }
}

static void add_scale(struct timeline *timeline) {
  guint64 tick = tick_of(timeline->span);
  double bottom = TOP + (double)timeline->rows->len * ROW;
  for (guint i = 1; i < timeline->rows->len; i += 2)
    PRINT(timeline, "<rect class=\"band\" x=\"0\" y=\"%u\" width=\"%d\" height=\"%d\"/>\n", TOP + i * ROW,
          LABELS + CHART + MARGIN, ROW);
  for (guint64 at = 0; at <= timeline->span; at += tick) {
    double x = LABELS + (double)at / (double)timeline->span * CHART;
    g_autofree char *text = at == 0 ? g_strdup("0") : tick_describe(at);
    PRINT(timeline,
          "<path class=\"grid\" d=\"M" X " 20V" X "\"/><text class=\"weak\" x=\"" X
          "\" y=\"14\" "
          "text-anchor=\"middle\">%s</text>\n",
          x, bottom, x, text);
  }
}

static void add_key(struct timeline *timeline) {
  static const struct {
    const char *colour, *what;
  } keys[] = {
      {"root", "the command"},
      {"fork", "fork(): handlers run"},
      {"bypass", "a bypassing fork: none run"},
      {"start", "vfork(), posix_spawn(), system(), popen()"},
      {"prepare", "handler or hook: prepare"},
      {"parent", "parent"},
      {"child", "child"},
      {"bad", "ended by a signal (✕) or with a status other than 0; ▲ a fork that failed"},
  };
  g_string_append(timeline->html, "<p>");
  for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
    PRINT(timeline, "<span class=\"key\"><i style=\"background:var(--%s)\"></i>%s</span> ", keys[i].colour,
          keys[i].what);
  g_string_append(timeline->html, "<span class=\"key\">◇ exec</span></p>\n");
}

void tree_timeline(GString *html, const struct model *model) {
  struct timeline timeline = {html, model, find_span(model), g_ptr_array_new(), g_hash_table_new(NULL, NULL)};
  add_rows(&timeline, model->root);
  guint width = LABELS + CHART + MARGIN, height = TOP + timeline.rows->len * ROW + 6;
  g_string_append(html, "<h2>Timeline</h2>\n");
  add_key(&timeline);
  PRINT(&timeline,
        "<div class=\"wide\"><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
        "viewBox=\"0 0 %u %u\" role=\"img\">\n",
        width, height, width, height);
  add_scale(&timeline);
  for (guint i = 0; i < timeline.rows->len; i++) add_arrow(&timeline, g_ptr_array_index(timeline.rows, i));
  for (guint i = 0; i < timeline.rows->len; i++) add_row(&timeline, g_ptr_array_index(timeline.rows, i));
  g_string_append(html, "</svg></div>\n");
  g_ptr_array_unref(timeline.rows);
  g_hash_table_unref(timeline.row);
}
