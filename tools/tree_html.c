/* SPDX-License-Identifier: MIT */
/* The tree as one page that needs nothing else: no script, no other file.  The timeline is in tree_timeline.c. */
#include "tree_html.h"

#include <string.h>

#include "clean.h"
#include "symbols.h"
#include "tree.h"
#include "tree_rows.h"
#include "tree_words.h"

/* ---- Text ---- */

char *html_escape(const char *text) {
  GString *clean = g_string_new(NULL);
  clean_add(clean, text);
  char *escaped = g_markup_escape_text(clean->str, (gssize)clean->len);
  g_string_free(clean, TRUE);
  return escaped;
}

static void add_cell(GString *html, const char *class, const char *text) {
  g_autofree char *escaped = html_escape(text);
  g_string_append_printf(html, "<td class=\"%s\">%s</td>", class, escaped);
}

static void add_number(GString *html, guint64 number) {
  g_string_append_printf(html, "<td class=\"n\">%" G_GUINT64_FORMAT "</td>", number);
}

static void add_duration(GString *html, guint64 nanoseconds) {
  g_autofree char *text = duration_describe(nanoseconds);
  add_cell(html, "n", text);
}

char *html_programs(const struct process *process) {
  GString *text = g_string_new(process->first == NULL ? "?" : process->first);
  for (guint i = 0; i < process->execs->len; i++) {
    const struct exec_event *event = g_ptr_array_index(process->execs, i);
    if (!exec_is_told(process, i)) continue;
    g_string_append_printf(text, " → %s", event->path);
    if (event->error != 0) g_string_append_printf(text, " (%s)", error_name(event->error));
  }
  const char *unwatched = process_known_unwatched(process);
  if (unwatched != NULL) g_string_append_printf(text, " (not watched: %s)", unwatched);
  return g_string_free(text, FALSE);
}

/* ---- The table of processes ---- */

static void add_callbacks(GString *html, const struct fork_event *event) {
  g_string_append(html, "<td>");
  g_autoptr(GArray) all = event == NULL ? NULL : callback_times_of(event);
  for (guint i = 0; all != NULL && i < all->len; i++) {
    const struct callback_times *times = &g_array_index(all, struct callback_times, i);
    g_autofree char *what = callback_describe(times->callback);
    g_autofree char *escaped = html_escape(what);
    g_string_append_printf(html, "<div>%s:", escaped);
    for (guint phase = 0; phase < PHASES; phase++) {
      if (times->runs[phase] == 0) continue;
      g_autofree char *duration = duration_describe(times->nanoseconds[phase]);
      g_string_append_printf(html, " <span class=\"%s\">%s %s</span>", phase_names[phase], phase_names[phase],
                             duration);
    }
    g_string_append(html, "</div>");
  }
  g_string_append(html, "</td>");
}

/* The line that forked, with the stack as a tooltip. */
static void add_place(GString *html, const struct fork_event *event) {
  if (event == NULL || event->stack.count == 0) {
    g_string_append(html, "<td></td>");
    return;
  }
  GString *stack = g_string_new(NULL);
  g_autofree char *first = NULL;
  for (guint i = 0; i < event->stack.count; i++) {
    struct place place = symbols_place(event->parent, event->stack.addresses[i], event->stack.time);
    g_autofree char *text = symbols_describe(&place);
    g_autofree char *escaped = html_escape(text);
    g_string_append_printf(stack, "#%u %s&#10;", i, escaped);
    if (i == 0) first = g_steal_pointer(&escaped);
  }
  g_string_append_printf(html, "<td title=\"%s\">%s</td>", stack->str, first);
  g_string_free(stack, TRUE);
}

static const char *ending_class(const struct process *process) {
  if (process->ending == ENDING_NONE) return "runs";
  return process->ending == ENDING_SIGNALED || (process->ending == ENDING_EXITED && process->status != 0) ? "bad" : "";
}

static void add_process(GString *html, const struct model *model, const struct process *process) {
  g_autofree char *ending = process_ending(process);
  g_autofree char *programs = html_programs(process);
  g_string_append_printf(html, "<tr id=\"p%u\">", process->id);
  add_cell(html, "lineage", process->lineage);
  g_string_append_printf(html, "<td class=\"n\">%d</td>", process->pid);
  add_cell(html, "", how_name(process->how));
  add_cell(html, "", process->birth == NULL ? "" : process->thread);
  if (process->birth == NULL)
    g_string_append(html, "<td></td>");
  else
    add_number(html, process->birth->threads + 1);
  add_duration(html, since_begin(model, process->born));
  if (process->end == 0)
    g_string_append(html, "<td></td>");
  else
    add_duration(html, since_begin(model, process->end));
  add_cell(html, ending_class(process), ending);
  add_cell(html, "path", programs);
  add_place(html, process->birth);
  add_callbacks(html, process->birth);
  g_string_append(html, "</tr>\n");
}

static void add_processes(GString *html, const struct model *model) {
  g_string_append(html,
                  "<h2>Processes</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>lineage</th><th>pid</th>"
                  "<th>by</th><th>of thread</th><th>threads</th><th>born</th><th>ended</th><th>ending</th>"
                  "<th>programs</th><th>forked at</th><th>fork handlers and hooks</th></tr></thead>\n<tbody>\n");
  for (guint i = 0; i < model->processes->len; i++) add_process(html, model, g_ptr_array_index(model->processes, i));
  g_string_append(html, "</tbody></table></div>\n");
}

