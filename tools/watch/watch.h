/* SPDX-License-Identifier: MIT */
/*
 * The library that is loaded into each watched process, before all others.  It wraps functions of the C library, calls
 * them, and records what they did.
 *
 * It may be called anywhere: in a signal handler, in a child of vfork(), in a child whose other threads are lost.  So
 * it calls no malloc(), and takes no lock.
 */
#ifndef ATFORK_WATCH_H
#define ATFORK_WATCH_H

#include <errno.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../record.h"

#define EXPORT __attribute__((visibility("default")))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)

/* ---- The wrapped functions ---- */

typedef void (*any_function)(void);

struct next {
  const char *name;
  _Atomic(any_function) function;
};

any_function watch_next(struct next *next);

/* The wrapped function of this name.  All are looked up at the load; if one is called before, at that call.  NULL: the
 * C library has none. */
static inline any_function next_function(struct next *next) {
  any_function function = atomic_load_explicit(&next->function, memory_order_relaxed);
  return LIKELY(function != NULL) ? function : watch_next(next);
}

#define NEXT(of) static struct next next_of_##of __attribute__((section("watch_nexts"), used)) = {.name = #of}
#define CALL(name) ((__typeof__(&name))next_function(&next_of_##name))

/* ---- The log ---- */

extern struct log_header *watch_log; /* NULL: nothing is watched */

static inline bool watches(enum watch_flags flags) {
  return watch_log != NULL && (watch_log->flags & flags) != 0;
}

struct text {
  char bytes[RECORD_TEXT];
  size_t size;
};

/* Adds a string; one that does not fit is cut. */
void text_add(struct text *text, const char *string);

struct stack {
  uint64_t frames[RECORD_FRAMES];
  unsigned count;
  bool in_signal;    /* some frame is a signal handler's */
  const void *frame; /* the stack frame of the first function begins here, and extends upwards */
};

/* From the caller of a wrapped function: our own frames are left out. */
void stack_take(struct stack *stack);

bool watch_is_ours(uintptr_t address); /* it lies in the object that this is */

uint64_t watch_now(void); /* ns, CLOCK_MONOTONIC */

/* Writes a record; text and stack may be NULL.  Leaves errno alone. */
void log_write(enum record_kind kind, const uint64_t *args, size_t count, const struct text *text,
               const struct stack *stack);
#define LOG(kind, text, stack, ...)                                                                                  \
  log_write(kind, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), text, \
            stack)

/* A variable of the environment that the program was started with, for constructors; NULL: it is not set. */
const char *watch_variable(const char *name);

/* Records the objects that contain the stack's frames, if they have not been recorded yet; and all objects. */
void modules_tell(const struct stack *stack);
void modules_tell_all(void);
bool modules_have(uint64_t address); /* it lies in an object that is loaded */

void modules_program(char *path, size_t size); /* of this program */
void modules_path(const void *address, char *path, size_t size); /* of the object that contains it; "": none */

struct dl_phdr_info;
bool modules_have_libatfork(const struct dl_phdr_info *object);

/* ---- This process ---- */

/*
 * It lies in a page that the kernel wipes at a fork: a child finds zeros, however it was made.  The child enters itself
 * in its first watched call, so a child that only execs or exits touches almost nothing.
 */
struct self {
  _Atomic uint32_t number; /* among all watched processes; 0: not yet entered */
  pid_t pid;
  uint64_t fork; /* id of the fork that made it; 0: none that was seen */
  enum how how;
  _Atomic uint32_t forks; /* how many it began */
  _Atomic bool went_on;   /* RECORD_GOES_ON was written */
  _Atomic bool quick;     /* a thread that locks has only to write its table */
  bool in_handler;        /* a fork handler of the child runs: this does not mean that the child goes on */
};

extern struct self *self_page;
extern uint32_t self_loaded; /* number of the process that the program was started in, also in its children */

void self_enter(void);

/* This process, entered. */
static inline struct self *self_get(void) {
  if (!LIKELY(atomic_load_explicit(&self_page->number, memory_order_relaxed) != 0)) self_enter();
  return self_page;
}

/* In a child of vfork() the memory, this page too, is the parent's. */
bool self_is_borrowed(void);

/* As self_get(), where it is the first call of many children: writing first saves a page fault. */
static inline struct self *self_get_at_end(void) {
  atomic_fetch_add_explicit(&self_page->number, 0, memory_order_relaxed);
  return self_get();
}

/* `function` is a function that only a child that goes on calls, not one that is about to exec or _exit(). */
void self_goes_on(const char *function);

/* ---- A fork ---- */

/* The fork that this thread is in the middle of.  The child reads it, too.  So it lies in thread-local memory, on a
 * page that the C library writes in each child anyway. */
