/* SPDX-License-Identifier: MIT */
/* Locks, threads, and waiting: dead-lock, held-lock, lost-thread, lost-waiter, endless-wait. */
#include "doctor.h"

#include <string.h>

/* ---- What is judged when it is known what became of each process ---- */

void doctor_locks_record(struct doctor *doctor, struct process *process, const struct record *record) {
  switch ((enum record_kind)record->kind) {
    case RECORD_THREAD_LOST:
    case RECORD_LOCK_HELD:
    case RECORD_LOCK_ANEW:
    case RECORD_STUCK:
    case RECORD_WAITERS_LOST:
    case RECORD_THREAD_USED:
      doctor_keep(doctor, process, record);
      break;
    default:
      break;
  }
}

static const char *kind_name(guint64 kind) {
  static const char *const names[LOCK_KINDS] = {
      [KIND_MUTEX] = "mutex",   [KIND_READ] = "read-write lock", [KIND_WRITE] = "read-write lock",
      [KIND_SPIN] = "spinlock", [KIND_SEMAPHORE] = "semaphore",  [KIND_FILE] = "stream",
  };
  return kind < LOCK_KINDS ? names[kind] : "lock";
}

/* "thread worker (4711)"; free it. */
static char *thread_name(const char *name, guint64 tid) {
  if (tid == 0 || (gint64)tid < 0) return g_strdup("a thread of the parent");
  return *name == '\0' ? g_strdup_printf("thread %u", (guint)tid) : g_strdup_printf("thread %s (%u)", name, (guint)tid);
}

static void locate_fork(struct finding *finding, const struct process *process) {
  if (process->birth != NULL) finding_locate(finding, "the fork", process->birth->parent, &process->birth->stack);
}

static void locate_use(struct finding *finding, const char *role, const struct process *process,
                       const struct record *record) {
  struct frames frames;
  record_stack(record, &frames);
  finding_locate(finding, role, process, &frames);
}

/* ---- A child that waits for ever ---- */

static void find_dead_lock(struct doctor *doctor, struct process *process, const struct record *record) {
  g_autofree char *lock = symbols_address(process, record->words[2], record->time);
  g_autofree char *holder = thread_name(record_string(record, 0), record->words[4]);
  struct finding *finding = finding_new("dead-lock", process, "%s() waits for a %s at %s that %s of the parent holds%s",
                                        record_string(record, 1), kind_name(record->words[3]), lock, holder,
                                        record->words[6] != 0 ? "; the process was ended" : "");
  locate_use(finding, "the child waits", process, record);
  finding_locate_at(finding, "the lock was taken", process, record->words[5]);
  locate_fork(finding, process);
  findings_add(doctor->findings, finding);
}

static void find_endless(struct doctor *doctor, struct process *process, const struct record *record) {
  static const char *const whats[STUCKS] = {
      [STUCK_CONDITION] = "a condition variable",
      [STUCK_BARRIER] = "a barrier",
      [STUCK_SEMAPHORE] = "a semaphore",
      [STUCK_JOIN] = "the end of",
      [STUCK_FUTEX] = "a futex",
      [STUCK_LOCK] = "a lock",
  };
  const char *ended = record->words[6] != 0 ? "; the process was ended" : "";
  g_autofree char *object = symbols_address(process, record->words[2], record->time);
  g_autofree char *holder = thread_name(record_string(record, 0), record->words[4]);
  struct finding *finding =
      record->words[1] == STUCK_JOIN
          ? finding_new("endless-wait", process,
                        "%s() waits for the end of %s of the parent, which is not in this process%s",
                        record_string(record, 1), holder, ended)
          : finding_new("endless-wait", process, "%s() waits for %s at %s in a process that has no other thread%s",
                        record_string(record, 1), record->words[1] < STUCKS ? whats[record->words[1]] : "something",
                        object, ended);
  locate_use(finding, "the child waits", process, record);
  locate_fork(finding, process);
  findings_add(doctor->findings, finding);
}

/* ---- Locks that are held ---- */

