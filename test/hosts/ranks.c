/* SPDX-License-Identifier: MIT */
/*
 * A rank that its launcher has numbered, and its two workers.  Each says who it is: LINEAGE GENERATION RUN SEED BYTES,
 * in hexadecimal from RUN on.
 *
 * ranks fork     forks its workers
 * ranks spawn    has them be programs of their own, with a token each
 * ranks TOKEN    is one of these
 */
#include <atfork.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2, BASE = 42, BYTES = 16 };

/* In one piece, as all of them write to one pipe. */
static int say(void) {
  char lineage[1024], line[2048];
  uint8_t bytes[BYTES];
  atfork_lineage(lineage, sizeof lineage);
  atfork_seed_bytes(atfork_run(), bytes, sizeof bytes);
  int end = snprintf(line, sizeof line, "%s %" PRIu64 " %016" PRIx64 " %016" PRIx64 " ", lineage, atfork_generation(),
                     atfork_run(), atfork_seed(BASE));
  for (int i = 0; i < BYTES; i++) end += sprintf(line + end, "%02x", bytes[i]);
  line[end++] = '\n';
  return write(STDOUT_FILENO, line, (size_t)end) == end ? 0 : 1;
}

static void be_program(const char *program, const char *token) {
  execl(program, program, token, (char *)NULL);
  _exit(1);
}

static int make_worker(const char *program, const char *how) {
  char token[1024];
  int status;
  if (strcmp(how, "spawn") == 0) atfork_token(token, sizeof token);
  pid_t pid = strcmp(how, "spawn") == 0 ? vfork() : fork();
  if (pid == 0 && strcmp(how, "spawn") == 0) be_program(program, token);
  if (pid == 0) _exit(say());
  return pid > 0 && waitpid(pid, &status, 0) == pid ? status : 1;
}

static int be_rank(const char *program, const char *how) {
  if (atfork_adopt(NULL) != 0) {
    perror("atfork_adopt");
    return 1;
  }
  int failed = say();
  for (int i = 0; i < WORKERS; i++) failed |= make_worker(program, how);
  return failed != 0;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  if (strcmp(argv[1], "fork") == 0 || strcmp(argv[1], "spawn") == 0) return be_rank("/proc/self/exe", argv[1]);
  return atfork_spawned(argv[1]) != 0 || say() != 0;
}