/* ---- Forks that failed ---- */

static void add_failed(GString *html, const struct model *model, const struct fork_event *event) {
  g_autofree char *error = g_strdup_printf("%s (%s)", error_name(event->error), g_strerror(event->error));
  g_string_append(html, "<tr>");
  add_cell(html, "lineage", event->parent->lineage);
  g_string_append_printf(html, "<td class=\"n\">%d</td>", event->parent->pid);
  add_cell(html, "", how_name(event->how));
  add_cell(html, "", event->thread);
  add_number(html, event->threads + 1);
  add_duration(html, since_begin(model, event->time));
  add_cell(html, "bad", error);
  add_place(html, event);
  add_callbacks(html, event);
  g_string_append(html, "</tr>\n");
}

static void add_failures(GString *html, const struct model *model) {
  GString *rows = g_string_new(NULL);
  for (guint i = 0; i < model->processes->len; i++) {
    const struct process *process = g_ptr_array_index(model->processes, i);
    for (guint k = 0; k < process->forks->len; k++) {
      const struct fork_event *event = g_ptr_array_index(process->forks, k);
      if (event->error != 0) add_failed(rows, model, event);
    }
  }
  if (rows->len > 0)
    g_string_append_printf(html,
                           "<h2>Forks that failed</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>in</th>"
                           "<th>pid</th><th>by</th><th>of thread</th><th>threads</th><th>at</th><th>error</th>"
                           "<th>forked at</th><th>fork handlers and hooks</th></tr></thead>\n<tbody>\n%s"
                           "</tbody></table></div>\n",
                           rows->str);
  g_string_free(rows, TRUE);
}

/* ---- The page ---- */

static const char style[] =
    ":root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--weak:#67707b;--line:#d9dee4;--band:#f5f7f9;"
    "--root:#8a94a0;--fork:#4a83d4;--start:#3f9c6b;--bypass:#d98a2b;--bad:#c8322b;--prepare:#8e5bc0;"
    "--parent:#2a9aa8;--child:#c05b93;--onbar:#fff}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#15181c;--text:#e3e7eb;--weak:#98a2ad;--line:#343b43;"
    "--band:#1b1f24;--root:#66707b;--fork:#3f71b8;--start:#35805a;--bypass:#b5711f;--bad:#f0645c;"
    "--prepare:#a57bd3;--parent:#3fb3c2;--child:#d478ab}}\n"
    "body{margin:1.5rem;background:var(--back);color:var(--text);font:14px/1.45 system-ui,sans-serif}\n"
    "h1{font-size:1.25rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin-top:2rem}p{color:var(--weak)}\n"
    ".wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-size:12.5px}\n"
    "th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid var(--line)}\n"
    "th{color:var(--weak);font-weight:600;white-space:nowrap}tbody tr:hover{background:var(--band)}\n"
    ".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    ".lineage{font-family:monospace;overflow-wrap:anywhere;min-width:3rem;max-width:18rem}\n"
    ".path{overflow-wrap:anywhere;min-width:14rem;max-width:32rem}\n"
    "td.bad{color:var(--bad)}td.runs{color:var(--start)}\n"
    "span.prepare{color:var(--prepare)}span.parent{color:var(--parent)}span.child{color:var(--child)}\n"
    "svg text{fill:var(--text);font:12px monospace}svg .weak{fill:var(--weak);font-size:11px}\n"
    "svg .onbar{fill:var(--onbar);font-size:10.5px;pointer-events:none}\n"
    ".band{fill:var(--band)}.grid{stroke:var(--line)}.arrow{fill:none;stroke:var(--weak);opacity:.55}\n"
    ".bar-root{fill:var(--root)}.bar-fork{fill:var(--fork)}.bar-start{fill:var(--start)}"
    ".bar-bypass{fill:var(--bypass)}\n"
    ".exec{fill:var(--back);stroke:var(--text)}.end{stroke:var(--bad);stroke-width:2.5}.failed{fill:var(--bad)}\n"
    ".open{fill:none;stroke:var(--text);stroke-dasharray:2 2}\n"
    "rect.prepare{fill:var(--prepare)}rect.parent{fill:var(--parent)}rect.child{fill:var(--child)}\n"
    ".key{display:inline-block;margin-right:1.1rem;white-space:nowrap}"
    ".key i{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:2px}\n";

static void add_head(GString *html, const struct tree *tree) {
  g_autofree char *joined = g_strjoinv(" ", tree->command);
  g_autofree char *command = html_escape(joined);
  g_autofree char *lasted = duration_describe(since_begin(tree->model, tree->model->root->end));
  guint count = tree->model->processes->len;
  g_string_append_printf(html,
                         "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
                         "<meta charset=\"utf-8\"/>\n<title>atfork tree: %s</title>\n<style>\n%s</style>\n</head>\n"
                         "<body>\n<h1>%s</h1>\n<p>%u %s; the command ran for %s and ended with %d. "
                         "Made by atfork %s.</p>\n",
                         command, style, command, count, count == 1 ? "process" : "processes", lasted, tree->status,
                         VERSION);
}

GString *tree_html(const struct tree *tree) {
  GString *html = g_string_new(NULL);
  add_head(html, tree);
  tree_timeline(html, tree->model);
  add_processes(html, tree->model);
  add_failures(html, tree->model);
  g_string_append(html, "</body>\n</html>\n");
  return html;
}
