/* SPDX-License-Identifier: MIT */
/*
 * Probes.  At a chosen lock operation, the thread that has taken the lock is stopped, and a helper thread of ours
 * forks, with the program's own fork handlers:
 *
 *   the thread        the helper          the child of fork()           a child of its own
 *   asks, waits  -->  fork()         -->  supervises             -->   does what children commonly do
 *   goes on     <--   waits for it   <--  (ends hung ones)       <--   is stuck, hangs, or ends
 *
 * So the holder is lost in the child, as if any other thread had forked at this moment.  If a prepare handler waits for
 * this very lock, the fork comes later: the holder goes on after a while, and there is no finding.
 */
#include "explore.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "raw.h"

NEXT(fork);
NEXT(pthread_create);

enum {
  HANG_SIGNAL = SIGSTKFLT, /* the kernel does not send it, and programs do not use it */
  STUCK_STATUS = 125,      /* held_stuck() has written a record */
  HUNG_STATUS = 124,       /* on_hang() has */
  SLOW = 10,               /* a child that does not sleep in a futex gets so many times the limit */
  POLL = 1000000,          /* ns */
};

bool explore_on;

/* ---- What the processes of a probe tell each other ---- */

struct shared {
  _Atomic uint32_t may_begin; /* the parent knows the child's pid */
  _Atomic uint32_t begun;     /* the fork handlers of the child have run */
  _Atomic uint32_t at;        /* which of the actions */
};

static struct shared *shared;

/* ---- What children commonly do ---- */

static void allocate(void) {
  static const size_t sizes[] = {16, 1000, 200000};
  for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    char *volatile memory = malloc(sizes[i]);
    if (memory != NULL) memory[0] = 1;
    free(memory);
  }
}

/* Its output is lost: the supervisor has redirected stdout, and what the program had not yet flushed. */
static void print(void) {
  printf("%d\n", (int)raw_getpid());
  fflush(stdout);
}

static void resolve(void) {
  struct addrinfo *found = NULL;
  if (getaddrinfo("localhost", NULL, NULL, &found) == 0) freeaddrinfo(found);
}

static void *nothing(void *unused) {
  return unused;
}

static void start_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, nothing, NULL) == 0) pthread_join(thread, NULL);
}

static void look_up(void) {
  void *program = dlopen(NULL, RTLD_NOW);
  if (program == NULL) return;
  (void)dlsym(program, "main");
  dlclose(program);
}

static void tell_time(void) {
  time_t now = time(NULL);
  struct tm local;
  localtime_r(&now, &local);
}

static uint64_t operation; /* that is probed */

static void log_probed(enum probed how, int status, const char *what, const struct stack *stack) {
  struct text text = {.size = 0};
  text_add(&text, what);
  LOG(RECORD_PROBED, &text, stack, operation, how, (uint64_t)(unsigned)status);
}

static void call_own(void) {
  if (watch_log->probe[0] == '\0') return;
  void *found = dlsym(RTLD_DEFAULT, watch_log->probe);
  if (found == NULL) {
    log_probed(PROBED_MISSING, 0, watch_log->probe, NULL);
    return;
  }
  void (*function)(void);
  memcpy(&function, &found, sizeof function);
  function();
}

static const struct {
  const char *name;
  void (*act)(void);
} actions[] = {
    {"malloc", allocate},
    {"printf", print},
    {"localtime", tell_time},
    {"dlopen", look_up},
    {"getaddrinfo", resolve},
    {"pthread_create", start_thread},
    {"the function of --probe", call_own},
};

enum { ACTIONS = sizeof actions / sizeof actions[0] };

/* ---- Time ---- */

static uint64_t limit(void) {
  return (uint64_t)watch_log->wait_limit * 1000000U;
}

static void sleep_a_little(void) {
  struct timespec time = {0, POLL};
  raw_call(SYS_nanosleep, (long)&time, 0, 0, 0, 0, 0);
}

/* Used by both sides, for a word of this process or a shared one; false: the limit has passed. */
static bool wait_while(_Atomic uint32_t *word, uint32_t value, uint64_t nanoseconds) {
  uint64_t end = watch_now() + nanoseconds;
  while (atomic_load(word) == value) {
    uint64_t now = watch_now();
    if (now >= end) return false;
    struct timespec rest = {(time_t)((end - now) / 1000000000U), (long)((end - now) % 1000000000U)};
    raw_call(SYS_futex, (long)word, FUTEX_WAIT, value, (long)&rest, 0, 0);
  }
  return true;
}

static void set(_Atomic uint32_t *word, uint32_t value) {
  atomic_store(word, value);
  raw_futex_wake(word);
}

/* ---- Hanging ---- */

static void on_hang(int signal) {
  (void)signal;
  struct stack stack;
  stack_take(&stack);
  uint32_t at = atomic_load(&shared->at);
  log_probed(PROBED_HUNG, 0, atomic_load(&shared->begun) == 0 ? "the fork handlers" : actions[at % ACTIONS].name,
             &stack);
  raw_exit(HUNG_STATUS);
}

