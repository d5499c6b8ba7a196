/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lock.h"
#include "os.h"
#include "state.h"
#include "thread.h"
#include "token.h"

_Static_assert(sizeof(_Atomic uint64_t) == sizeof(uint64_t), "callers read the mark as a uint64_t");

_Thread_local struct thread atfork_thread;

/* In use until the library is ready, and for good if no page can be mapped: then it is not wiped, and pids are
 * compared. */
static struct transient unmapped;
struct transient *_Atomic atfork_transient = &unmapped;

static uintptr_t self(void) {
  return (uintptr_t)&atfork_thread;
}

static struct process *process(void) {
  return &atfork_state.process;
}

/* Acquire pairs with the release in put_in_force(). */
static uint32_t version_now(void) {
  return atomic_load_explicit(&process()->version, memory_order_acquire);
}

static struct identity *identity_of(uint32_t version) {
  return &process()->identity[version & 1];
}

/* The one in force. */
static struct identity *identity(void) {
  return identity_of(version_now());
}

/* ---- Numbers of children ---- */

/*
 * How many are given, above that the low bits of a version; with any other version's, none are.  So a new identity
 * needs no 0 to be written here, which might come when a signal handler in the middle has given some already.
 */
enum { COUNT_BITS = 40 };

static uint64_t with_version(uint64_t count, uint32_t version) {
  return (uint64_t)version << COUNT_BITS | count;
}

static uint64_t count_of(uint64_t children, uint32_t version) {
  uint64_t none = with_version(0, version);
  return children >> COUNT_BITS == none >> COUNT_BITS ? children - none : 0;
}

static uint64_t give_number(uint32_t version) {
  struct identity *in_force = identity_of(version);
  uint64_t children = atomic_load_explicit(&in_force->children, memory_order_relaxed);
  uint64_t count;
  do count = count_of(children, version) + 1;
  while (!atomic_compare_exchange_weak_explicit(&in_force->children, &children, with_version(count, version),
                                                memory_order_relaxed, memory_order_relaxed));
  return in_force->first + count;
}

/* ---- Forks before the first call ---- */

/*
 * Until then no handlers of fork.c's run, and nothing runs in a child, which so pays for nothing: whoever looks first
 * there finds the note of its number.  All of it is in the one page that the parent writes anyway.
 */

/* Whether fork.c numbers the fork of this thread. */
static bool fork_is_prepared(void) {
  return atfork_thread.frame != NULL && atfork_thread.frame->number != 0;
}

/* Exchanges the thread of one note; NULL when there is none with that thread. */
static struct note *exchange_note(uintptr_t thread, uintptr_t by) {
  for (unsigned i = 0; i < NOTES; i++) {
    struct note *note = &process()->notes[i];
    uintptr_t expected = thread;
    if (atomic_compare_exchange_strong(&note->thread, &expected, by)) return note;
  }
  return NULL;
}

/* Looks first: this may be the child of a fork inside another library's handler, come back here. */
static void forget_number(void) {
  if (fork_is_prepared()) return;
  process_mark();
  exchange_note(self(), 0);
}

static void note_number(void) {
  if (fork_is_prepared()) return;
  forget_number();
  uint32_t version = version_now();
  uint64_t number = give_number(version);
  atomic_store_explicit(&identity_of(version)->process, os_process(), memory_order_relaxed);
  struct note *note = exchange_note(0, self());
  if (note != NULL) note->number = number;
}

/* In a new process.  A thread that was started here knows its note where it is the only one; it may have the place of a
 * thread of the parent's. */
static const struct note *own_note(void) {
  const struct note *mine = NULL, *any = NULL;
  unsigned count = 0;
  for (unsigned i = 0; i < NOTES; i++) {
    const struct note *note = &process()->notes[i];
    uintptr_t thread = atomic_load(&note->thread);
    if (thread == 0) continue;
    if (thread == self()) mine = note;
    any = note;
    count++;
  }
  return count == 0 || os_is_first_thread() ? mine : count == 1 ? any : NULL;
}

/* The number of this process that the one before `version` has noted; 0: it has not, or a bypassing fork was between
 * them. */
static uint64_t number_noted(uint32_t version) {
  const struct note *note = own_note();
  uint64_t parent = atomic_load_explicit(&identity_of(version)->process, memory_order_relaxed);
  return note != NULL && os_may_be_child_of(parent) ? note->number : 0;
}

