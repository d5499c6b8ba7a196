/* SPDX-License-Identifier: MIT */
/* Hard work for the registry, in a request of a worker's; and a fork for scripts that have none. */
#include "probe.h"

#include <atfork.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 2000, UNTIL_FULL = 200000, SPARE = 1 << 20 };

static struct {
  pid_t pid;
  int reply;
  sigset_t mask;
} child;

/* A server's handler of SIGCHLD would wait for our child: it gets the signal when we have. */
static void begin(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &set, &child.mask);
}

static int finish(void) {
  int status = -1;
  while (waitpid(child.pid, &status, 0) == -1 && errno == EINTR) {
  }
  pthread_sigmask(SIG_SETMASK, &child.mask, NULL);
  return status;
}

int probe_fork(void) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  begin();
  child.pid = fork();
  close(ends[child.pid == 0 ? 0 : 1]);
  child.reply = ends[child.pid == 0 ? 1 : 0];
  return child.pid;
}

void probe_reply(const char *text) {
  size_t length = strlen(text);
  _exit(write(child.reply, text, length) == (ssize_t)length ? 0 : 1);
}

const char *probe_hear(void) {
  static char text[16384];
  size_t length = 0;
  ssize_t got;
  while ((got = read(child.reply, text + length, sizeof text - 1 - length)) > 0) length += (size_t)got;
  text[length] = '\0';
  close(child.reply);
  return finish() == 0 ? text : "";
}

static int look(int (*check)(void)) {
  const int wrong = check();
  return wrong != 0 ? wrong : probe_all_ran() ? 0 : 1;
}

/* Forks; "" if `check` gives 0 in the child, and each of the soak's own hooks has run there. */
static const char *forked(int (*check)(void)) {
  static const char *const verdicts[] = {"", "missed by a child of a request", "doubled in a child of a request"};
  begin();
  child.pid = fork();
  if (child.pid == 0) _exit(look(check));
  int status = child.pid == -1 ? -1 : finish();
  if (child.pid == -1) pthread_sigmask(SIG_SETMASK, &child.mask, NULL);
  return WIFEXITED(status) && WEXITSTATUS(status) <= 2 ? verdicts[WEXITSTATUS(status)] : "error: a child failed";
}

/* ---- Thousands of hooks ---- */

static unsigned char marks[MANY];
static atfork_id ids[MANY];

static void mark(void *place) {
  ++*(unsigned char *)place;
}

static int check_marks(void) {
  for (size_t i = 0; i < MANY; i++)
    if (marks[i] != 1) return marks[i] == 0 ? 1 : 2;
  return 0;
}

static const char *take_back(void) {
  const char *wrong = "";
  for (size_t i = 0; i < MANY; i++) {
    const atfork_id id = ids[i * 7 % MANY]; /* 7 has no divisor in common with MANY: each once */
    if (atfork_unregister(id) != 0) wrong = "error: a hook was gone already";
    if (atfork_unregister(id) == 0) wrong = "error: a hook was taken back twice";
  }
  return wrong;
}

const char *probe_churn(void) {
  memset(marks, 0, sizeof marks);
  for (size_t i = 0; i < MANY; i++) {
    ids[i] = atfork_register(&(struct atfork_hook){
        .name = "one of many", .priority = (int)(i * 31 % 201) - 100, .child = mark, .data = &marks[i]});
    if (ids[i] == 0) return "error: no memory";
  }
  const char *wrong = forked(check_marks);
  const char *late = take_back();
  return *wrong != '\0' ? wrong : late;
}

/* ---- A plugin ---- */

static unsigned char ran;

static int check_ran(void) {
  return ran == 1 ? 0 : ran == 0 ? 1 : 2;
}

static int check_not_ran(void) {
  return ran == 0 ? 0 : 2;
}

const char *probe_plugin(void) {
  Dl_info self;
  char path[4096];
  if (dladdr((void *)marks, &self) == 0) return "error: dladdr";
  snprintf(path, sizeof path, "%.*s/libsoak-plugin.so", (int)(strrchr(self.dli_fname, '/') - self.dli_fname),
           self.dli_fname);
  void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (plugin == NULL) return "error: dlopen";
  atfork_id (*plugin_register)(void (*)(void *), void *);
  *(void **)&plugin_register = dlsym(plugin, "plugin_register");
  ran = 0;
  if (plugin_register(mark, &ran) == 0) return "error: no memory";
  const char *wrong = forked(check_ran);
  if (dlclose(plugin) != 0 || dlopen(path, RTLD_NOW | RTLD_NOLOAD) != NULL) return "error: the plugin has stayed";
  const char *late = forked(check_not_ran);
  return *wrong != '\0' ? wrong : late;
}

/* ---- No memory ---- */

struct block {
  struct block *next;
};

/* What there is below the limit, down to small blocks. */
static struct block *grab(void) {
  struct block *all = NULL;
  for (size_t size = SPARE; size >= 32; size /= 2)
    for (struct block *block; (block = malloc(size)) != NULL; all = block) block->next = all;
  return all;
}

static void let_go(struct block *all) {
  while (all != NULL) {
    struct block *next = all->next;
    free(all);
    all = next;
  }
}

static size_t mapped(void) {
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%lu", &pages) != 1) pages = 0;
  if (file != NULL) fclose(file);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int fine(void) {
  return 0;
}

static const char *fill(atfork_id *full) {
  struct block *all = grab();
  size_t count = 0;
  static unsigned char unused;
  while (count < UNTIL_FULL && (full[count] = atfork_register_after_fork(mark, &unused)) != 0) count++;
  const char *wrong = count < UNTIL_FULL && errno == ENOMEM ? forked(fine) : "error: there was memory left";
  for (size_t i = 0; i < count; i++)
    if (atfork_unregister(full[i]) != 0) wrong = "error: a hook was gone already";
  let_go(all);
  return wrong;
}

const char *probe_exhaust(void) {
  const size_t size = UNTIL_FULL * sizeof(atfork_id);
  struct rlimit before;
  atfork_id *full = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (full == MAP_FAILED || getrlimit(RLIMIT_AS, &before) != 0) return "error: mmap";
  struct rlimit tight = {.rlim_cur = mapped() + SPARE, .rlim_max = before.rlim_max};
  if (setrlimit(RLIMIT_AS, &tight) != 0) return "error: setrlimit";
  const char *wrong = fill(full);
  setrlimit(RLIMIT_AS, &before);
  munmap(full, size);
  malloc_trim(0);
  return wrong;
}
