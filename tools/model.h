/* SPDX-License-Identifier: MIT */
/*
 * What the records tell: which processes there were, how each came to be, and how it ended.
 *
 *   record  -->  model_add()  -->  struct model: processes, forks, callbacks, objects
 */
#ifndef ATFORK_MODEL_H
#define ATFORK_MODEL_H

#include <glib.h>
#include <sys/types.h>

#include "record.h"

/* After exec a process has others: an empty one parts them from those before. */
struct module {
  guint64 time;       /* ns, when it was told of */
  guint64 first, end; /* addresses; end is behind the last */
  guint64 slide;      /* what an address has more than in the file */
  char *path;
};

struct frames {
  guint64 time; /* ns; 0: of whichever program of the process they fit */
  guint count;
  guint64 addresses[RECORD_FRAMES];
};

/* One phase of one pthread_atfork() handler, or hook of libatfork. */
struct callback {
  guint phase;  /* 0 prepare, 1 parent, 2 child */
  guint64 time; /* ns, when it began */
  guint64 nanoseconds;
  guint64 function;
  guint64 data; /* the phases of one hook or handler have the same */
  gint priority;
  enum callback_kind kind;
  gboolean unloaded;
  char *object;            /* path of what registered it */
  char *name;              /* of a hook; "" */
  struct process *process; /* which it ran in */
};

struct fork_event {
  guint64 id; /* 0: made by what is not seen */
  enum how how;
  guint index; /* the how many-th of its process */
  struct process *parent;
  struct process *child; /* NULL: none that was seen */
  guint64 time;          /* ns, when it began */
  guint64 nanoseconds;   /* that it took in the parent; 0: not known */
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
  guint id; /* of ours, from 1 on, in the order of their coming */
  pid_t pid;
  char *lineage; /* "0", "0.1", ...: the how many-th process of which */
  struct process *parent;
  struct fork_event *birth; /* NULL: the command itself */
  enum how how;
  GPtrArray *children; /* of struct process */
  GPtrArray *forks;    /* of struct fork_event */
  GPtrArray *execs;    /* of struct exec_event */
  char *program;       /* path; what runs now, or ran last */
  char *first;         /* what ran when the process came to be */
  char **arguments;
  char *thread; /* that it came from, as its name was there; "" */
  guint64 born; /* ns, CLOCK_MONOTONIC */
  guint64 end;  /* ns; 0: not known */
  enum ending ending;
  int status;       /* exit status or signal */
  gboolean went_on; /* it called what may not be called after a fork with threads */
  char *went_on_by; /* the first such function */
  gboolean execed;
  gboolean apart;  /* it is the first of a pid namespace: its own pid there is not the one that its parent knows */
  gboolean loaded; /* its program told of itself; FALSE: it has just been started, or cannot be watched */
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

/* Takes a record in, and returns whose it is; NULL: nobody's that is known. */
struct process *model_add(struct model *model, const struct record *record);

/* The process has ended at that time; status as of waitpid(), or -1: not known. */
void model_end(struct model *model, struct process *process, guint64 time, int status);

/* After the last record: the command's own end, and what became of those whose end nobody told. */
void model_finish(struct model *model, int status);

/* The newest process of this pid, whether it runs or has ended; NULL: none. */
struct process *model_of_pid(const struct model *model, pid_t pid);

struct fork_event *model_fork(const struct model *model, guint64 id);
/* That the address lay in at that time (see struct frames). */
const struct module *process_module(const struct process *process, guint64 address, guint64 time);

/* The n-th string of a record, from 0 on; "" where there is none. */
const char *record_string(const struct record *record, guint n);
void record_stack(const struct record *record, struct frames *frames);

/* NULL where its program was watched to the end, else why it was not: "linked statically". */
const char *process_unwatched(const struct process *process);

const char *how_name(enum how how);                           /* "fork", "posix_spawn", "clone (raw)", ... */
gboolean how_bypasses(enum how how);                          /* no fork handlers ran */
gboolean process_has_own_pids(const struct process *process); /* its pid is of a pid namespace below ours */
gboolean how_starts(enum how how);                            /* the child is another program from its start */
char *process_ending(const struct process *process);          /* "exit 1", "SIGKILL", "still runs"; free it */

#endif
