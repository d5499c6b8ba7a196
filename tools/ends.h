/* SPDX-License-Identifier: MIT */
/* When processes end that are not our children, and with which status, as the kernel knows it. */
#ifndef ATFORK_ENDS_H
#define ATFORK_ENDS_H

#include "model.h"

struct ends;

struct ends *ends_new(struct model *model);
void ends_free(struct ends *ends);

/* Enters the ends since the last look that no record has; returns how many processes still run. */
guint ends_look(struct ends *ends);

#endif
