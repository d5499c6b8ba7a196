/* SPDX-License-Identifier: MIT */
/* The hooks in C, and what a process says of itself.  SOAK_FAULT breaks one of them on purpose. */
#include "probe.h"

#include <atfork.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINEAGE = 1024, LEAK = 4 << 20, FORKS_BEFORE_A_MISS = 3, ANSWERS_BEFORE_A_LOSS = 12 };

/* Of the process `pid`, or of the parent where no hook has run. */
static struct {
  pid_t pid;
  char parent[LINEAGE]; /* its lineage */
  char order[16];       /* a letter for each hook that ran, in that order */
  uint64_t seed;
  uint64_t random;
} story;

static char forker[LINEAGE]; /* the lineage of the process that forks */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int balance; /* prepare callbacks without their parent or child */
static atfork_id second;
static const char *fault = "";

static int is_fault(const char *name) {
  return strcmp(fault, name) == 0;
}

static void note(char letter) {
  if (story.pid != getpid()) {
    memset(&story, 0, sizeof story);
    story.pid = getpid();
    memcpy(story.parent, forker, sizeof forker);
  }
  size_t length = strlen(story.order);
  if (length < sizeof story.order - 1) story.order[length] = letter;
}

static void before(void *unused) {
  (void)unused;
  static unsigned forks;
  balance++;
  atfork_lineage(forker, sizeof forker);
  if (is_fault("missed") && ++forks == FORKS_BEFORE_A_MISS) atfork_unregister(second);
}

static void after(void *unused) {
  (void)unused;
  balance--;
  if (is_fault("leak")) {
    char *lost = malloc(LEAK);
    if (lost != NULL) memset(lost, 1, LEAK);
    __asm__ volatile("" : : "r"(lost) : "memory"); /* or the compiler would leave it out */
  }
}

static void first_child(void *unused) {
  (void)unused;
  balance--;
  note('a');
}

static void second_child(void *unused) {
  (void)unused;
  note('b');
}

static void third_child(void *unused) {
  (void)unused;
  note('c');
  story.seed = is_fault("seed") ? 1 : atfork_seed(atfork_run());
  atfork_seed_bytes(atfork_run() ^ 1, &story.random, sizeof story.random);
}

int probe_register(void) {
  static int done;
  if (done) return 0;
  done = 1;
  if (getenv("SOAK_FAULT") != NULL) fault = strdup(getenv("SOAK_FAULT"));
  const struct atfork_hook hooks[] = {
      {.name = "soak a", .priority = -10, .prepare = before, .parent = after, .child = first_child},
      {.name = "soak c", .priority = 10, .child = third_child},
      {.name = "soak b", .child = second_child},
  };
  for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++)
    if ((second = atfork_register(&hooks[i])) == 0) return -1;
  if (is_fault("double")) atfork_register(&hooks[2]);
  return atfork_register_mutex(&lock, -20) == 0 ? -1 : 0;
}

int probe_all_ran(void) {
  return story.pid == getpid() && strcmp(story.order, is_fault("double") ? "abbc" : "abc") == 0;
}

static int count(const struct atfork_info *info, void *arg) {
  (void)info;
  ++*(unsigned *)arg;
  return 0;
}

/* When this process began, in ticks since the machine did: with the pid it names a process for good. */
static unsigned long long birth(void) {
  static pid_t of;
  static unsigned long long began;
  if (of == getpid()) return began;
  char text[1024] = "";
  FILE *file = fopen("/proc/self/stat", "r");
  if (file == NULL) return 0;
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = '\0';
  char *at = strrchr(text, ')'); /* the 2nd field; the time is the 22nd */
  for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
  began = at == NULL ? 0 : strtoull(at, NULL, 10);
  of = getpid();
  return began;
}

const char *probe_describe(void) {
  static char text[4096];
  static unsigned answers;
  if (is_fault("lost") && ++answers == ANSWERS_BEFORE_A_LOSS) _exit(1);
  const int mine = story.pid == getpid();
  unsigned hooks = 0;
  char lineage[LINEAGE];
  atfork_foreach(count, &hooks);
  atfork_lineage(lineage, sizeof lineage);
  snprintf(text, sizeof text,
           "{\"pid\": %ld, \"ppid\": %ld, \"birth\": %llu, \"generation\": %" PRIu64
           ", \"lineage\": \"%s\", \"parent\": \"%s\", \"run\": \"%" PRIu64 "\", \"seed\": \"%" PRIu64
           "\", \"random\": \"%" PRIu64 "\", \"order\": \"%s\", \"balance\": %d, \"hooks\": %u}",
           (long)getpid(), (long)getppid(), birth(), atfork_generation(), lineage, story.parent, atfork_run(),
           story.seed, story.random, mine ? story.order : "", balance, hooks);
  return text;
}
