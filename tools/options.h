/* SPDX-License-Identifier: MIT */
/* What doctor and explore have in common on the command line: where findings go, and what they do to the status. */
#ifndef ATFORK_OPTIONS_H
#define ATFORK_OPTIONS_H

#include "finding.h"

struct options {
  const char *tool; /* "doctor" */
  gboolean json, sarif, rules;
  char *path;
  char *fail_on;
  guint fails_on; /* enum severity, or SEVERITY_ERROR + 1: never */
  char **suppressions;
};

/* Parses these options and `entries`.  FALSE: what is wrong was said; else argv begins before the command. */
gboolean options_parse(struct options *options, const GOptionEntry *entries, const char *summary, int *argc,
                       char ***argv);

/* Says what is wrong with the command line; returns FALSE. */
gboolean options_misused(const struct options *options, const char *what);

/* What --rules asks for, without a command.  Returns what to exit with. */
int options_print_rules(void);

gboolean options_read_suppressions(const struct options *options, struct findings *findings);

/* Writes the report.  Returns what to exit with, where the command itself ended with `status`. */
int options_write(const struct options *options, const struct findings *findings, const struct model *model,
                  char **command, int status);

void options_finish(struct options *options);

#endif
