/* SPDX-License-Identifier: MIT */
/* Threads that register, unregister, visit, fork, load and unload, all at the same time. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "api.h"
#include "invariants.h"
#include "log.h"
#include "modes.h"

enum { THREADS = 4, OWN = 8, LOCKS = 2 };

static pthread_mutex_t mutexes[LOCKS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP};
static int steps;

/* What each process does once: so many, that the threads come to new ones together. */
enum { ONCES = 256 };
static struct what {
  struct atfork_once control;
  _Atomic pid_t begun_in, made_in;
} whats[ONCES];
static _Atomic unsigned asked;

static _Thread_local struct record *own[OWN];
static _Thread_local bool has_plugin;

struct start {
  uint64_t seed;
  bool has_plugin;
};

/* Other threads may come here, but not in, until it has returned. */
static void init(void *data) {
  enum { YIELDS = 4 };
  struct what *what = data;
  expect(what->begun_in != getpid());
  what->begun_in = getpid();
  for (int i = 0; i < YIELDS; i++) sched_yield();
  what->made_in = getpid();
}

static void make_once(void) {
  struct what *what = &whats[atomic_fetch_add(&asked, 1) / THREADS % ONCES];
  atfork_once(&what->control, init, what);
  expect(what->made_in == getpid());
}

static void come_and_go(void) {
  struct record *record = record_add(OF_COPY);
  if (record != NULL) record_remove(record, mine.inside == 0);
}

static void lock_in_any_order(void) {
  int first = draw_below(&mine.random, LOCKS);
  pthread_mutex_lock(&mutexes[first]);
  if (pthread_mutex_trylock(&mutexes[1 - first]) == 0) pthread_mutex_unlock(&mutexes[1 - first]);
  pthread_mutex_unlock(&mutexes[first]);
}

/* In the child: all of the API works, and so do the mutexes. */
static void be_child(void) {
  if (mine.inside == 0) lock_in_any_order();
  make_once();
  visit_all();
  come_and_go();
  if (draw_below(&mine.random, 4) == 0) fork_checked(draw_sound_way(), NULL);
}

/* In a callback, what is removed ends with the forks that it takes part in. */
static void change(int which) {
  record_change(&own[which], mine.inside == 0);
}

/* In a callback. */
static void act(void) {
  atomic_fetch_add(&shared->operations, 1);
  switch (draw_below(&mine.random, 6)) {
    case 0:
      come_and_go();
      break;
    case 1:
      visit_all();
      break;
    case 2:
    case 3:
      change(draw_below(&mine.random, OWN));
      break;
    default:
      fork_checked(draw_sound_way(), NULL);
  }
}

/* The thread that has it is one alone. */
static void come_and_go_with_plugin(void) {
  library.load();
  struct record *record = record_add(OF_PLUGIN);
  for (int i = draw_below(&mine.random, 4); i > 0; i--) change(draw_below(&mine.random, OWN));
  library.unload();
  if (record != NULL) record_gone(record);
}

static void step(void) {
  atomic_fetch_add(&shared->operations, 1);
  switch (draw_below(&mine.random, 16)) {
    case 0:
      fork_checked(draw_sound_way(), be_child);
      break;
    case 1:
      visit_all();
      break;
    case 2:
      lock_in_any_order();
      break;
    case 3:
      if (has_plugin) come_and_go_with_plugin();
      break;
    case 4:
      make_once();
      break;
    default:
      change(draw_below(&mine.random, OWN));
  }
}

static void *run_thread(void *data) {
  const struct start *start = data;
  mine.random = start->seed;
  has_plugin = start->has_plugin;
  for (int i = 0; i < steps; i++) step();
  for (int i = 0; i < OWN; i++)
    if (own[i] != NULL) change(i);
  return NULL;
}

void threads_run(uint64_t seed, int count_of_steps) {
  pthread_t threads[THREADS];
  struct start starts[THREADS];
  steps = count_of_steps;
  invariants_begin(seed);
  invariants_act = act;
  invariants_have_threads = true;
  for (int i = 0; i < LOCKS; i++) expect(atfork_register_mutex(&mutexes[i], i) != 0);
  for (int i = 0; i < THREADS; i++) {
    starts[i] = (struct start){draw(&mine.random), i == 0};
    expect(pthread_create(&threads[i], NULL, run_thread, &starts[i]) == 0);
  }
  for (int i = 0; i < THREADS; i++) expect(pthread_join(threads[i], NULL) == 0);
  invariants_end();
}