/* Of a lock in a process; free it. */
static char *lock_key(const struct process *process, guint64 lock) {
  return g_strdup_printf("%u %" G_GINT64_MODIFIER "x", process->id, lock);
}

/* The locks for which a child waited, and those that it repaired. */
static GHashTable *settled_locks(const struct doctor *doctor) {
  GHashTable *settled = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < doctor->later->len; i++) {
    const struct later *later = g_ptr_array_index(doctor->later, i);
    const guint64 *words = later->record->words;
    if (later->record->kind == RECORD_LOCK_ANEW) g_hash_table_add(settled, lock_key(later->process, words[1]));
    if (later->record->kind == RECORD_STUCK) g_hash_table_add(settled, lock_key(later->process, words[2]));
  }
  return settled;
}

static void find_held(struct doctor *doctor, struct process *process, const struct record *record,
                      GHashTable *settled) {
  g_autofree char *key = lock_key(process, record->words[2]);
  if (!doctor_goes_on(process) || g_hash_table_contains(settled, key)) return;
  g_autofree char *holder = thread_name(record_string(record, 0), record->words[3]);
  g_autofree char *lock = symbols_address(process, record->words[2], record->time);
  struct finding *finding =
      finding_new("held-lock", process, "%s of the parent held a %s at %s at the fork, and the child went on with %s()",
                  holder, kind_name(record->words[1]), lock, process->went_on_by);
  finding_locate_at(finding, "the lock was taken", process, record->words[4]);
  locate_fork(finding, process);
  findings_add(doctor->findings, finding);
}

/* ---- Threads that are lost ---- */

/* The name of a library that is known to start threads; NULL: it is not known. */
const char *doctor_pool(const char *path) {
  static const struct {
    const char *object, *name;
  } pools[] = {
      {"libgomp", "OpenMP (libgomp)"},
      {"libomp", "OpenMP (libomp)"},
      {"libiomp", "OpenMP (libiomp)"},
      {"openblas", "OpenBLAS"},
      {"libmkl", "MKL"},
      {"libgrpc", "gRPC"},
      {"cygrpc", "gRPC"},
      {"libtbb", "TBB"},
      {"libruby", "Ruby"},
      {"libpython", "Python"},
      {"python", "Python"},
      {"ruby", "Ruby"},
      {"libjemalloc", "jemalloc"},
      {"librdkafka", "librdkafka"},
      {"libuv", "libuv"},
      {"libcuda", "CUDA"},
      {"libarrow", "Arrow"},
      {"libglib", "GLib"},
  };
  g_autofree char *base = g_path_get_basename(path);
  for (guint i = 0; i < G_N_ELEMENTS(pools); i++)
    if (strstr(base, pools[i].object) != NULL) return pools[i].name;
  return NULL;
}

/* "worker" or "worker of OpenMP (libgomp)"; free it. */
static char *describe_thread(const struct process *process, const struct record *record) {
  const struct module *module = process_module(process, record->words[2], record->time);
  const char *pool = module == NULL ? NULL : doctor_pool(module->path), *name = record_string(record, 0);
  if (*name == '\0') name = "a thread";
  return pool == NULL ? g_strdup(name) : g_strconcat(name, " of ", pool, NULL);
}

gboolean doctor_has_lost(const struct doctor *doctor, const struct process *process, const char *pool) {
  for (guint i = 0; i < doctor->later->len; i++) {
    const struct later *later = g_ptr_array_index(doctor->later, i);
    if (later->process != process || later->record->kind != RECORD_THREAD_LOST) continue;
    const struct module *module = process_module(process, later->record->words[2], 0);
    const char *of = module == NULL ? NULL : doctor_pool(module->path);
    if (of != NULL && strcmp(of, pool) == 0) return TRUE;
  }
  return FALSE;
}

struct tally {
  char *name;
  guint count;
};

static void count_thread(GArray *tallies, char *name) {
  for (guint i = 0; i < tallies->len; i++) {
    struct tally *tally = &g_array_index(tallies, struct tally, i);
    if (strcmp(tally->name, name) != 0) continue;
    tally->count++;
    g_free(name);
    return;
  }
  struct tally tally = {name, 1};
  g_array_append_val(tallies, tally);
}

