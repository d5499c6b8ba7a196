/* SPDX-License-Identifier: MIT */
/* Texts that all outputs of the tree share: programs, reasons, times, and callbacks by phase. */
#ifndef ATFORK_TREE_WORDS_H
#define ATFORK_TREE_WORDS_H

#include "model.h"

enum { PHASES = 3 };
extern const char *const phase_names[PHASES]; /* "prepare", "parent", "child" */

/* One handler or hook in one fork: how long it took in each phase. */
struct callback_times {
  const struct callback *callback; /* the first of them */
  guint runs[PHASES];
  guint64 nanoseconds[PHASES];
};

/* Those of a fork, in the order in which they first ran; unref it. */
GArray *callback_times_of(const struct fork_event *event);

/* "hook \"log\" (priority -5) of /usr/lib/libfoo.so"; free it. */
char *callback_describe(const struct callback *callback);

/* A search in PATH often fails before it finds the program, so the text shows only the failure of the last exec. */
gboolean exec_is_told(const struct process *process, guint i);

/* "340 ns", "1.2 µs", "20.3 ms", "1.25 s"; free it. */
char *duration_describe(guint64 nanoseconds);

/* The name of an errno, "EAGAIN". */
const char *error_name(int error);

/* When it began, in ns since the command did. */
guint64 since_begin(const struct model *model, guint64 time);

/* A round duration, for a scale: "20 ms"; free it. */
char *tick_describe(guint64 nanoseconds);

#endif
