/* SPDX-License-Identifier: MIT */
/*
 * The model made of the records: which processes there were, how each was made, and how it ended.
 *
 *   record  -->  model_add()  -->  struct model: processes, forks, callbacks, objects
 */
#ifndef ATFORK_MODEL_H
#define ATFORK_MODEL_H

#include <glib.h>
#include <sys/types.h>

#include "record.h"

/* After exec a process has other modules: an empty module separates them from those before. */
struct module {
  guint64 time;       /* ns, when it was recorded */
  guint64 first, end; /* addresses; end is behind the last */
  guint64 slide;      /* added to the file's addresses */
  char *path;
};

struct frames {
  guint64 time; /* ns; 0: any program of the process */
  guint count;
  guint64 addresses[RECORD_FRAMES];
};

/* One phase of one pthread_atfork() handler, or hook of libatfork. */
struct callback {
  guint phase;  /* 0 prepare, 1 parent, 2 child */
  guint64 time; /* ns, when it began */
  guint64 nanoseconds;
  guint64 function;
  guint64 data; /* the same for all phases of one hook or handler */
  gint priority;
  enum callback_kind kind;
  gboolean unloaded;
  char *object;            /* path of the object that registered it */
  char *name;              /* of a hook; "" */
  struct process *process; /* which it ran in */
};

struct fork_event {
  guint64 id; /* 0: made in an unseen way */
  enum how how;
  guint index; /* its number among the forks of its process */
  struct process *parent;
  struct process *child; /* NULL: none that was seen */
  guint64 time;          /* ns, when it began */
  guint64 nanoseconds;   /* how long it took in the parent; 0: not known */
  pid_t pid;             /* of the child; 0: not known */
  pid_t tid;             /* of the thread that forked; 0: not known */
  int error;             /* errno; 0: none */
  guint threads;         /* beside the one that forks */
  guint handlers;        /* of pthread_atfork() */
  gboolean in_signal;
  char *thread; /* its name */
  struct frames stack;
  GPtrArray *callbacks; /* of struct callback */
};

struct exec_event {
  guint64 time;
  char *path;
  int error;     /* 0: none */
  int unwatched; /* enum unwatched, or -1 */
};

enum ending { ENDING_NONE, ENDING_EXITED, ENDING_SIGNALED, ENDING_UNKNOWN };

struct process {
  guint id; /* given by the model, from 1 on, in the order of appearance */
  pid_t pid;
  char *lineage; /* "0", "0.1", ...: the how many-th process of which */
  struct process *parent;
  struct fork_event *birth; /* NULL: the command itself */
  enum how how;
  GPtrArray *children; /* of struct process */
  GPtrArray *forks;    /* of struct fork_event */
  GPtrArray *execs;    /* of struct exec_event */
  char *program;       /* path of the program that runs now, or ran last */
  char *first;         /* path of the program that ran when the process began */
  char **arguments;
  char *thread; /* name of the thread that forked it; "": not known */
  guint64 born; /* ns, CLOCK_MONOTONIC */
  guint64 end;  /* ns; 0: not known */
  enum ending ending;
  int status;       /* exit status or signal */
  gboolean went_on; /* it called a function that may not be called after a fork with threads */
  char *went_on_by; /* the first such function */
  gboolean execed;
  gboolean apart;  /* it is the first of a pid namespace: its own pid there is not the one that its parent knows */
  gboolean loaded; /* its program has written a record; FALSE: it has just been started, or cannot be watched */
  guint made;      /* how many processes it made */
  GArray *modules; /* of struct module; strings are the model's */
};

struct model {
  guint64 begin; /* ns, of the first record */
  struct process *root;
  GPtrArray *processes;  /* in the order of their ids */
  GHashTable *by_number; /* of the watched -> struct process */
  GHashTable *by_pid;    /* those that run -> struct process */
  GHashTable *forks;     /* id -> struct fork_event */
  GStringChunk *strings;
};

struct model *model_new(pid_t root);
void model_free(struct model *model);

/* Adds a record, and returns its process; NULL: not known. */
struct process *model_add(struct model *model, const struct record *record);

/* The process has ended at that time; status as of waitpid(), or -1: not known. */
void model_end(struct model *model, struct process *process, guint64 time, int status);

/* After the last record: enters the end of the command, and decides about processes whose end no record has. */
void model_finish(struct model *model, int status);

/* The newest process of this pid, whether it runs or has ended; NULL: none. */
struct process *model_of_pid(const struct model *model, pid_t pid);

struct fork_event *model_fork(const struct model *model, guint64 id);
/* The module that contained the address at that time (see struct frames). */
const struct module *process_module(const struct process *process, guint64 address, guint64 time);

/* The n-th string of a record, from 0 on; "" where there is none. */
const char *record_string(const struct record *record, guint n);
void record_stack(const struct record *record, struct frames *frames);

/* Why a program is not watched, by enum unwatched: "linked statically"; NULL: that is not known. */
const char *unwatched_name(int unwatched);

/* Why its last program is not watched, if that is known. */
const char *process_known_unwatched(const struct process *process);

/* The same, after all records were read.  NULL: it was watched, to the end. */
const char *process_unwatched(const struct process *process);

const char *how_name(enum how how);                           /* "fork", "posix_spawn", "clone (raw)", ... */
gboolean how_bypasses(enum how how);                          /* no fork handlers ran */
gboolean process_has_own_pids(const struct process *process); /* its pid is of a pid namespace below ours */
gboolean how_starts(enum how how);                            /* the child is another program from its start */
char *process_ending(const struct process *process);          /* "exit 1", "SIGKILL", "still runs"; free it */

#endif
