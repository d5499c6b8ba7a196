/* SPDX-License-Identifier: MIT */
/*
 * What the cases of the program `state` share.
 */
#ifndef ATFORK_TEST_STATE_H
#define ATFORK_TEST_STATE_H

#include <stdbool.h>
#include <sys/types.h>

struct state_case {
  const char *name;
  void (*function)(void);
};

/* Each ends with a case without a name. */
extern const struct state_case random_cases[], descriptor_cases[], started_cases[], exit_cases[];

#define must(condition) ((condition) ? (void)0 : broken(__FILE__, __LINE__, #condition))
_Noreturn void broken(const char *file, int line, const char *what);

extern char *self; /* path of this program */
extern const char *which;
bool is(const char *name);

void wait_for(pid_t child);

/* Both do it: the child first. */
void in_both(void (*function)(void));

#endif
