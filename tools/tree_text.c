/* SPDX-License-Identifier: MIT */
#include "tree_text.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clean.h"
#include "tree_rows.h"
#include "tree_words.h"

enum { REDRAW = 100 /* ms */, ROWS_LEAST = 8 };

struct tree_text {
  struct model *model;
  int fd;
  int error; /* errno of a write that failed, 0: none */
  gboolean live, utf8, colour;
  guint born;          /* how many processes have been written */
  GPtrArray *running;  /* of struct process, as far as written */
  guint rows, columns; /* of the terminal */
  guint foot;          /* rows at the bottom of the screen that are ours */
  gboolean changed;
  gint64 drawn; /* µs, when last */
};

/* ---- Writing ---- */

static void write_all(struct tree_text *text, const char *bytes, gsize size) {
  while (size > 0 && text->error == 0) {
    ssize_t written = write(text->fd, bytes, size);
    if (written < 0 && errno != EINTR && errno != EAGAIN) text->error = errno;
    if (written <= 0) continue;
    bytes += written;
    size -= (gsize)written;
  }
}

static void add_paint(const struct tree_text *text, GString *out, gunichar paint) {
  static const char *const codes[PAINTS] = {
      [PAINT_PLAIN] = "\033[0m", [PAINT_BOLD] = "\033[1m",   [PAINT_DIM] = "\033[2m",
      [PAINT_RED] = "\033[31m",  [PAINT_GREEN] = "\033[32m", [PAINT_CYAN] = "\033[36m",
  };
  if (text->colour) g_string_append(out, codes[paint]);
}

/* The replacement of one of our characters where the locale has only ASCII. */
static const char *plain_form(gunichar character) {
  switch (character) {
    case 0x2502: /* │ */
    case 0x251c: /* ├ */
      return "|";
    case 0x2514: /* └ */
      return "`";
    case 0x2500: /* ─ */
      return "-";
    case 0x2192: /* → */
      return "->";
    case 0x2026: /* … */
      return "...";
    case 0xb5: /* µ */
      return "u";
    default:
      return "?";
  }
}

static guint width_of(gunichar character) {
  return g_unichar_iszerowidth(character) ? 0 : g_unichar_iswide(character) ? 2 : 1;
}

/* The row in the locale's characters, of at most `columns`; 0: as long as it is. */
static void add_row(const struct tree_text *text, GString *out, const char *row, guint columns) {
  guint used = 0;
  for (const char *at = row; *at != '\0'; at = g_utf8_next_char(at)) {
    gunichar character = g_utf8_get_char(at);
    if (character < PAINTS) {
      add_paint(text, out, character);
      continue;
    }
    char own[7] = "";
    own[g_unichar_to_utf8(character, own)] = '\0';
    const char *form = text->utf8 || character < 0x80 ? own : plain_form(character);
    guint width = form == own ? width_of(character) : (guint)strlen(form);
    if (columns != 0 && used + width > columns - 1) {
      g_string_append(out, text->utf8 ? "…" : ">");
      break;
    }
    g_string_append(out, form);
    used += width;
  }
  add_paint(text, out, PAINT_PLAIN);
}

/* ---- Lines, one for each event ---- */

static GString *new_line(const struct tree_text *text, const struct process *process, guint64 time) {
  GString *line = g_string_new(NULL);
  row_add_time(line, text->model, time);
  g_string_append_printf(line, " %s ", process->lineage);
  return line;
}

static void tell(struct tree_text *text, GString *line) {
  GString *out = g_string_new(NULL);
  add_row(text, out, line->str, 0);
  g_string_append_c(out, '\n');
  write_all(text, out->str, out->len);
  g_string_free(out, TRUE);
  g_string_free(line, TRUE);
}

static void tell_born(struct tree_text *text) {
  for (; text->born < text->model->processes->len; text->born++) {
    struct process *process = g_ptr_array_index(text->model->processes, text->born);
    if (process->program == NULL) return; /* the command has not begun */
    GString *line = new_line(text, process, process->born);
    row_add_birth(line, process);
    tell(text, line);
    g_ptr_array_add(text->running, process);
  }
}

static void tell_ended(struct tree_text *text) {
  for (guint i = 0; i < text->running->len; i++) {
    struct process *process = g_ptr_array_index(text->running, i);
    if (process->ending == ENDING_NONE) continue;
    g_autofree char *ending = process_ending(process);
    GString *line = new_line(text, process, process->end);
    g_string_append_printf(line, "%d %s", process->pid, ending);
    tell(text, line);
    g_ptr_array_remove_index(text->running, i--);
  }
}

/* Written when the new program has written a record, or it is known that it will not. */
static void tell_exec(struct tree_text *text, const struct process *process, guint64 time) {
  if (process->execs->len == 0) return;
  const struct exec_event *exec = g_ptr_array_index(process->execs, process->execs->len - 1);
  GString *line = new_line(text, process, time);
  g_string_append_printf(line, "%d exec ", process->pid);
  clean_add(line, exec->path);
  if (exec->error != 0)
    g_string_append_printf(line, " failed: %s (%s)", error_name(exec->error), g_strerror(exec->error));
  if (exec->unwatched >= 0) g_string_append_printf(line, ": not watched: %s", unwatched_name(exec->unwatched));
  tell(text, line);
}

static void tell_failed(struct tree_text *text, const struct record *record) {
  const struct fork_event *event = model_fork(text->model, record->words[0]);
  if (event == NULL || event->error == 0) return;
  GString *line = new_line(text, event->parent, record->time);
  g_string_append_printf(line, "%d ", event->parent->pid);
  row_add_failure(line, event);
  tell(text, line);
}