static void make_path(char path[40], pid_t pid, const char *file) {
  char digits[11];
  size_t count = 0, at = sizeof "/proc/" - 1;
  memcpy(path, "/proc/", at);
  for (pid_t rest = pid; rest > 0; rest /= 10) digits[count++] = (char)('0' + rest % 10);
  while (count > 0) path[at++] = digits[--count];
  memcpy(path + at, file, strlen(file) + 1);
}

/* On a busy system, a child may wait long for another of its threads. */
static bool is_alone(pid_t pid) {
  char path[40];
  struct stat status;
  make_path(path, pid, "/task");
  return raw_call(SYS_newfstatat, AT_FDCWD, (long)path, (long)&status, 0, 0, 0) == 0 && status.st_nlink == 3;
}

/* The number of the system call that it sleeps in is the first word there. */
static bool sleeps_in_futex(pid_t pid) {
  char path[40], text[32];
  make_path(path, pid, "/syscall");
  int fd = raw_open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true; /* it cannot be read, so the limit decides */
  long size = raw_read(fd, text, sizeof text - 1);
  raw_close(fd);
  text[size < 0 ? 0 : size] = '\0';
  return size > 0 && strtol(text, NULL, 10) == SYS_futex;
}

static bool has_ended(pid_t pid, int *status) {
  long result = raw_call(SYS_wait4, pid, (long)status, WNOHANG, 0, 0, 0);
  if (result == -ECHILD) *status = 0;
  return result == pid || result == -ECHILD;
}

/* The child writes its record, unless it no longer handles even a signal. */
static int end_hung(pid_t pid) {
  int status = 0;
  uint64_t end = watch_now() + limit();
  raw_call(SYS_kill, pid, HANG_SIGNAL, 0, 0, 0, 0);
  while (!has_ended(pid, &status)) {
    if (watch_now() > end) raw_call(SYS_kill, pid, SIGKILL, 0, 0, 0, 0);
    sleep_a_little();
  }
  return status;
}

/* Waits until it has ended: `shared->at` changes as long as it does not hang.  A child that is awake has `patience`
 * times the limit. */
static int watch_over(pid_t pid, unsigned patience) {
  _Atomic uint32_t *progress = &shared->at;
  int status;
  uint32_t seen = atomic_load(progress);
  uint64_t since = watch_now();
  while (!has_ended(pid, &status)) {
    if (atomic_load(progress) != seen) {
      seen = atomic_load(progress);
      since = watch_now();
    }
    uint64_t quiet = watch_now() - since;
    if (quiet > patience * limit() || (quiet > limit() && is_alone(pid) && sleeps_in_futex(pid))) return end_hung(pid);
    sleep_a_little();
  }
  return status;
}

/* ---- In the child ---- */

enum phase { IDLE, ASKED, FORKED, ABANDONED };

static _Atomic uint32_t phase;

static _Noreturn void act_from(uint32_t first) {
  for (uint32_t i = first; i < ACTIONS; i++) {
    atomic_store(&shared->at, i);
    actions[i].act();
  }
  raw_exit(0);
}

static void redirect_output(void) {
  int fd = raw_open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (fd < 0) raw_exit(0);
  raw_call(SYS_dup3, fd, STDOUT_FILENO, 0, 0, 0, 0);
  raw_call(SYS_dup3, fd, STDERR_FILENO, 0, 0, 0, 0);
}

/* If an action hangs or crashes, the next child begins after it. */
static _Noreturn void supervise(void) {
  wait_while(&shared->may_begin, 0, limit());
  if (atomic_load(&phase) == ABANDONED) raw_exit(0); /* the lock has been released, so the moment has passed */
  set(&shared->begun, 1);
  redirect_output();
  for (uint32_t next = 0; next < ACTIONS; next = atomic_load(&shared->at) + 1) {
    atomic_store(&shared->at, next);
    fork_begin(HOW_PROBE);
    long pid = raw_call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
    if (pid == 0) act_from(next);
    if (pid < 0) break;
    int status = watch_over((pid_t)pid, SLOW);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    if (WIFSIGNALED(status)) log_probed(PROBED_CRASHED, status, actions[atomic_load(&shared->at)].name, NULL);
  }
  raw_exit(0);
}

/* ---- The helper ---- */

static _Atomic uint32_t busy;
static _Atomic pid_t probe_pid; /* of the last probe: a thread that has waited for it may ask whose it was later */
static _Atomic uint32_t helper_state; /* 0 none, 1 being started, 2 running, 3 could not be started */
static _Thread_local bool is_helper __attribute__((tls_model("initial-exec")));
static _Thread_local bool is_asking __attribute__((tls_model("initial-exec")));

bool explore_owns(pid_t pid) {
  return pid > 0 && atomic_load_explicit(&probe_pid, memory_order_relaxed) == pid;
}