static void forget_notes(void) {
  for (unsigned i = 0; i < NOTES; i++) atomic_store_explicit(&process()->notes[i].thread, 0, memory_order_relaxed);
}

/* ---- Identities ---- */

/* Under the lock or in the child of a fork: the identity that is not in force, to be written and then put there. */
static struct identity *next_identity(uint32_t version, uint64_t generation) {
  struct identity *next = identity_of(version + 1);
  next->generation = generation;
  next->process = atomic_load(&process()->wiped) ? 0 : os_process();
  return next;
}

/* Notes that an identity is this process's.  Before it is in force: a signal handler that looks afterwards, with the
 * mark still 0, must not take it for the parent's. */
static void note_own(uint32_t version) {
  atomic_store_explicit(&transient()->version, (uint64_t)version + 1, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
}

/*
 * By one exchange: a fork or a signal handler before it sees the old identity, begins anew and writes the same
 * bytes; whoever comes second changes nothing.
 */
static void put_in_force(uint32_t version) {
  note_own(version + 1);
  atomic_compare_exchange_strong_explicit(&process()->version, &version, version + 1, memory_order_release,
                                          memory_order_relaxed);
}

/*
 * The highest number that has been taken, in the parent, by this and the outer forks of this thread.  The process that
 * is made in the middle of them may go on to make them too, and their children have these numbers then.
 */
static uint64_t numbers_taken(const struct frame *frame) {
  uint64_t highest = 0;
  for (; frame != NULL; frame = frame->outer)
    if (frame->number > highest) highest = frame->number;
  return highest;
}

/* Makes this process the child of the one that `version` was in force in: of its fork under way, unless it `bypassed`.
 */
static void become_child(uint32_t version, bool bypassed) {
  const struct identity *from = identity_of(version);
  struct identity *to = next_identity(version, from->generation + 1);
  const struct frame *frame = atfork_thread.frame;
  uint64_t number = fork_is_prepared() ? frame->number : number_noted(version);
  bypassed |= number == 0;
  to->first = frame == NULL ? 0 : numbers_taken(frame->outer);
  to->length =
      (uint32_t)lineage_of_child(to->lineage, from->lineage, from->length, bypassed, bypassed ? os_process() : number);
  forget_notes();
  put_in_force(version);
}

/* Release pairs with the acquire in process_mark(). */
static uint64_t set_mark(void) {
  uint64_t mark = identity()->generation + 1;
  if (atomic_load(&process()->wiped)) atomic_store_explicit(&transient()->mark, mark, memory_order_release);
  return mark;
}

/*
 * Without wiping: clears what the parent left.  One thread does, under the complement of its pid, and the
 * others wait for it, but not for ever: it may be this thread, interrupted.  Clearing twice does no harm.
 */
static void claim_transient(void) {
  enum { PATIENCE = 100 };
  struct transient *t = transient();
  uint64_t here = os_process();
  for (unsigned attempt = 0;; attempt++) {
    uint64_t of = atomic_load(&t->process);
    if (of == here) return;
    if (of == ~here && attempt < PATIENCE) {
      os_back_off(attempt);
      continue;
    }
    if (!atomic_compare_exchange_strong(&t->process, &of, ~here)) continue;
    atomic_store(&t->owner, 0);
    atomic_store(&t->settled, false);
    atomic_store(&t->adopted, false);
    atomic_store(&t->process, here);
    return;
  }
}

/* Whether the identity of that version is this process's. */
static bool is_own(uint32_t version) {
  if (atomic_load(&process()->wiped)) return atomic_load(&transient()->version) == (uint64_t)version + 1;
  return identity_of(version)->process == os_process();
}

/*
 * Under the lock; the mark.  Again when the page is found wiped: a signal handler has forked in the middle, and this is
 * its child, which must not take what was found out for its own.
 */
static uint64_t look(void) {
  struct transient *t = transient();
  for (bool again = false;; again = true) {
    lock_inherit();
    atomic_store_explicit(&t->looking, true, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    uint32_t version = atomic_load(&process()->version);
    bool is_child = !is_own(version);
    if (!atomic_load_explicit(&t->looking, memory_order_relaxed)) continue;
    if (is_child) become_child(version, again);
    uint64_t mark = set_mark();
    atomic_signal_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&t->looking, memory_order_relaxed)) return mark;
    atomic_store(&t->version, 0);
    atomic_store(&t->mark, 0);
  }
}

/* ---- The load ---- */

