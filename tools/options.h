/* SPDX-License-Identifier: MIT */
/* The options that doctor and explore share: where findings are written, and how they change the exit status. */
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

/* Parses these options and `entries`.  TRUE: the command follows argv[0]; FALSE: there was a message. */
gboolean options_parse(struct options *options, const GOptionEntry *entries, const char *summary, int *argc,
                       char ***argv);

/* Writes what is wrong with the command line; returns FALSE. */
gboolean options_misused(const struct options *options, const char *what);

/* Writes the rules, for --rules.  Returns the exit status. */
int options_print_rules(void);

gboolean options_read_suppressions(const struct options *options, struct findings *findings);

/* Writes the report.  `status` is the command's; returns the exit status. */
int options_write(const struct options *options, const struct findings *findings, const struct model *model,
                  char **command, int status);

void options_finish(struct options *options);

#endif
