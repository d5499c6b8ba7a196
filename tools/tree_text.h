/* SPDX-License-Identifier: MIT */
/*
 * The tree for people.  In a terminal it grows at the foot of the screen while the command runs, and what the command
 * itself writes goes by above it; elsewhere each event is a line.  At the end the whole tree is written.
 */
#ifndef ATFORK_TREE_TEXT_H
#define ATFORK_TREE_TEXT_H

#include "model.h"

struct tree_text;

struct tree_text *tree_text_new(struct model *model, int fd);
void tree_text_free(struct tree_text *text);

/* After the model has taken the record in. */
void tree_text_record(struct tree_text *text, const struct process *process, const struct record *record);

/* Now and then, for what no record tells. */
void tree_text_look(struct tree_text *text);

/* FALSE: something could not be written, which was said. */
gboolean tree_text_finish(struct tree_text *text);

#endif
