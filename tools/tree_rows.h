/* SPDX-License-Identifier: MIT */
/* The tree as rows of text, not yet cut to the width of a terminal. */
#ifndef ATFORK_TREE_ROWS_H
#define ATFORK_TREE_ROWS_H

#include "model.h"

/* Bytes in a row that set a colour: none of them is in any text. */
enum paint { PAINT_PLAIN = 1, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_GREEN, PAINT_CYAN, PAINTS };

struct row {
  const struct process *process; /* NULL: of a fork that failed */
  gboolean detail;               /* not the process's own row */
  char *text;                    /* UTF-8 */
};

/* Of struct row; unref it. */
GPtrArray *tree_rows(const struct model *model);

/* A process without its place in the tree: pid, how it was made, by which thread, and its program. */
void row_add_birth(GString *row, const struct process *process);
void row_add_failure(GString *row, const struct fork_event *event);
void row_add_time(GString *row, const struct model *model, guint64 time);

void row_add_paint(GString *row, enum paint paint);

#endif
