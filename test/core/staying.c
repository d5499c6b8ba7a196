/* SPDX-License-Identifier: MIT */
/* Loads the library, registers through its plain symbol, closes it, and forks. */
#include <atfork.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int ran;

static void child(void *unused) {
  (void)unused;
  ran++;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  void *library = dlopen(argv[1], RTLD_NOW);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  atfork_id (*add)(const struct atfork_hook *) =
      (atfork_id(*)(const struct atfork_hook *))(uintptr_t)dlsym(library, "atfork_register");
  if (add(&(struct atfork_hook){.child = child}) == 0 || dlclose(library) != 0) return 1;
  int status;
  pid_t pid = fork();
  if (pid == 0) _exit(ran == 1 ? 0 : 1);
  return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}
