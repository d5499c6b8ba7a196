/* SPDX-License-Identifier: MIT */
/*
 * Promise 17: a program for each way in which a process can come to load the library.  Loads the library in
 * this process or in one that it makes, and prints there the place, the generation and the lineage that the process
 * finds, a line for each process.
 *
 * placed WAY LIBRARY
 */
#include <atfork.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static const char *library;

static void *load(void) {
  void *loaded = dlopen(library, RTLD_NOW);
  if (loaded != NULL) return loaded;
  fprintf(stderr, "%s\n", dlerror());
  exit(1);
}

static void say(void *loaded) {
  static const char *const places[] = {"root", "forked", "spawned", "adopted", "unknown"};
  char lineage[256];
  enum atfork_place (*place)(void) = (enum atfork_place(*)(void))(uintptr_t)dlsym(loaded, "atfork_place");
  uint64_t (*generation)(void) = (uint64_t(*)(void))(uintptr_t)dlsym(loaded, "atfork_generation");
  int (*lineage_of)(char *, size_t) = (int (*)(char *, size_t))(uintptr_t)dlsym(loaded, "atfork_lineage");
  lineage_of(lineage, sizeof lineage);
  printf("%s %" PRIu64 " %s\n", places[place()], generation(), lineage);
  fflush(stdout);
}

static void adopt(void *loaded) {
  int (*adopts)(const char *) = (int (*)(const char *))(uintptr_t)dlsym(loaded, "atfork_adopt");
  if (adopts("5") != 0) exit(1);
}

/* Goes on in a child; its parent ends as it does. */
static void go_on_in_child(void) {
  int status;
  pid_t pid = fork();
  if (pid == 0) return;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) exit(1);
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void in_root(void) {
  say(load());
}

/* In a worker, as a server's are; and in what that one forks. */
static void in_worker(void) {
  go_on_in_child();
  void *loaded = load();
  say(loaded);
  go_on_in_child();
  say(loaded);
}

static void in_adopted_worker(void) {
  go_on_in_child();
  void *loaded = load();
  say(loaded);
  adopt(loaded);
  say(loaded);
  go_on_in_child();
  say(loaded);
}

/* Named so that what is read of it must not be read naively. */
static void in_worker_of_a_name(void) {
  prctl(PR_SET_NAME, "a) Z 1 (b ");
  in_worker();
}

static void after_exec(void) {
  go_on_in_child();
  execl("/proc/self/exe", "placed", "root", library, NULL);
  exit(1);
}

/* Once its parent has ended, it has another. */
static void in_daemon(void) {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid != 0) _exit(pid < 0);
  while (getppid() == parent) sched_yield();
  setsid();
  say(load());
}

/* Its parent, which is still root, must not be looked at.  The file is opened before, as its folder may be root's. */
static void without_rights(void) {
  static char path[64];
  go_on_in_child();
  snprintf(path, sizeof path, "/proc/self/fd/%d", open(library, O_RDONLY));
  library = path;
  if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0) exit(1);
  say(load());
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*go)(void);
  } ways[] = {
      {"root", in_root},    {"worker", in_worker}, {"adopted", in_adopted_worker}, {"name", in_worker_of_a_name},
      {"exec", after_exec}, {"daemon", in_daemon}, {"rights", without_rights},
  };
  if (argc != 3) return 2;
  library = argv[2];
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    if (strcmp(ways[i].name, argv[1]) != 0) continue;
    ways[i].go();
    return 0;
  }
  return 2;
}
