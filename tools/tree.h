/* SPDX-License-Identifier: MIT */
/* Shows each process that a command makes: as it happens, and when it is over. */
#ifndef ATFORK_TREE_H
#define ATFORK_TREE_H

#include "model.h"

/* What is shown of a run. */
struct tree {
  struct model *model;
  char **command;
  int status; /* of the command, as a shell shows it */
};

/* Each a whole file; free it. */
GString *tree_json(const struct tree *tree);
GString *tree_html(const struct tree *tree);
GString *tree_trace(const struct tree *tree); /* of Chrome's trace event format */

int tree_main(int argc, char **argv);

#endif
