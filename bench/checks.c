/* SPDX-License-Identifier: MIT */
/*
 * "Did I fork?": what a look costs, against a plain load, BoringSSL's CRYPTO_get_fork_generation(), and getpid(),
 * which the C library does not remember and so asks the kernel.
 */
#include <atfork.h>
#include <dlfcn.h>
#include <glob.h>
#include <unistd.h>

#include "bench.h"

static volatile uint64_t plain;
static struct atfork_once control;
static uint64_t (*boringssl)(void);

static void nothing(void *unused) {
  (void)unused;
}

/* Times `statement`, and writes the ns that one took.  Several in a row, lest the loop be what is timed. */
#define TIME(times, statement)                       \
  do {                                               \
    long count = (times) / 8;                        \
    double start = now();                            \
    for (long i = 0; i < count; i++) {               \
      statement;                                     \
      statement;                                     \
      statement;                                     \
      statement;                                     \
      statement;                                     \
      statement;                                     \
      statement;                                     \
      statement;                                     \
    }                                                \
    values[0] = (now() - start) / (double)count / 8; \
  } while (0)

static void load(void *unused, double *values) {
  (void)unused;
  TIME(unless_quick(4000000, 40000), (void)plain);
}

static void generation(void *unused, double *values) {
  (void)unused;
  TIME(unless_quick(4000000, 40000), (void)atfork_generation());
}

static void generation_call(void *unused, double *values) {
  (void)unused;
  TIME(unless_quick(4000000, 40000), (void)(atfork_generation)());
}

static void once(void *unused, double *values) {
  (void)unused;
  TIME(unless_quick(4000000, 40000), atfork_once(&control, nothing, NULL));
}

static void ask_boringssl(void *unused, double *values) {
  (void)unused;
  TIME(unless_quick(400000, 4000), (void)boringssl());
}

static void ask_kernel(void *unused, double *values) {
  (void)unused;
  TIME(unless_quick(200000, 2000), (void)getpid());
}

enum check { LOAD, GENERATION, GENERATION_CALL, ONCE, GETPID, BORINGSSL, CHECKS };

static const struct job jobs[CHECKS] = {
    [LOAD] = {.measure = load},
    [GENERATION] = {.measure = generation},
    [GENERATION_CALL] = {.measure = generation_call},
    [ONCE] = {.measure = once},
    [GETPID] = {.measure = ask_kernel},
    [BORINGSSL] = {.measure = ask_boringssl},
};

static struct results results[CHECKS];

static void print(enum check ours, const char *name, enum check theirs, const char *peer, const char *aim) {
  struct figure figure = {.row = "checks", .name = name, .peer = peer, .unit = "ns", .aim = aim};
  print_figure(&figure, &results[ours].values[0], &results[theirs].values[0]);
}

/* NULL where it is not installed.  Debian keeps it out of the way of OpenSSL's. */
static uint64_t (*find_boringssl(void))(void) {
  uint64_t (*function)(void) = NULL;
  glob_t found;
  if (glob("/usr/lib/*/android/libcrypto.so.0", 0, NULL, &found) != 0) return NULL;
  void *library = dlopen(found.gl_pathv[0], RTLD_NOW | RTLD_LOCAL);
  if (library) *(void **)&function = dlsym(library, "CRYPTO_get_fork_generation");
  globfree(&found);
  return function;
}

int main(int argc, char **argv) {
  bench_init(argc, argv);
  boringssl = find_boringssl();
  interleave(jobs, results, boringssl ? CHECKS : BORINGSSL, unless_quick(51, 3));

  print(GENERATION, "atfork_generation()", LOAD, "a volatile load", "3");
  print(GENERATION_CALL, "(atfork_generation)(), not inline", LOAD, "a volatile load", NULL);
  print(ONCE, "atfork_once()", LOAD, "a volatile load", "3");
  print(GENERATION, "atfork_generation()", GETPID, "getpid()", "0.01");
  print(ONCE, "atfork_once()", GETPID, "getpid()", "0.01");
  if (boringssl) {
    print(GENERATION, "atfork_generation()", BORINGSSL, "CRYPTO_get_fork_generation()", "0.083");
    print(ONCE, "atfork_once()", BORINGSSL, "CRYPTO_get_fork_generation()", "0.083");
  } else {
    print_skipped("checks", "CRYPTO_get_fork_generation()", "BoringSSL is not installed");
  }
  return 0;
}
