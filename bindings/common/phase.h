/* SPDX-License-Identifier: MIT */
/* The phases of a fork, in the order in which they come. */
#ifndef ATFORK_COMMON_PHASE_H
#define ATFORK_COMMON_PHASE_H

enum phase { PREPARE, PARENT, CHILD, PHASES };

/* "prepare", "parent", "child", as scripts know them. */
extern const char *const phase_names[PHASES];

#endif
