/* SPDX-License-Identifier: MIT */
/* The threads of this process, and in a child its lost threads. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <threads.h>
#include <time.h>

#include "raw.h"
#include "watch.h"

NEXT(pthread_create);
NEXT(thrd_create);
NEXT(prctl);
NEXT(pthread_setname_np);

_Thread_local struct thread *thread_current __attribute__((tls_model("initial-exec")));
struct thread *_Atomic threads_live;
struct thread *threads_lost;

/* ---- Places ---- */

static struct thread *make(void) {
  void *mapped = mmap(NULL, sizeof(struct thread), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mapped == MAP_FAILED ? NULL : mapped;
}

/* Frees the entry of a thread when the kernel no longer knows it: until then its destructors may lock. */
static struct thread *reuse(pid_t tid) {
  pid_t pid = raw_getpid();
  for (struct thread *thread = atomic_load(&threads_live); thread != NULL; thread = atomic_load(&thread->next)) {
    pid_t old = atomic_load(&thread->tid);
    if (!atomic_load(&thread->ended) || old == 0 || raw_tgkill(pid, old, 0) == 0) continue;
    if (!atomic_compare_exchange_strong(&thread->tid, &old, tid)) continue;
    thread->held_count = 0;
    atomic_store(&thread->named, false);
    thread->start = NULL;
    atomic_store(&thread->waits, NULL);
    atomic_store(&thread->ended, false);
    return thread;
  }
  return NULL;
}

/* Without memory, the thread has no entry of its own. */
static struct thread nobody;

static struct thread *take_place(pid_t tid) {
  struct thread *thread = reuse(tid);
  if (thread != NULL || (thread = make()) == NULL) return thread;
  atomic_store(&thread->tid, tid);
  struct thread *first = atomic_load(&threads_live);
  do {
    atomic_store(&thread->next, first);
  } while (!atomic_compare_exchange_weak(&threads_live, &first, thread));
  return thread;
}

struct thread *thread_enter(void) {
  int saved = errno;
  struct thread *thread = take_place(raw_gettid());
  thread_current = thread == NULL ? &nobody : thread;
  thread_current->handle = (uintptr_t)pthread_self();
  errno = saved;
  return thread_current;
}

/* ---- Their beginning and end ---- */

struct start {
  void *(*routine)(void *);
  void *argument;
  struct thread *place; /* made before the thread runs, as a fork may come first; NULL: none */
};

enum { NOT_BEGUN = -1 }; /* as its tid */

static void end_thread(void *unused) {
  (void)unused;
  if (thread_current != NULL) atomic_store(&thread_current->ended, true);
}

static void *begin_thread(void *data) {
  struct start start = *(struct start *)data;
  munmap(data, sizeof start);
  thread_current = start.place;
  if (start.place != NULL) start.place->handle = (uintptr_t)pthread_self();
  if (start.place != NULL) atomic_store(&start.place->tid, raw_gettid());
  void *result;
  pthread_cleanup_push(end_thread, NULL);
  result = start.routine(start.argument);
  pthread_cleanup_pop(1);
  return result;
}

/* The C library gives a new thread the stack of a lost one, and so its handle. */
static void forget_handle(pthread_t handle) {
  for (struct thread *thread = threads_lost; thread != NULL; thread = atomic_load(&thread->next))
    if (thread->handle == (uintptr_t)handle) thread->handle = 0;
}

/* The memory of a detached thread may be gone before pthread_create() returns. */
static bool stays(const pthread_attr_t *attributes) {
  int state = PTHREAD_CREATE_JOINABLE;
  return attributes == NULL ||
         (pthread_attr_getdetachstate(attributes, &state) == 0 && state == PTHREAD_CREATE_JOINABLE);
}

/* For a fork before the thread has entered itself.  The thread's clock id contains its number. */
static void learn_identity(struct thread *place, pthread_t handle) {
  clockid_t clock;
  pid_t old = NOT_BEGUN;
  if (atomic_load(&place->tid) != old) return; /* it may have ended, its memory may be gone, and its place reused */
  place->handle = (uintptr_t)handle;
  if (pthread_getcpuclockid(handle, &clock) != 0) return;
  atomic_compare_exchange_strong(&place->tid, &old, (pid_t)(~(unsigned)clock >> 3));
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *),
                          void *argument) {
  if (watch_log == NULL) return CALL(pthread_create)(thread, attributes, routine, argument);
  self_goes_on("pthread_create");
  threads_know_caller();
  struct start *start = mmap(NULL, sizeof *start, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return EAGAIN;
  *start = (struct start){routine, argument, take_place(NOT_BEGUN)};
  if (start->place != NULL) memcpy(&start->place->start, &routine, sizeof start->place->start);
  struct thread *place = start->place;
  int error = CALL(pthread_create)(thread, attributes, begin_thread, start);
  if (error == 0 && threads_lost != NULL) forget_handle(*thread);
  if (error == 0 && place != NULL && stays(attributes)) learn_identity(place, *thread);
  if (error != 0 && place != NULL) atomic_store(&place->ended, true);
  if (error != 0) munmap(start, sizeof *start);
  return error;
}

/* ---- Those of C11, which the C library makes inside ---- */

struct start_c11 {
  thrd_start_t routine;
  void *argument;
  struct thread *place; /* as above */
};

static int begin_thread_c11(void *data) {
  struct start_c11 start = *(struct start_c11 *)data;
  munmap(data, sizeof start);
  thread_current = start.place;
  if (start.place != NULL) start.place->handle = (uintptr_t)pthread_self();
  if (start.place != NULL) atomic_store(&start.place->tid, raw_gettid());
  int result;
  pthread_cleanup_push(end_thread, NULL);
  result = start.routine(start.argument);
  pthread_cleanup_pop(1);
  return result;
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t routine, void *argument) {
  if (watch_log == NULL) return CALL(thrd_create)(thread, routine, argument);
  self_goes_on("thrd_create");
  threads_know_caller();
  struct start_c11 *start = mmap(NULL, sizeof *start, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return thrd_nomem;
  *start = (struct start_c11){routine, argument, take_place(NOT_BEGUN)};
  struct thread *place = start->place;
  if (place != NULL) memcpy(&place->start, &routine, sizeof place->start);
  int error = CALL(thrd_create)(thread, begin_thread_c11, start);
  if (error == thrd_success && threads_lost != NULL) forget_handle(*thread);
  if (error == thrd_success) return error;
  if (place != NULL) atomic_store(&place->ended, true);
  munmap(start, sizeof *start);
  return error;
}

/* ---- Their names ---- */

void threads_know_caller(void) {
  struct thread *thread = thread_get();
  pid_t tid = raw_gettid();
  if (atomic_load_explicit(&thread->tid, memory_order_relaxed) != tid) atomic_store(&thread->tid, tid);
}

static void read_name(struct thread *thread, pid_t tid) {
  char path[] = "/proc/self/task/0123456789/comm";
  char digits[11];
  size_t count = 0;
  for (pid_t rest = tid; rest > 0; rest /= 10) digits[count++] = (char)('0' + rest % 10);
  char *at = path + sizeof "/proc/self/task/" - 1;
  while (count > 0) *at++ = digits[--count];
  memcpy(at, "/comm", sizeof "/comm");
  atomic_store(&thread->named,
               true); /* before the name is read: if another thread changes it meanwhile, it is read again */
  int fd = raw_open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  long size = raw_read(fd, thread->name, sizeof thread->name);
  raw_close(fd);
  thread->name[size > 0 ? size - 1 : 0] = '\0';
}

static bool runs(const struct thread *thread) {
  return atomic_load_explicit(&thread->tid, memory_order_relaxed) != 0 &&
         !atomic_load_explicit(&thread->ended, memory_order_relaxed);
}

void threads_own_name(char name[16]) {
  name[0] = '\0';
  raw_call(SYS_prctl, PR_GET_NAME, (long)name, 0, 0, 0, 0);
}

void threads_learn_names(void) {
  for (struct thread *thread = atomic_load(&threads_live); thread != NULL; thread = atomic_load(&thread->next))
    if (runs(thread) && !thread->named && atomic_load(&thread->tid) > 0) read_name(thread, atomic_load(&thread->tid));
}

static void forget_names(void) {
  for (struct thread *one = atomic_load(&threads_live); one != NULL; one = atomic_load(&one->next))
    atomic_store(&one->named, false);
}

EXPORT int pthread_setname_np(pthread_t thread, const char *name) {
  int error = CALL(pthread_setname_np)(thread, name);
  forget_names();
  return error;
}

EXPORT int prctl(int option, ...) {
  unsigned long args[4];
  va_list rest;
  va_start(rest, option);
  for (int i = 0; i < 4; i++) args[i] = va_arg(rest, unsigned long);
  va_end(rest);
  enum confinement confinement = confinement_of_prctl(option, args[0]);
  int result = CALL(prctl)(option, args[0], args[1], args[2], args[3]);
  if (option == PR_SET_NAME) forget_names();
  if (confinement != CONFINED_NOT && result == 0) raw_confine(confinement);
  return result;
}

/* ---- At a fork ---- */

/* A thread that was not made by our pthread_create() does not report its end.  In a child of vfork(), all threads
 * belong to another process. */
static void note_ended(void) {
  pid_t pid = raw_getpid();
  if (self_is_borrowed()) return;
  for (struct thread *thread = atomic_load(&threads_live); thread != NULL; thread = atomic_load(&thread->next))
    if (runs(thread) && thread->start == NULL && thread != thread_current &&
        raw_tgkill(pid, atomic_load(&thread->tid), 0) == -ESRCH)
      atomic_store(&thread->ended, true);
}

unsigned threads_others(void) {
  note_ended();
  unsigned count = 0;
  for (struct thread *thread = atomic_load(&threads_live); thread != NULL; thread = atomic_load(&thread->next))
    count += thread != thread_current && runs(thread);
  return count;
}

static void log_lost(uint64_t id, const struct thread *thread) {
  struct text text = {.size = 0};
  text_add(&text, thread->name);
  const void *waits = atomic_load_explicit(&thread->waits, memory_order_relaxed);
  LOG(RECORD_THREAD_LOST, &text, NULL, id, (uint64_t)atomic_load(&thread->tid), (uint64_t)(uintptr_t)thread->start,
      waits != NULL, (uint64_t)(uintptr_t)waits);
}

/* The parent's list becomes the list of lost threads, except for the caller, which begins the new list. */
void threads_born(uint64_t id) {
  struct thread *me = thread_current;
  struct thread *first = atomic_load(&threads_live);
  if (first == NULL || (first == me && atomic_load(&me->next) == NULL))
    return;                           /* nothing is written: no page is copied */
  struct thread *lost = threads_lost; /* a lock that a thread of the grandparent held is still held */
  for (struct thread *thread = first, *next; thread != NULL; thread = next) {
    next = atomic_load(&thread->next);
    if (thread == me || !runs(thread)) continue;
    log_lost(id, thread);
    atomic_store(&thread->next, lost);
    lost = thread;
  }
  threads_lost = lost;
  if (me != NULL) atomic_store(&me->next, NULL);
  atomic_store(&threads_live, me == &nobody ? NULL : me);
}

const struct thread *threads_find_lost(pid_t tid) {
  for (const struct thread *thread = threads_lost; thread != NULL; thread = atomic_load(&thread->next))
    if (atomic_load(&thread->tid) == tid) return thread;
  return NULL;
}
