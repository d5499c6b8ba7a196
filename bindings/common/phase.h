/* SPDX-License-Identifier: MIT */
/* The phases of a fork, in order. */
#ifndef ATFORK_COMMON_PHASE_H
#define ATFORK_COMMON_PHASE_H

enum phase { PREPARE, PARENT, CHILD, PHASES };

/* "prepare", "parent", "child", as scripts see them. */
extern const char *const phase_names[PHASES];

#endif
