/* SPDX-License-Identifier: MIT */
/* A command, started so that it and all processes below it are watched. */
#ifndef ATFORK_LAUNCH_H
#define ATFORK_LAUNCH_H

#include <glib.h>
#include <sys/types.h>

#include "record.h"

/* Exit statuses of the command atfork itself, as of env(1). */
enum { STATUS_FOUND = 100, STATUS_TROUBLE = 125, STATUS_CANNOT_EXECUTE = 126, STATUS_NOT_FOUND = 127 };

struct launch {
  char *path; /* of the log */
  char *link; /* to the library, beside the log; NULL: LD_PRELOAD can name the library itself */
  struct log_header *log;
  guint64 size;     /* of the log; that in its header is for the watched, which may write there what they like */
  guint64 position; /* of the next record to be read */
  pid_t pid;
  gboolean ended;
  int status;    /* as of waitpid() */
  guint64 lost;  /* records for which there was no space */
  guint64 holes; /* records that are unfinished */
};

typedef void (*record_handler)(const struct record *record, gpointer data);

/* The path of the library that is loaded into watched programs: beside this executable in the build tree, or installed.
 * Free it.  NULL, after a message: there is none. */
char *launch_find_library(const char *file);

/* Whether LD_PRELOAD can name this path; FALSE after a message. */
gboolean launch_can_preload(const char *path);

/* Why a program cannot be watched (enum unwatched); -1: it can. */
int launch_unwatched(const char *program);

/* NULL where the program can be watched, else why not.  Free it. */
char *launch_objection(const char *program);

/* Finds the program of a command, and checks that a library can be loaded into it.  Returns 0; otherwise the exit
 * status, after a message that `who` cannot do `cannot` with the program.  Free `program`. */
int launch_find_program(const char *who, const char *cannot, const char *command, char **program);

/* The arguments for /bin/sh to run the program, a script whose first line names no interpreter (ENOEXEC), as execvp(3)
 * does.  Free it by g_free(). */
char **launch_script(const char *program, char **command);

/* Our environment, with the library loaded before all others; free it by g_strfreev(). */
char **launch_preload(const char *library);

/* Makes the log, with `header` for the watched processes (flags, limits; the rest is filled in), and starts the
 * command.  Returns 0; otherwise the exit status, after a message. */
int launch_begin(struct launch *launch, char **command, const struct log_header *header);

/* Calls the handler with each record, until the command has ended.  `idle`, which may be NULL, is called when there is
 * nothing more to read for now. */
void launch_follow(struct launch *launch, record_handler handler, GSourceFunc idle, gpointer data);

/* After the command has ended: goes on while `more` returns TRUE, and until SIGINT. */
void launch_follow_rest(struct launch *launch, record_handler handler, GSourceFunc more, gpointer data);

/* Reads the rest of the log.  Then the log has no name any more, nor has the link, and signals are as before. */
void launch_drain(struct launch *launch, record_handler handler, gpointer data);

/* Unmaps the log, and with it all records. */
void launch_finish(struct launch *launch);

/* The status of the command, as a shell shows it.  If the command was not watched to its end: STATUS_TROUBLE, after a
 * message that says why. */
int launch_exit_status(const struct launch *launch, const char *unwatched);

#endif
