/* SPDX-License-Identifier: MIT */
/*
 * Real forks for the tests: of each kind, with a bounded wait, and memory that all processes share to report in.
 */
#ifndef ATFORK_TEST_FORKS_H
#define ATFORK_TEST_FORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h> /* fork(), which most tests hand on */

#include "hooks.h"

/* A way to make a process. */
struct way {
  const char *name;
  pid_t (*fork)(void);
  bool bypasses;
};

extern const struct way ways[];
extern const size_t ways_count;

/* Whether qemu-user runs this program (script/emulated says so).  Its own memory and threads are part of the process,
 * vfork() is a fork, and there is no seccomp; a debugger sees the emulator. */
extern bool is_emulated;

/* Whether the kernel wipes pages at fork, and can be believed. */
extern bool pages_are_wiped;

pid_t fork_by_syscall(void);
pid_t fork_by_clone(void);

/* Where coverage is measured: writes down what this process has run of the library, as its end does not. */
extern void (*coverage_dump)(void);

/*
 * Adds a test in which threads, or a signal handler, come upon each other by chance.  Where coverage is measured it is
 * left out: what it runs is a matter of luck, and a child made in the middle of a function has counts that are wrong.
 */
void add_race(const char *path, void (*test)(void));

/* Ends a child with the status that it is known by to have passed its checks. */
enum { CHILD_PASSED = 42 };
_Noreturn void child_passes(void);

/* A check in a child: says what failed and ends it. */
#define child_check(condition) ((condition) ? (void)0 : child_fails(__FILE__, __LINE__, #condition))
#define child_check_int(a, op, b)                                                 \
  do {                                                                            \
    long long a_ = (long long)(a), b_ = (long long)(b);                           \
    child_check_numbers(a_, b_, a_ op b_, #a " " #op " " #b, __FILE__, __LINE__); \
  } while (0)
void child_check_numbers(long long a, long long b, bool holds, const char *what, const char *file, int line);
_Noreturn void child_fails(const char *file, int line, const char *what);

/* Runs body() in a child made by `fork`, which must call child_passes() or return; the test fails otherwise, or
 * when the child takes longer than patience() allows. */
void in_child(pid_t (*fork)(void), void (*body)(void));

/* Waits for a child, and expects it to have passed. */
void expect_passed(pid_t pid);

/* In a child: becomes the program again, with these arguments, the second of which may be NULL.  By its path, as
 * valgrind has its own program at /proc/self/exe. */
_Noreturn void run_again(const char *option, const char *argument);

/* How often to do something that is done `many` times to meet a race: less often where all is slow. */
int rounds(int many);

/* Whether vfork() is what it is; sanitizers and valgrind make it a fork(). */
bool has_vfork(void);

/* As dlclose() does for an object; musl, which never unloads one, does nothing. */
void finalize(void *object);

/* Zeroed, and shared with every child. */
void *share(size_t size);

/* One-way signals between threads or processes. */
struct gate {
  int ends[2];
};
void gate_make(struct gate *gate);
void gate_open(struct gate *gate);
void gate_wait(struct gate *gate);

#endif
