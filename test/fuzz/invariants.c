/* SPDX-License-Identifier: MIT */
#include "invariants.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"
#include "log.h"
#include "streams.h"

enum { WITNESSES = 3, RECORDS = 1 << 16, LINEAGES = 1 << 16 };

_Thread_local struct mine mine;
void (*invariants_act)(void);
bool invariants_have_threads;

static struct record records[RECORDS];
static _Atomic int records_count;

/* Hooks that stay, and how often the child of each ran in this thread and the threads that it comes from. */
static _Thread_local int witnessed[WITNESSES];
static atfork_id witnesses[WITNESSES];

void expectation_failed(const char *file, int line, const char *what) {
  char text[256];
  int length = snprintf(text, sizeof text, "%s:%d: in process %d: not so: %s\n", file, line, (int)getpid(), what);
  if (write(STDOUT_FILENO, text, (size_t)length) < 0) abort();
  _exit(3);
}

/* ---- Callbacks ---- */

static uint64_t mixed(const void *record) {
  uint64_t state = (uintptr_t)record;
  return draw(&state);
}

static void act(void) {
  if (invariants_act == NULL || mine.inside > 1 || draw_below(&mine.random, 40) != 0) return;
  invariants_act();
}

static void called(const struct record *record, int open) {
  expect(record->state == REGISTERED);
  mine.inside++;
  mine.open += open;
  mine.sum += open > 0 ? mixed(record) : -mixed(record);
  act();
  expect(record->state == REGISTERED);
  mine.inside--;
}

static void on_prepare(void *record) {
  called(record, 1);
}

static int on_try(void *data) {
  const struct record *record = data;
  expect(record->state == REGISTERED);
  if (draw_below(&mine.random, 6) == 0) return 1;
  called(record, 1);
  return 0;
}

static void on_parent(void *record) {
  called(record, -1);
}

static void on_destroy(void *data) {
  struct record *record = data;
  record->destroyed++;
}

static void on_witness(void *count) {
  ++witnessed[*(const int *)count];
}

/* ---- Hooks ---- */

static bool is_refusing(const struct record *record) {
  return (record - records) % 4 == 0;
}

struct record *record_add(enum owner owner) {
  int number = atomic_fetch_add(&records_count, 1);
  if (number >= RECORDS) return NULL;
  struct record *record = &records[number];
  struct atfork_hook hook = {
      .priority = draw_below(&mine.random, 5) - 2,
      .parent = on_parent,
      .child = on_parent,
      .destroy = on_destroy,
      .data = record,
  };
  if (is_refusing(record))
    hook.try_prepare = on_try;
  else
    hook.prepare = on_prepare;
  record->state = REGISTERED;
  record->id = library.add(&hook, owner);
  expect(record->id != 0);
  return record;
}

void record_gone(struct record *record) {
  expect(record->destroyed == 1);
  record->is_removed = true;
  record->state = UNREGISTERED;
}

void record_remove(struct record *record, bool at_once) {
  int result = atfork_unregister(record->id);
  expect(result == 0 || errno == ENOENT);
  record->is_removed = true;
  if (!at_once) return;
  record_gone(record);
  expect(atfork_unregister(record->id) == -1 && errno == ENOENT);
}

void record_change(struct record **record, bool at_once) {
  if (*record == NULL) {
    *record = record_add(OF_PROGRAM);
  } else {
    record_remove(*record, at_once);
    *record = NULL;
  }
}

static int count(const struct atfork_info *info, void *number) {
  expect(info->id != 0);
  ++*(int *)number;
  return 0;
}

void visit_all(void) {
  int number = 0;
  expect(atfork_foreach(count, &number) == 0);
  expect(number >= WITNESSES);
}

/* ---- Forks ---- */

static uint64_t *lineages(void) {
  return (uint64_t *)(void *)&shared->logs[0];
}

_Static_assert(sizeof(struct run_log) > (LINEAGES + 1) * sizeof(uint64_t), "they fit in a log");

struct before {
  struct mine mine;
  int witnessed[WITNESSES];
  uint64_t generation;
};

/* A signal handler's child may come back anywhere, and then this is begun anew. */
static int births_now(void) {
  atomic_signal_fence(memory_order_seq_cst);
  return *(const volatile int *)&mine.births;
}

static struct before look_before(void) {
  struct before before;
  int births;
  do {
    births = births_now();
    before.generation = atfork_generation();
    before.mine = mine;
    memcpy(before.witnessed, witnessed, sizeof witnessed);
  } while (births_now() != births);
  return before;
}

/* All child hooks have run once in each process that this one has gone on as. */
static bool is_born_well(const struct before *before) {
  bool is_well;
  int births;
  do {
    births = births_now();
    int more = births - before->mine.births;
    is_well = atfork_generation() == before->generation + (uint64_t)more;
    for (int i = 0; i < WITNESSES; i++) is_well = is_well && witnessed[i] == before->witnessed[i] + more;
  } while (births_now() != births);
  return is_well;
}