struct fork_under_way {
  uint64_t id; /* 0: none */
  enum how how;
  bool threads; /* there are other threads than the one that forks */
  uint64_t begun;
  uint64_t vfork;    /* id of the last vfork(): the child reads it here, in its parent's memory */
  const void *frame; /* of the caller: frames below were not there yet.  It keeps its value after the fork */
};

extern _Thread_local struct fork_under_way fork_under_way __attribute__((tls_model("initial-exec")));

/* Before any call that may make a process.  Returns the fork's id. */
uint64_t fork_begin(enum how how);
void fork_end(uint64_t id, pid_t child); /* in the parent; child < 0: -errno */

/* Written before each fork, so a child that only ends reads it without a page fault. */
extern struct forks {
  _Atomic uint32_t begun; /* see forks_generation() */
  _Atomic bool streams;   /* some stream had bytes in its buffer */
  _Atomic bool acts;      /* see exits_acts() */
} forks;

/* Counts effects that other processes notice: an exit handler without any is fine in every process. */
static inline void exits_acts(void) {
  if (!LIKELY(atomic_load_explicit(&forks.acts, memory_order_relaxed)))
    atomic_store_explicit(&forks.acts, true, memory_order_relaxed);
}

/* How many forks that copy memory this process, and those that it comes from, began since the program was started. */
static inline uint32_t forks_generation(void) {
  return atomic_load_explicit(&forks.begun, memory_order_relaxed);
}

/* ---- Threads ---- */

enum { HELD = 64 };

struct held {
  const void *_Atomic lock; /* NULL: none */
  const void *site;
  enum lock_kind kind;
  bool told;   /* RECORD_LOCK_HELD was written, in a child */
  bool shared; /* of a semaphore: it is for several processes */
};

struct thread {
  struct thread *_Atomic next;
  _Atomic pid_t tid; /* 0: free */
  char name[16];     /* as of the last fork, or of the last change */
  _Atomic bool named;
  uintptr_t handle;  /* pthread_self() */
  const void *start; /* its start routine; NULL: the first thread, or a thread made in another way */
  _Atomic bool ended;
  /* The condition variable, barrier, semaphore or thread that it waits for. */
  const void *_Atomic waits;
  enum stuck waits_kind;
  bool told; /* in a child that lost it: RECORD_WAITERS_LOST was written */
  unsigned held_count;
  struct held held[HELD];
};

extern _Thread_local struct thread *thread_current __attribute__((tls_model("initial-exec")));
extern struct thread *_Atomic threads_live; /* threads of this process, also ended ones */
extern struct thread *threads_lost;         /* lost threads: they exist only in a parent */

struct thread *thread_enter(void);

static inline struct thread *thread_get(void) {
  struct thread *thread = thread_current;
  return LIKELY(thread != NULL) ? thread : thread_enter();
}

unsigned threads_others(void);        /* how many other threads run */
void threads_know_caller(void);       /* its tid has changed after a fork; called before other threads can fork */
void threads_own_name(char name[16]); /* the caller's, as it is now */
void threads_learn_names(void);       /* in a parent, before a fork */
void threads_born(uint64_t id);       /* in a child: all threads except the caller are lost */
const struct thread *threads_find_lost(pid_t tid); /* NULL: there is none, or it is alive */

/* ---- What else is watched: a file for each ---- */

/* The first two are called in the parent before a fork; then one of the others, in the parent or in the child. */
void locks_in_child(void);
void locks_go_on(uint64_t id); /* in a child that does */
bool locks_hold_shared(void);  /* the caller holds a lock that is for several processes */
/* For syscall(SYS_futex); *done: it was a wait, and the result is the wait's. */
long conditions_futex(const long *args, bool *done, const void *site);
void descriptors_before_exec(const char *path, char *const *argv, char *const *envp);
void descriptors_before_spawn(const char *path, char *const *argv, char *const *envp,
                              const posix_spawn_file_actions_t *actions);
void descriptors_syscall(long number, const long *args, long result, const void *site); /* result: -1, or of the call */
void files_opened(int fd, const char *path, int flags);                                 /* fd: or -1; keeps errno */
void exits_syscall(long number);
uint64_t stdio_state(void); /* of what the streams have in their buffers */
/* Checks the streams since the last fork: called before the next fork, or at the end.  If there are other threads, only
 * if the caller may wait for the lock of the C library's list. */
void stdio_settle(bool may_wait);
void stdio_before_fork(uint64_t id, bool with_handlers);
void stdio_at_exit(void); /* the C library is about to flush all streams */
void stdio_before_close(FILE *file);
unsigned handlers_count(void); /* of pthread_atfork(), without ours */
void handlers_register_own(void (*prepare)(void), void (*parent)(void), void (*child)(void));

#endif
