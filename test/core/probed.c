/* SPDX-License-Identifier: MIT */
/*
 * The program that probes.py watches: it reaches each probe of the library, in a known order.
 *
 * probed parent|child|bypassing|returning PLUGIN
 */
#include <atfork.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void plugin_ran(void);
void plugin_destroyed(void);
void before(void *data);
void after(void *data);
void born(void *data);
void multiply(void *data);
int try(void *data);

int own_data;

/* The plugin calls them. */
void plugin_ran(void) {
}

void plugin_destroyed(void) {
}

void before(void *data) {
  (void)data;
}

void after(void *data) {
  (void)data;
}

void born(void *data) {
  (void)data;
}

/* Forks, and returns in the child, too. */
void multiply(void *data) {
  int status;
  (void)data;
  if (atfork_generation() != 1) return;
  pid_t pid = fork();
  if (pid != 0 && (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)) _exit(6);
}

/* Refuses once. */
int try(void *data) {
  static int tries;
  (void)data;
  return tries++ == 0 ? 7 : 0;
}

static void register_hooks(void) {
  atfork_register(&(struct atfork_hook){
      .name = "low", .priority = -5, .prepare = before, .parent = after, .child = born, .data = &own_data});
  atfork_register(&(struct atfork_hook){.name = "trying", .try_prepare = try});
  atfork_register(&(struct atfork_hook){.name = "high", .priority = 5, .prepare = before, .parent = after});
  atfork_unregister(atfork_register(&(struct atfork_hook){.name = "gone", .child = born}));
}

static int plug_in_and_out(const char *path) {
  void *plugin = dlopen(path, RTLD_NOW);
  if (plugin == NULL) return -1;
  void *symbol = dlsym(plugin, "plug_in");
  void (*plug_in)(void);
  memcpy(&plug_in, &symbol, sizeof plug_in);
  plug_in();
  return dlclose(plugin);
}

/* In the child, `child`; in the parent waits for it. */
static int follow(pid_t pid, int (*child)(void)) {
  int status;
  if (pid == 0) exit(child());
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static int nothing(void) {
  return 0;
}

static int poll_once(void) {
  return atfork_poll() == 1 ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  /* One that comes while gdb leaves a probe has it come there again. */
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  sigprocmask(SIG_BLOCK, &ended, NULL);
  atfork_poll();
  if (strcmp(argv[1], "parent") == 0 && follow(fork(), nothing) != 0) return 3;
  register_hooks();
  if (strcmp(argv[1], "returning") == 0) {
    atfork_register(&(struct atfork_hook){.name = "forking", .child = multiply});
    atfork_register(&(struct atfork_hook){.name = "behind", .child = born});
  }
  if (plug_in_and_out(argv[2]) != 0) return 4;
  if (strcmp(argv[1], "bypassing") == 0) return follow((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), poll_once);
  if (follow(fork(), nothing) != 0) return 5;
  atfork_spawned("no token");
  return atfork_adopt("3");
}
