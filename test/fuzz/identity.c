/* SPDX-License-Identifier: MIT */
/* Asks who this process is, and has it do what it does once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "pid_name.h"
#include "runner.h"
#include "streams.h"

/* Whether the last name is a pid that is not this process's. */
static bool is_anothers(const char *lineage) {
  const char *last = strrchr(lineage, '.');
  return last != NULL && last[1] == 'p' && !is_name_of_pid(last, getpid());
}

/* Below the first process, and without pids. */
static void shorten(char *to, const char *lineage) {
  size_t base = strlen(shared->base);
  if (strncmp(lineage, shared->base, base) == 0) {
    *to++ = 'B';
    lineage += base;
  }
  while (*lineage != '\0') {
    if ((*to++ = *lineage++) != 'p') continue;
    lineage += strspn(lineage, "0123456789");
  }
  *to = '\0';
}

void say_lineage(void) {
  char text[BASE_SIZE], shown[BASE_SIZE];
  runner.api->lineage(text, sizeof text);
  shorten(shown, text);
  say("lineage %s%s", shown, is_anothers(text) ? ", another's pid" : "");
}

void say_generation(void) {
  say("generation %llu", (unsigned long long)runner.api->generation());
}

void do_generation(const int *unused) {
  (void)unused;
  say_generation();
}

void do_lineage(const int *arguments) {
  int size = arguments[0];
  char text[SMALL];
  if (size == 0) {
    errno = 0;
    say_result("lineage nowhere", runner.api->lineage(NULL, 1));
    return;
  }
  int length = runner.api->lineage(text, (size_t)size);
  size_t shown = strlen(text);
  say("lineage cut: %d", shown == (size_t)(length < size ? length : size - 1));
  say_lineage();
}

void do_seed(const int *arguments) {
  enum { MOST = 100, HASH = 32 };
  uint64_t base = (uint64_t)arguments[0];
  char text[BASE_SIZE];
  runner.api->lineage(text, sizeof text);
  say("seed: %d", runner.api->seed(base) == stream_seed(base, text, strlen(text)));
  uint8_t bytes[MOST], expected[MOST];
  size_t size = (size_t)(base * 9 % MOST);
  memset(bytes, 0, sizeof bytes);
  memset(expected, 0, sizeof expected);
  runner.api->seed_bytes(base, size == 0 ? NULL : bytes, size);
  stream_bytes(base, text, expected, size);
  /* The model has the library's own hash. */
  bool repeats = runner.api == &library && size >= 2 * HASH && memcmp(bytes, bytes + HASH, HASH) == 0;
  say("bytes: %d", memcmp(bytes, expected, sizeof bytes) == 0 && !repeats);
}

void say_place(void) {
  uint64_t run = runner.api->run(), job;
  bool is_jobs = launcher_run(&job) && run == job;
  say("place %d, %s run", (int)runner.api->place(), is_jobs ? "the job's" : run == shared->run ? "this" : "another");
}

void do_token(const int *arguments) {
  int size = arguments[0];
  char text[SMALL + 1];
  int length = runner.api->token(size == 0 ? NULL : text, (size_t)size);
  say("token: %d", length > size);
}

struct turn {
  int control, script;
};

static void on_init(void *data) {
  const struct turn *turn = data;
  say("init %d", turn->control);
  runner.inside_init |= 1U << turn->control;
  run_script(turn->script);
  runner.inside_init &= ~(1U << turn->control);
}

void do_once(const int *arguments) {
  int control = arguments[0];
  if ((runner.inside_init & 1U << control) != 0) return;
  struct turn turn = {control, arguments[1]};
  runner.api->once(control, on_init, &turn);
  say("once %d", control);
}
