/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct shared *shared;
int shared_file = -1;

/* This process; what a child has of its parent's until it says something. */
static struct {
  struct run_log *log;
  struct process_log *own;
  pid_t pid;
  unsigned forks;   /* that it has begun */
  unsigned current; /* the innermost that is under way */
  unsigned depth;
  char path[PATH_SIZE];
} me;

void shared_open(int file) {
  shared_file = file;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (shared != MAP_FAILED) return;
  perror("fuzz: no shared memory");
  exit(2);
}

void shared_make(void) {
  int file = memfd_create("atfork-fuzz", 0);
  if (file < 0 || ftruncate(file, sizeof *shared) != 0) {
    perror("fuzz: no shared memory");
    exit(2);
  }
  shared_open(file);
}

/* ---- Processes ---- */

static void take_log(const char *path) {
  unsigned number = atomic_fetch_add(&me.log->processes, 1);
  if (number >= PROCESSES) {
    shared->is_too_large = true;
    _exit(0);
  }
  me.pid = getpid();
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing stays when the fuzzer is stopped */
  me.own = &me.log->of[number];
  me.own->count = 0;
  me.own->digest = 0;
  memmove(me.path, path, strlen(path) + 1);
  memcpy(me.own->path, me.path, sizeof me.path);
}

void log_begin(struct run_log *log, const char *path) {
  me.log = log;
  me.forks = me.current = me.depth = 0;
  for (const char *at = path; *at != '\0'; at++) me.depth += *at == '/';
  take_log(path);
}

void log_name_child(char *path) {
  if (snprintf(path, PATH_SIZE, "%s/%u", me.path, me.current) >= PATH_SIZE) abort();
}

/* A child finds its parent's state, in the middle of the fork that made it.  It counts on, as it may come back into an
 * outer fork that has a number already, and make that one, too. */
static void notice(void) {
  char path[PATH_SIZE];
  if (me.pid == getpid()) return;
  log_name_child(path);
  me.depth++;
  take_log(path);
}

unsigned log_fork_begins(void) {
  notice();
  unsigned before = me.current;
  me.current = ++me.forks;
  atomic_fetch_add(&shared->forks, 1);
  return before;
}

void log_fork_ends(unsigned before) {
  notice();
  me.current = before;
}

unsigned log_depth(void) {
  notice();
  return me.depth;
}

/* ---- Lines ---- */

static uint64_t digest_of(uint64_t digest, const char *text) {
  for (; *text != '\0'; text++) digest = (digest ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
  return digest * 31 + 7;
}

void say(const char *format, ...) {
  char line[LINE_SIZE];
  va_list arguments;
  notice();
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  struct process_log *own = me.own;
  own->digest = digest_of(own->digest, line);
  if (own->count < LINES) memcpy(own->lines[own->count], line, sizeof line);
  own->count++;
}

/* ---- Comparing ---- */

static unsigned processes_in(const struct run_log *log) {
  unsigned count = atomic_load(&log->processes);
  return count < PROCESSES ? count : PROCESSES;
}

static const struct process_log *find(const struct run_log *log, const char *path) {
  for (unsigned i = 0; i < processes_in(log); i++)
    if (strcmp(log->of[i].path, path) == 0) return &log->of[i];
  return NULL;
}

static const char *line_of(const struct process_log *log, unsigned i) {
  return i >= log->count ? "(nothing)" : i >= LINES ? "(more)" : log->lines[i];
}

static void print_lines(const struct process_log *log, unsigned from, unsigned to) {
  for (unsigned i = from; i < to && i < log->count; i++) printf("    %s\n", line_of(log, i));
}

static void print_difference(const struct process_log *library, const struct process_log *model) {
  unsigned at = 0;
  if (library == NULL || model == NULL) {
    printf("  only the %s has a process %s\n", library == NULL ? "model" : "library",
           (library == NULL ? model : library)->path);
    return;
  }
  while (at < LINES && strcmp(line_of(library, at), line_of(model, at)) == 0) at++;
  printf("  process %s, after\n", model->path);
  print_lines(library, at < 12 ? 0 : at - 12, at);
  printf("  the library: %s\n  the model:   %s\n", line_of(library, at), line_of(model, at));
}

static bool is_same(const struct process_log *a, const struct process_log *b) {
  return b != NULL && a->count == b->count && a->digest == b->digest;
}

/* Of those which one log has otherwise than the other, or the other has not: the first nearest to the first process. */
static const struct process_log *first_different(const struct run_log *log, const struct run_log *other) {
  const struct process_log *found = NULL;
  for (unsigned i = 0; i < processes_in(log); i++) {
    const struct process_log *own = &log->of[i];
    if (is_same(own, find(other, own->path))) continue;
    if (found == NULL || strlen(own->path) < strlen(found->path)) found = own;
  }
  return found;
}

bool log_differs(bool prints) {
  const struct run_log *library = &shared->logs[0], *model = &shared->logs[1];
  const struct process_log *different = first_different(model, library), *other = first_different(library, model);
  if (different == NULL || (other != NULL && strlen(other->path) < strlen(different->path))) different = other;
  if (different == NULL) return false;
  if (prints) print_difference(find(library, different->path), find(model, different->path));
  return true;
}

void log_print(const struct run_log *log, unsigned lines) {
  for (unsigned i = 0; i < processes_in(log); i++) {
    printf("  process %s\n", log->of[i].path);
    unsigned count = log->of[i].count;
    print_lines(&log->of[i], lines == 0 || count < lines ? 0 : count - lines, count);
  }
}
