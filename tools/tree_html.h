/* SPDX-License-Identifier: MIT */
/* What the page and its timeline share. */
#ifndef ATFORK_TREE_HTML_H
#define ATFORK_TREE_HTML_H

#include "model.h"

/* For an element's text or an attribute; control characters become question marks.  Free it. */
char *html_escape(const char *text);

/* "/bin/sh → /bin/ls"; free it. */
char *html_programs(const struct process *process);

/* A bar for each process, with its forks, execs, handlers and end. */
void tree_timeline(GString *html, const struct model *model);

#endif