static void fork_probe(void) {
  atomic_store(&shared->may_begin, 0);
  atomic_store(&shared->begun, 0);
  atomic_store(&shared->at, 0);
  uint64_t id = fork_begin(HOW_PROBE);
  pid_t pid = CALL(fork)();
  if (pid == 0) supervise();
  atomic_store(&probe_pid, pid);
  fork_end(id, pid < 0 ? -errno : pid);
  if (pid < 0) log_probed(PROBED_FAILED, 0, "fork", NULL);
  uint32_t asked = ASKED;
  if (atomic_compare_exchange_strong(&phase, &asked, FORKED)) raw_futex_wake(&phase);
  set(&shared->may_begin, 1);
  if (pid > 0) watch_over(pid, 2 * SLOW); /* it ends its own children before */
}

static void *help(void *unused) {
  is_helper = true;
  raw_call(SYS_prctl, PR_SET_NAME, (long)"atfork-explore", 0, 0, 0, 0);
  set(&helper_state, 2);
  for (;;) {
    wait_while(&phase, IDLE, UINT32_MAX);
    if (atomic_load(&phase) != ASKED && atomic_load(&phase) != ABANDONED) continue;
    fork_probe();
    set(&phase, IDLE);
    set(&busy, 0);
  }
  return unused;
}

/* The helper blocks all signals, as they are for the program.  A probe handles HANG_SIGNAL. */
static void start_helper(void) {
  sigset_t all, old;
  pthread_t thread;
  struct sigaction action = {.sa_handler = on_hang};
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  bool works = shared != MAP_FAILED && sigaction(HANG_SIGNAL, &action, NULL) == 0;
  sigfillset(&all);
  sigdelset(&all, HANG_SIGNAL);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  works = works && CALL(pthread_create)(&thread, NULL, help, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (works)
    wait_while(&helper_state, 1, limit());
  else
    set(&helper_state, 3);
}

static bool has_helper(void) {
  uint32_t none = 0;
  if (atomic_compare_exchange_strong(&helper_state, &none, 1)) start_helper();
  return atomic_load(&helper_state) == 2;
}

/* ---- The thread that took a lock ---- */

static struct thread *asker;             /* it is stopped while a probe runs */
static const void *_Atomic helper_waits; /* the last lock that the helper found taken, or not, in a fork handler */

static bool holds(const struct thread *thread, const void *lock) {
  for (unsigned i = 0; i < thread->held_count; i++)
    if (atomic_load(&thread->held[i].lock) == lock) return true;
  return false;
}

void explore_waits(const void *lock) {
  if (!is_helper) return;
  atomic_store(&helper_waits, lock);
  uint32_t asked = ASKED;
  if (atomic_load(&phase) != ASKED || !holds(asker, lock)) return;
  if (atomic_compare_exchange_strong(&phase, &asked, ABANDONED)) raw_futex_wake(&phase);
}

/* One probe at a time.  The previous one may still wait in a fork handler, for a lock that the caller has taken
 * again. */
static bool take_turn(void) {
  uint64_t end = watch_now() + limit();
  for (;;) {
    uint32_t free = 0;
    if (atomic_compare_exchange_strong(&busy, &free, 1)) return true;
    if (atomic_load(&phase) == ABANDONED && holds(thread_get(), atomic_load(&helper_waits))) return false;
    if (!wait_while(&busy, 1, POLL) && watch_now() >= end) return false;
  }
}

static void log_probe(uint64_t k, enum lock_kind kind, const void *lock) {
  struct text text = {.size = 0};
  char name[16];
  threads_own_name(name);
  text_add(&text, name);
  struct stack stack;
  stack_take(&stack);
  LOG(RECORD_PROBE, &text, &stack, k, (uint64_t)(uintptr_t)lock, kind, (uint64_t)raw_gettid());
}

static void ask(uint64_t k, enum lock_kind kind, const void *lock) {
  bool forked = false;
  if (take_turn()) {
    operation = k;
    log_probe(k, kind, lock);
    asker = thread_get();
    set(&phase, ASKED);
    uint32_t asked = ASKED;
    if (!wait_while(&phase, ASKED, limit())) atomic_compare_exchange_strong(&phase, &asked, ABANDONED);
    forked = atomic_load(&phase) != ABANDONED;
  } else {
    log_probe(k, kind, lock);
  }
  if (!forked)
    log_probed(PROBED_LATE, 0, "fork", NULL);
  else /* the holder is stopped until the probe has ended; then the program goes on as without a probe */
    wait_while(&busy, 1, UINT32_MAX);
}

static bool is_chosen(uint64_t k) {
  return watch_log->choice == UINT64_MAX || log_hash(watch_log->seed, k) < watch_log->choice;
}

void explore_taken(enum lock_kind kind, const void *lock) {
  if (self_get()->how != HOW_ROOT || is_helper || is_asking || fork_under_way.id != 0) return;
  uint64_t k = atomic_fetch_add_explicit(&watch_log->operations, 1, memory_order_relaxed) + 1;
  if (watch_log->choice == 0 || !is_chosen(k) || self_is_borrowed()) return;
  int saved = errno;
  is_asking = true;
  if (has_helper()) ask(k, kind, lock);
  is_asking = false;
  errno = saved;
}

__attribute__((constructor(106))) static void begin(void) {
  explore_on = watches(WATCH_EXPLORE);
}