static void tell_record(struct tree_text *text, const struct process *process, const struct record *record) {
  switch ((enum record_kind)record->kind) {
    case RECORD_LOADED:
    case RECORD_EXEC_FAILED:
    case RECORD_UNWATCHED:
      if (process != NULL) tell_exec(text, process, record->time);
      break;
    case RECORD_FORKED:
    case RECORD_SPAWNED:
      tell_failed(text, record);
      break;
    default:
      break;
  }
}

/* ---- A terminal ---- */

static gboolean measure(struct tree_text *text) {
  struct winsize size;
  if (ioctl(text->fd, TIOCGWINSZ, &size) != 0 || size.ws_row < ROWS_LEAST || size.ws_col < 20) return FALSE;
  text->rows = size.ws_row;
  text->columns = size.ws_col;
  return TRUE;
}

/* Only the part above the tree scrolls.  Before the tree grows, the lines that it will cover are scrolled up. */
static void grow_foot(struct tree_text *text, GString *out, guint rows) {
  guint more = rows - text->foot;
  for (guint i = 0; i < more; i++) g_string_append(out, "\033D");
  g_string_append_printf(out, "\033[%uA\0337\033[1;%ur\0338", more, text->rows - rows);
  text->foot = rows;
}

static gboolean runs_below(const struct process *process) {
  if (process->ending == ENDING_NONE) return TRUE;
  for (guint i = 0; i < process->children->len; i++)
    if (runs_below(g_ptr_array_index(process->children, i))) return TRUE;
  return FALSE;
}

/* If there is no room for all rows, details are left out first, then processes that have ended, then the oldest. */
static void choose(GPtrArray *rows, guint most) {
  for (guint i = rows->len; rows->len > most && i > 0; i--)
    if (((struct row *)g_ptr_array_index(rows, i - 1))->detail) g_ptr_array_remove_index(rows, i - 1);
  for (guint i = 0; rows->len > most && i < rows->len;) {
    const struct row *row = g_ptr_array_index(rows, i);
    if (row->process != NULL && !runs_below(row->process))
      g_ptr_array_remove_index(rows, i);
    else
      i++;
  }
  if (rows->len > most) g_ptr_array_remove_range(rows, 1, rows->len - most);
}

static void add_foot(const struct tree_text *text, GString *out, const GPtrArray *rows) {
  for (guint i = 0; i < text->foot; i++) {
    g_string_append_printf(out, "\033[%u;1H\033[2K", text->rows - text->foot + i + 1);
    if (i >= rows->len) continue;
    add_row(text, out, ((const struct row *)g_ptr_array_index(rows, i))->text, text->columns);
  }
}

static void draw(struct tree_text *text) {
  guint rows_before = text->rows;
  if (text->model->root->program == NULL || !measure(text)) return;
  g_autoptr(GPtrArray) rows = tree_rows(text->model);
  choose(rows, text->rows / 2);
  GString *out = g_string_new(NULL);
  if (rows_before != text->rows) text->foot = 0; /* the terminal was resized, and has lost its scroll region */
  if (rows->len > text->foot) grow_foot(text, out, rows->len);
  g_string_append(out, "\0337");
  add_foot(text, out, rows);
  g_string_append(out, "\0338");
  write_all(text, out->str, out->len);
  g_string_free(out, TRUE);
  text->drawn = g_get_monotonic_time();
  text->changed = FALSE;
}

static void leave_foot(struct tree_text *text) {
  GString *out = g_string_new("\0337");
  add_foot(text, out, &(GPtrArray){.len = 0});
  g_string_append(out, "\033[r\0338");
  write_all(text, out->str, out->len);
  g_string_free(out, TRUE);
}

/* ---- What others call ---- */

struct tree_text *tree_text_new(struct model *model, int fd) {
  const char *terminal = g_getenv("TERM"), *no_colour = g_getenv("NO_COLOR");
  struct tree_text *text = g_new0(struct tree_text, 1);
  text->model = model;
  text->fd = fd;
  text->live = isatty(fd) && terminal != NULL && strcmp(terminal, "dumb") != 0 && measure(text);
  text->rows = 0;
  text->colour = text->live && (no_colour == NULL || *no_colour == '\0');
  text->utf8 = g_get_charset(NULL);
  text->running = g_ptr_array_new();
  return text;
}

void tree_text_free(struct tree_text *text) {
  g_ptr_array_unref(text->running);
  g_free(text);
}

void tree_text_record(struct tree_text *text, const struct process *process, const struct record *record) {
  text->changed = TRUE;
  if (text->live) return;
  tell_born(text);
  tell_record(text, process, record);
  if (record->kind == RECORD_EXIT || record->kind == RECORD_WAITED) tell_ended(text);
}

void tree_text_look(struct tree_text *text) {
  if (!text->live)
    tell_ended(text);
  else if (text->changed && g_get_monotonic_time() - text->drawn >= (gint64)REDRAW * 1000)
    draw(text);
}

gboolean tree_text_finish(struct tree_text *text) {
  if (text->live && text->foot > 0) leave_foot(text);
  if (!text->live) {
    tell_born(text);
    tell_ended(text);
  }
  g_autoptr(GPtrArray) rows = tree_rows(text->model);
  GString *out = g_string_new(text->live ? "" : "\n");
  for (guint i = 0; i < rows->len; i++) {
    add_row(text, out, ((const struct row *)g_ptr_array_index(rows, i))->text, 0);
    g_string_append_c(out, '\n');
  }
  write_all(text, out->str, out->len);
  g_string_free(out, TRUE);
  if (text->error != 0) g_printerr("atfork tree: cannot write the tree: %s\n", g_strerror(text->error));
  return text->error == 0;
}
