/* SPDX-License-Identifier: MIT */
/*
 * What the small programs for `atfork doctor` share.  Each says in its head what must be found:
 *
 *   After PROJECT#NUMBER: ...    the public report that it is modelled on
 *   finds: RULE, note RULE       or `finds: nothing`; a rule that is named with `note` is found with that severity;
 *                                ` or ` stands between what is found with one C library, and with another one
 *   needs: MODULE                a module of pkg-config's; a package for a script
 *   builds: module|library       no program, but what others here load, or are linked with (`links: NAME`)
 *
 * A program ends by itself; a child that hangs without the tool has an alarm().
 */
#ifndef ATFORK_TEST_DOCTOR_PROGRAM_H
#define ATFORK_TEST_DOCTOR_PROGRAM_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  CANNOT_RUN = 77, /* the system lacks what the program is about */
  BROKEN = 99,     /* the program itself went wrong */
  HANGS = 20,      /* s until an alarm() ends a child that hangs */
};

#define must(condition) ((condition) ? (void)0 : program_is_broken(__FILE__, __LINE__, #condition))

static inline _Noreturn void program_is_broken(const char *file, int line, const char *what) {
  fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, strerror(errno));
  _exit(BROKEN);
}

/* One thread or process waits for another. */
struct gate {
  int ends[2];
};

static inline void gate_make(struct gate *gate) {
  must(pipe2(gate->ends, O_CLOEXEC) == 0);
}

static inline void gate_open(const struct gate *gate) {
  must(write(gate->ends[1], "", 1) == 1);
}

static inline void gate_wait(const struct gate *gate) {
  char byte;
  ssize_t size;
  while ((size = read(gate->ends[0], &byte, 1)) == -1 && errno == EINTR) continue;
  must(size == 1);
}

/* A thread that calls begin(), stays until the program lets it go, and calls end(). */
struct stayer {
  pthread_t thread;
  struct gate begun, leave;
  void (*begin)(void), (*end)(void);
};

static inline void *stayer_run(void *data) {
  const struct stayer *stayer = data;
  if (stayer->begin != NULL) stayer->begin();
  gate_open(&stayer->begun);
  gate_wait(&stayer->leave);
  if (stayer->end != NULL) stayer->end();
  return NULL;
}

static inline void stayer_start(struct stayer *stayer, void (*begin)(void), void (*end)(void)) {
  stayer->begin = begin;
  stayer->end = end;
  gate_make(&stayer->begun);
  gate_make(&stayer->leave);
  must(pthread_create(&stayer->thread, NULL, stayer_run, stayer) == 0);
  gate_wait(&stayer->begun);
}

static inline void stayer_end(struct stayer *stayer) {
  gate_open(&stayer->leave);
  must(pthread_join(stayer->thread, NULL) == 0);
}

/* Returns the status of waitpid(). */
static inline int wait_for(pid_t child) {
  int status;
  must(child > 0);
  while (waitpid(child, &status, 0) == -1) must(errno == EINTR);
  return status;
}

/* Makes a child that runs this, and ends; returns its status. */
static inline int fork_once(void (*run)(void)) {
  pid_t child = fork();
  if (child == 0) {
    run();
    _exit(0);
  }
  return wait_for(child);
}

/* The same while a thread stands between begin() and end(). */
static inline int fork_beside(void (*begin)(void), void (*end)(void), void (*run)(void)) {
  struct stayer stayer;
  stayer_start(&stayer, begin, end);
  int status = fork_once(run);
  stayer_end(&stayer);
  return status;
}

static inline void become_true(void) {
  execl("/bin/true", "true", (char *)NULL);
  _exit(BROKEN);
}

/* What a child that does more than exec or _exit() does. */
static inline void go_on(void) {
  printf("process %d goes on\n", (int)getpid());
  fflush(stdout);
}

static inline void *share(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(memory != MAP_FAILED);
  return memory;
}

#endif
