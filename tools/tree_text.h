/* SPDX-License-Identifier: MIT */
/*
 * The tree for people.  In a terminal it grows at the bottom of the screen while the command runs, and the command's
 * own output scrolls above it.  Elsewhere each event is a line.  At the end the whole tree is written.
 */
#ifndef ATFORK_TREE_TEXT_H
#define ATFORK_TREE_TEXT_H

#include "model.h"

struct tree_text;

struct tree_text *tree_text_new(struct model *model, int fd);
void tree_text_free(struct tree_text *text);

/* Called after the model has added the record. */
void tree_text_record(struct tree_text *text, const struct process *process, const struct record *record);

/* Called now and then, for events that no record has. */
void tree_text_look(struct tree_text *text);

/* FALSE, after a message: it could not be written. */
gboolean tree_text_finish(struct tree_text *text);

#endif
