/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "lock.h"
#include "os.h"
#include "state.h"
#include "thread.h"

enum { NUMBER_MAX = 22 /* '.', 'p', 20 digits */, DIGEST_SIZE = 17 /* '~', 16 digits */ };

_Static_assert(sizeof(_Atomic uint64_t) == sizeof(uint64_t), "callers read the mark as a uint64_t");
_Static_assert(LINEAGE_MAX > DIGEST_SIZE + NUMBER_MAX, "a digest and a number fit");

_Thread_local struct thread atfork_thread;

/* In use until the page is mapped, and for good if it cannot be: then it is not wiped, and pids are compared. */
static struct transient unmapped;
struct transient *_Atomic atfork_transient = &unmapped;

static struct process *process(void) {
  return &atfork_state.process;
}

/* The identity in force.  Acquire pairs with the release in become(). */
static struct identity *identity(void) {
  return &process()->identity[atomic_load_explicit(&process()->version, memory_order_acquire) & 1];
}

/* A process that was forked before its first call of the library must not take itself for the root. */
__attribute__((constructor)) static void note_load(void) {
  process()->loaded_by = os_process();
  process()->identity[0].process = process()->loaded_by;
}

/* SplitMix64's output function (variant 13 of David Stafford's mixers): a bijection of 64 bits. */
static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static uint64_t hash(uint64_t base, const char *text, size_t length) {
  const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
  uint64_t state = mix(base + golden);
  for (size_t i = 0; i < length; i++) state = mix(state + golden + (unsigned char)text[i]);
  return state;
}

/* By hand, as the first snprintf() in a child would fault in some ten pages of the C library. */
static size_t put_number(char *to, uint64_t number) {
  char digits[20];
  size_t count = 0;
  do {
    digits[count++] = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  for (size_t i = 0; i < count; i++) to[i] = digits[count - 1 - i];
  return count;
}

/* Keeps a lineage that has no room for one more number unique and short. */
static size_t put_digest(char *to, const char *text, size_t length) {
  uint64_t digest = hash(0, text, length);
  to[0] = '~';
  for (unsigned i = 0; i < 16; i++) {
    unsigned digit = (unsigned)(digest >> (60 - 4 * i)) & 15;
    to[1 + i] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
  }
  return DIGEST_SIZE;
}

/*
 * Makes this process the child of the one that `version` was in force in.  Writes the identity that is not
 * in force, then puts it there by one exchange: a fork or a signal handler in the middle sees the old one,
 * begins anew and writes the same bytes; whoever comes second changes nothing.
 */
static void become(uint32_t version, bool bypassed, uint64_t number) {
  const struct identity *from = &process()->identity[version & 1];
  struct identity *to = &process()->identity[(version & 1) ^ 1];
  to->generation = from->generation + 1;
  to->process = atomic_load(&process()->wiped) ? 0 : os_process();
  atomic_store_explicit(&to->children, 0, memory_order_relaxed);
  size_t length = from->length;
  if (length + NUMBER_MAX > LINEAGE_MAX)
    length = put_digest(to->lineage, from->lineage, length);
  else
    for (size_t i = 0; i < length; i++) to->lineage[i] = from->lineage[i];
  to->lineage[length++] = '.';
  if (bypassed) to->lineage[length++] = 'p';
  length += put_number(to->lineage + length, number);
  assert(length <= LINEAGE_MAX);
  to->length = (uint32_t)length;
  atomic_compare_exchange_strong_explicit(&process()->version, &version, version + 1, memory_order_release,
                                          memory_order_relaxed);
}

/* Release pairs with the acquire in process_mark(). */
static uint64_t set_mark(void) {
  uint64_t mark = identity()->generation + 1;
  if (atomic_load(&process()->wiped)) atomic_store_explicit(&transient()->mark, mark, memory_order_release);
  return mark;
}

/* Threads that come here at once each map a page; one wins, and the others give theirs back. */
static void map_transient(void) {
  if (atomic_load(&process()->mapped)) return;
  size_t size = os_page_size();
  struct transient *page = os_map(size);
  if (page != NULL && os_wipe_on_fork(page, size)) {
    atomic_store(&process()->wiped, true);
    struct transient *expected = &unmapped;
    if (atomic_compare_exchange_strong(&atfork_transient, &expected, page)) page = NULL;
  }
  if (page != NULL) os_unmap(page, size);
  atomic_store(&process()->mapped, true);
}

/*
 * Without wiping: clears what the parent left.  One thread does, under the complement of its pid, and the
 * others wait for it, but not for ever: it may be this thread, interrupted.  Clearing twice does no harm.
 */
static void claim_transient(void) {
  enum { PATIENCE = 100 };
  struct transient *t = transient();
  uint64_t self = os_process();
  for (unsigned attempt = 0;; attempt++) {
    uint64_t of = atomic_load(&t->process);
    if (of == self) return;
    if (of == ~self && attempt < PATIENCE) {
      os_back_off(attempt);
      continue;
    }
    if (!atomic_compare_exchange_strong(&t->process, &of, ~self)) continue;
    atomic_store(&t->owner, 0);
    atomic_store(&t->settled, 0);
    atomic_store(&t->adopted, 0);
    atomic_store(&t->process, self);
    return;
  }
}

/* Whether the identity in force is that of another process. */
static bool is_new(void) {
  if (!atomic_load(&process()->looked)) return process()->loaded_by != os_process();
  if (atomic_load(&process()->wiped)) return atomic_load(&transient()->mark) == 0;
  return identity()->process != os_process();
}

uint64_t process_look(void) {
  map_transient();
  if (!atomic_load(&process()->wiped)) {
    if (atomic_load(&process()->looked) && identity()->process == os_process()) return identity()->generation + 1;
    claim_transient();
  }
  lock_inherit();
  bool nested = lock_enter();
  uint32_t version = atomic_load(&process()->version);
  if (is_new()) become(version, true, os_process());
  atomic_store(&process()->looked, true);
  uint64_t mark = set_mark();
  lock_leave(nested);
  return mark;
}

const uint64_t *process_mark_address(void) {
  process_mark();
  return (const uint64_t *)&transient()->mark;
}

uint64_t process_next_child(void) {
  return atomic_fetch_add_explicit(&identity()->children, 1, memory_order_relaxed) + 1;
}

void process_born(uint64_t number) {
  if (!atomic_load(&process()->wiped)) claim_transient();
  lock_inherit();
  become(atomic_load(&process()->version), false, number);
  set_mark();
}

/* A handler that forks in the middle of these leaves its child a new identity: then once more. */
size_t process_lineage(char *buf, size_t size) {
  for (;;) {
    const struct identity *in_force = identity();
    size_t length = in_force->length;
    size_t shown = length < size ? length : size - 1;
    if (size > 0) {
      memcpy(buf, in_force->lineage, shown);
      buf[shown] = '\0';
    }
    if (identity() == in_force) return length;
  }
}

uint64_t process_seed(uint64_t base) {
  for (;;) {
    const struct identity *in_force = identity();
    uint64_t seed = hash(base, in_force->lineage, in_force->length);
    if (identity() == in_force) return seed;
  }
}