/* While it polls, no child of a signal handler comes back: not before `mine` is whole again. */
static void run_what_was_missed(const struct before *before) {
  mine.polls = true;
  struct mine after = before->mine;
  after.births = births_now();
  after.bypasses |= invariants_have_threads;
  after.polls = true;
  expect(atfork_poll() >= WITNESSES);
  mine = after;
  atomic_signal_fence(memory_order_seq_cst);
  mine.polls = before->mine.polls;
}

static void check(const struct before *before) {
  expect(mine.open == before->mine.open && mine.sum == before->mine.sum);
  expect(is_born_well(before));
}

/* Of the process that has been born so often, if this is it: what comes back here has noted its own. */
static void note_lineage(int births) {
  char text[BASE_SIZE];
  if (births_now() != births) return;
  unsigned number = atomic_fetch_add(&shared->logs[1].processes, 1);
  atfork_lineage(text, sizeof text);
  uint64_t noted = stream_seed(0, text, strlen(text));
  if (number < LINEAGES && births_now() == births) lineages()[number] = noted;
}

static void check_child(const struct before *before, int births, bool bypasses) {
  mine.bypasses |= bypasses && invariants_have_threads;
  if (bypasses) run_what_was_missed(before);
  check(before);
  expect(atfork_poll() == 0);
  note_lineage(births);
}

/* What has come back into its parent's fork has none of that one's children. */
static void await(pid_t pid, const struct before *before) {
  int status = 0;
  pid_t ended;
  do ended = waitpid(pid, &status, 0);
  while (ended < 0 && errno == EINTR);
  bool is_anothers = ended < 0 && errno == ECHILD && mine.births != before->mine.births;
  expect(ended == pid || is_anothers);
  if (WIFSIGNALED(status)) psignal(WTERMSIG(status), "fuzz: a child ended");
  expect(status == 0);
}

/* Whether this is the child. */
static bool fork_and_check(enum way way) {
  struct before before = look_before();
  atomic_fetch_add(&shared->forks, 1);
  if (way == BY_FORK) mine.forker = getpid();
  mine.forking += way == BY_FORK;
  pid_t pid = library.fork(way);
  int births = mine.births + 1;
  if (pid == 0) mine.births = births;
  atomic_signal_fence(memory_order_seq_cst);
  mine.forking = before.mine.forking;
  mine.forker = before.mine.forker;
  expect(pid >= 0);
  if (pid == 0) {
    check_child(&before, births, way != BY_FORK);
    mine.random += (uint64_t)getpid();
    return true;
  }
  check(&before);
  await(pid, &before);
  return false;
}

void fork_checked(enum way way, void (*body)(void)) {
  if (!fork_and_check(way)) return;
  if (body != NULL) body();
  _exit(0);
}

void fork_coming_back(enum way way) {
  fork_and_check(way);
}

bool may_come_back(void) {
  return mine.inside == 0 && !mine.polls && (mine.forking == 0 || mine.forker == getpid());
}

enum way draw_sound_way(void) {
  enum { BYPASSING = BY_CLONE3 - BY__FORK + 1 };
  enum way way = (enum way)(BY__FORK + draw_below(&mine.random, BYPASSING));
  if (mine.bypasses) return way;
  bool may_bypass = mine.forking == 0 || mine.inside > 0;
  return may_bypass && draw_below(&mine.random, 2) == 0 ? way : BY_FORK;
}

/* ---- Runs ---- */

void invariants_begin(uint64_t seed) {
  static const struct atfork_hook all = {
      .prepare = on_prepare, .try_prepare = on_try, .parent = on_parent, .child = on_parent, .destroy = on_destroy};
  library_callbacks = &all;
  static const int numbers[WITNESSES] = {0, 1, 2};
  mine.random = seed;
  shared->logs[1].processes = 0;
  memset(lineages(), 0, LINEAGES * sizeof *lineages());
  for (int i = 0; i < WITNESSES; i++) {
    struct atfork_hook hook = {.priority = i - 1, .child = on_witness, .data = (void *)(uintptr_t)&numbers[i]};
    witnesses[i] = atfork_register(&hook);
    expect(witnesses[i] != 0);
  }
  /* The first hook of an object takes a lock of the C library, which in a child may be that of a thread that is gone.
   */
  record_remove(record_add(OF_COPY), true);
}

static int compare(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return left < right ? -1 : left > right;
}

static void check_removed(void) {
  visit_all(); /* what fell due in the middle of an update ends with the next walk */
  for (int i = 0; i < records_count && i < RECORDS; i++) expect(records[i].destroyed == records[i].is_removed);
}

void invariants_end(void) {
  check_removed();
  unsigned count = shared->logs[1].processes;
  if (count > LINEAGES) count = LINEAGES;
  qsort(lineages(), count, sizeof *lineages(), compare);
  for (unsigned i = 1; i < count; i++) expect(lineages()[i] == 0 || lineages()[i] != lineages()[i - 1]);
}
