/* SPDX-License-Identifier: MIT */
/* Findings, for people and for programs. */
#ifndef ATFORK_REPORT_H
#define ATFORK_REPORT_H

#include "finding.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SARIF };

struct json;

/* A place in a stack, as all reports show it. */
void json_place(struct json *json, struct place *place);

/* `tool` is "doctor" or "explore". */
GString *report_make(enum format format, const char *tool, const struct findings *findings, const struct model *model,
                     char **command, int status);

/* Writes to the file.  If it is NULL: JSON and SARIF to stdout, text to stderr.  FALSE, after a message: it could not
 * be written. */
gboolean report_write(const GString *report, enum format format, const char *path);

#endif