static void map_transient(void) {
  size_t size = os_page_size();
  struct transient *page = os_map(size);
  if (page == NULL) return;
  if (os_wipe_on_fork(page, size)) {
    atomic_store(&process()->wiped, true);
    atomic_store_explicit(&atfork_transient, page, memory_order_release);
  } else {
    os_unmap(page, size);
  }
}

/*
 * A child that is forked before anybody has called the library finds its place all the same: who the root is stands
 * there, and forks are numbered.  Before all constructors of a program that has the library in it; one that comes
 * before this nevertheless, and calls the library, does it, in the program's only thread.
 *
 * Without memory the page is not wiped, or the children of such forks are named by their pids.
 */
__attribute__((constructor(101))) static void get_ready(void) {
  if (process()->ready) return;
  process()->ready = true;
  map_transient();
  process()->identity[0].process = os_process();
  note_own(0);
  set_mark();
  os_handle_forks(note_number, forget_number, NULL);
}

uint64_t process_look(void) {
  get_ready();
  if (!atomic_load(&process()->wiped)) {
    if (identity()->process == os_process()) return identity()->generation + 1;
    claim_transient();
  }
  lock_inherit();
  bool nested = lock_enter();
  uint64_t mark = look();
  lock_leave(nested);
  return mark;
}

const uint64_t *process_mark_address(void) {
  process_mark();
  return (const uint64_t *)&transient()->mark;
}

/* Noted before the mark is compared: in a child that a handler makes before, this does it again, and one that is
 * made after finds it among those taken. */
void process_number_child(uint64_t *number) {
  uint64_t mark;
  do {
    mark = process_mark();
    *number = give_number(version_now());
    atomic_signal_fence(memory_order_seq_cst);
  } while (process_mark() != mark);
}

/* As snprintf() does. */
static size_t show(char *buf, size_t size, const char *text, size_t length) {
  size_t shown = length < size ? length : size - 1;
  if (size > 0) {
    memcpy(buf, text, shown);
    buf[shown] = '\0';
  }
  return length;
}

/* A handler that forks in the middle of these leaves its child a new identity, and perhaps in the place of the one that
 * was in force: then once more. */
size_t process_lineage(char *buf, size_t size) {
  for (;;) {
    uint32_t version = version_now();
    const struct identity *in_force = identity_of(version);
    size_t length = show(buf, size, in_force->lineage, in_force->length);
    if (version_now() == version) return length;
  }
}

uint64_t process_seed(uint64_t base) {
  for (;;) {
    uint32_t version = version_now();
    const struct identity *in_force = identity_of(version);
    uint64_t seed = lineage_hash(base, in_force->lineage, in_force->length);
    if (version_now() == version) return seed;
  }
}

/* A number is taken only for a token that its caller has got whole. */
size_t process_token(char *buf, size_t size) {
  for (;;) {
    char lineage[LINEAGE_MAX], token[TOKEN_MAX];
    uint64_t mark = process_mark();
    uint32_t version = version_now();
    struct identity *in_force = identity_of(version);
    uint64_t children = atomic_load_explicit(&in_force->children, memory_order_relaxed);
    uint64_t count = count_of(children, version) + 1;
    size_t length = lineage_of_child(lineage, in_force->lineage, in_force->length, false, in_force->first + count);
    length = token_write(token, in_force->generation + 1, lineage, length);
    if (length < size &&
        !atomic_compare_exchange_strong_explicit(&in_force->children, &children, with_version(count, version),
                                                 memory_order_relaxed, memory_order_relaxed))
      continue;
    /* Afterwards: until then it may be another process's number. */
    if (process_mark() == mark) return show(buf, size, token, length);
  }
}

/* The numbers of children go on where they are, as some may have been given already. */
static void become_spawned(uint32_t version, const struct token *token) {
  const struct identity *from = identity_of(version);
  struct identity *to = next_identity(version, token->generation);
  to->first = from->first + count_of(atomic_load_explicit(&from->children, memory_order_relaxed), version);
  memcpy(to->lineage, token->lineage, token->length);
  to->length = (uint32_t)token->length;
  put_in_force(version);
}

int process_spawned(const char *text) {
  struct token token;
  bool is_good = text != NULL && token_read(text, &token);
  bool nested = lock_enter();
  uint32_t version = atomic_load(&process()->version);
  bool is_root = identity_of(version)->generation == 0;
  if (is_root && is_good) {
    become_spawned(version, &token);
    set_mark();
  }
  lock_leave(nested);
  return !is_root ? EALREADY : !is_good ? EINVAL : 0;
}
