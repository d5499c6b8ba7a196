/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the matrix share: the accounts of a process, what is being tried in it, and its family.
 */
#ifndef ATFORK_TEST_MATRIX_H
#define ATFORK_TEST_MATRIX_H

#include <atfork.h>
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "places.h"

/* ---- Hooks, in the order in which they run ---- */

enum {
  FIRST,
  OF_HANDLER_OLD, /* that the handler unregisters */
  MIDDLE,
  OF_HANDLER_NEW, /* that the handler registers */
  OF_SUBJECT_OLD, /* that the subject unregisters */
  LAST,
  OF_SUBJECT_NEW, /* that the subject registers */
  HOOKS
};

extern const struct hook_kind {
  const char *name;
  int priority;
} kinds[HOOKS];

/* ---- The accounts of a process: a child inherits its parent's, and goes on from there ---- */

enum known { NO, YES, UNKNOWN };

struct account {
  atfork_id id;
  enum known registered;
  enum known due; /* its child, in this process */
  bool is_owed;   /* its child would be due without the fork that made this process, too: of an outer one */
  bool is_missed; /* it is due though it is not prepared, as a bypassing fork made this process */
  bool is_vague;  /* an ancestor did not know whether its child was due */
  int ran;        /* its child, in this process */
  int open;       /* prepared, and neither parent nor child has run */
  int stays_open; /* of those: the child ran for an inner fork, and runs no more */
  int destroyed;
};

/* A fork under way, or a handler, or what is neither. */
struct context {
  struct context *outer;
  bool bypasses;
  int phase, last; /* the callback that ran last */
  unsigned prepared, parented;
  unsigned expected, possible; /* to be prepared */
};

enum { PHASE_NONE, PHASE_PREPARE, PHASE_PARENT, PHASE_CHILD };

extern struct self {
  pid_t pid, parent;
  int run;             /* that it is of */
  bool has_come_back;  /* out of the handler that it was made in */
  bool bypassed;       /* a bypassing fork made it */
  bool has_looked;     /* for certain */
  bool parent_looked;  /* before it was made */
  uint64_t generation; /* where it is known */
  char lineage[256];   /* "": it is not known */
  struct account accounts[HOOKS];
  unsigned lingering; /* unregistered by the handler: a fork that it interrupts has them still */
  struct context *context;
} me;

/* By matrix_accounts.c. */
void begin_context(struct context *context, bool bypasses);
void end_context(struct context *context);
void set_registered(int hook, enum known registered);
atfork_id add(int hook);
void have(int hook);
void be_born(void);
pid_t make(bool bypasses);
void await(pid_t pid);
int poll_here(void);
void note_self(void);
/* Uses all of the library; the process ends.  Inside: it does not come back into the subject. */
_Noreturn void finish(bool inside);

/* ---- What is being tried ---- */

struct subject {
  const char *name;
  void (*run)(void);
  bool walks;   /* a fork or a poll is under way */
  bool is_thin; /* goes to one instruction of several */
};
struct handler {
  const char *name;
  const char *script;
  const char *only; /* in this subject; NULL: in all */
  bool is_thin;
};
struct cell {
  const struct subject *subject;
  const struct handler *handler;
};

extern const struct cell *cell;
extern struct places *places; /* of the subject */
extern size_t place;
extern bool tracing;
extern bool *has_acted; /* shared */

/* By matrix_subjects.c. */
extern const struct subject subjects[];
extern const struct handler handlers[];
extern const size_t subjects_count, handlers_count;
void on_child(void); /* in the child of each fork, before the library's handlers */

/* With no more than write(2), from anywhere. */
G_GNUC_PRINTF(1, 2) void say(const char *format, ...);

#define expect(condition, ...) \
  do {                         \
    if (!(condition)) {        \
      say(__VA_ARGS__);        \
      _exit(1);                \
    }                          \
  } while (0)

/* Where in the trace each child of the subject is called. */
struct entry {
  size_t place;
  int hook;
};
extern struct entries {
  int count;
  struct entry all[HOOKS];
} * entries; /* shared */
extern bool entries_are_noted;

/* ---- A family: all processes of a run ---- */

struct record {
  pid_t pid, parent;
  bool bypassed, parent_looked;
  uint64_t generation;
  char lineage[256];
};
extern struct family {
  int run;         /* others have failed, and left processes behind */
  bool is_blurred; /* a limit leaves open who is who */
  int count;
  struct record records[64];
} * family; /* shared */

bool check_family(pid_t root);

#endif