/* "worker, 3 worker of OpenMP"; frees the names. */
static char *join_tallies(GArray *tallies) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < tallies->len; i++) {
    struct tally *tally = &g_array_index(tallies, struct tally, i);
    if (i > 0) g_string_append(text, ", ");
    if (tally->count > 1) g_string_append_printf(text, "%u x ", tally->count);
    g_string_append(text, tally->name);
    g_free(tally->name);
  }
  g_array_unref(tallies);
  return g_string_free(text, FALSE);
}

/* A process loses threads once, as it is born. */
static void find_lost(struct doctor *doctor, struct process *process) {
  if (!doctor_goes_on(process)) return;
  GArray *tallies = g_array_new(FALSE, FALSE, sizeof(struct tally));
  guint count = 0;
  for (guint i = 0; i < doctor->later->len; i++) {
    const struct later *later = g_ptr_array_index(doctor->later, i);
    if (later->process != process || later->record->kind != RECORD_THREAD_LOST) continue;
    count_thread(tallies, describe_thread(process, later->record));
    count++;
  }
  g_autofree char *names = join_tallies(tallies);
  struct finding *finding = finding_new("lost-thread", process, "%u %s of the parent %s not in this process: %s", count,
                                        count == 1 ? "thread" : "threads", count == 1 ? "is" : "are", names);
  locate_fork(finding, process);
  findings_add(doctor->findings, finding);
}

static void find_used(struct doctor *doctor, struct process *process, const struct record *record) {
  g_autofree char *thread = thread_name(record_string(record, 0), record->words[1]);
  struct finding *finding =
      finding_new("lost-thread", process, "%s() is for %s of the parent, which is not in this process",
                  record_string(record, 1), thread);
  finding->severity = SEVERITY_WARNING;
  locate_use(finding, "the use", process, record);
  locate_fork(finding, process);
  findings_add(doctor->findings, finding);
}

static void find_waiters(struct doctor *doctor, struct process *process, const struct record *record) {
  guint count = (guint)record->words[2];
  const char *what = record->words[3] != 0 ? "barrier" : "condition variable";
  g_autofree char *object = symbols_address(process, record->words[1], record->time);
  struct finding *finding =
      finding_new("lost-waiter", process, "%s() is for a %s at %s on which %u %s of the parent waited at the fork%s",
                  record_string(record, 0), what, object, count, count == 1 ? "thread" : "threads",
                  record->words[4] != 0 ? "; it would never return, and the process was ended" : "");
  if (record->words[4] != 0) finding->severity = SEVERITY_ERROR;
  locate_use(finding, "the use", process, record);
  locate_fork(finding, process);
  findings_add(doctor->findings, finding);
}

/* ---- All of them ---- */

static void find_by_record(struct doctor *doctor, const struct later *later, GHashTable *settled, GHashTable *seen) {
  switch ((enum record_kind)later->record->kind) {
    case RECORD_THREAD_LOST:
      if (g_hash_table_add(seen, later->process)) find_lost(doctor, later->process);
      break;
    case RECORD_LOCK_HELD:
      find_held(doctor, later->process, later->record, settled);
      break;
    case RECORD_STUCK:
      (later->record->words[1] == STUCK_LOCK ? find_dead_lock : find_endless)(doctor, later->process, later->record);
      break;
    case RECORD_WAITERS_LOST:
      find_waiters(doctor, later->process, later->record);
      break;
    case RECORD_THREAD_USED:
      find_used(doctor, later->process, later->record);
      break;
    default:
      break; /* another file's */
  }
}

void doctor_locks_finish(struct doctor *doctor) {
  GHashTable *settled = settled_locks(doctor), *seen = g_hash_table_new(NULL, NULL);
  for (guint i = 0; i < doctor->later->len; i++)
    find_by_record(doctor, g_ptr_array_index(doctor->later, i), settled, seen);
  g_hash_table_unref(settled);
  g_hash_table_unref(seen);
}
