/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "frame.h"
#include "launcher.h"
#include "lock.h"
#include "os.h"
#include "run.h"
#include "sha256.h"
#include "state.h"
#include "thread.h"
#include "token.h"
#include "tree.h"

_Static_assert(sizeof(_Atomic uint64_t) == sizeof(uint64_t), "callers read the mark as a uint64_t");

_Thread_local struct thread atfork_thread;

/* Used until the library is ready, and for good if the kernel maps or wipes no page.  It is not wiped: then pids are
 * compared. */
static struct transient unmapped;
struct transient *_Atomic atfork_transient = &unmapped;

/* Whether the kernel wipes the transient page at a fork. */
static bool is_wiped(void) {
  return transient() != &unmapped;
}

static uintptr_t this_thread(void) {
  return (uintptr_t)&atfork_thread;
}

static struct process *process(void) {
  return &atfork_state.process;
}

/* ---- Identities ---- */

/*
 * `self` points to the identity of this process.  It is 0 in a new process; then the address of an identity that is
 * being made, with this bit set; then the address.  Each attempt takes another identity, and ends by an exchange.  If a
 * signal handler forks in the middle, its child goes on making the parent's identity when the handler returns there,
 * and the exchange fails.
 */
static const uintptr_t being_made = 1;

/* Acquire pairs with the exchange that ends the making. */
static uintptr_t self_now(void) {
  return atomic_load_explicit(&transient()->self, memory_order_acquire);
}

static bool exchange_self(uintptr_t before, uintptr_t after) {
  return atomic_compare_exchange_strong(&transient()->self, &before, after);
}

/* NULL if this process has not looked yet.  Where pages are not wiped, `self` may be the parent's. */
static struct identity *identity_of(uintptr_t self) {
  struct identity *identity = (self & being_made) != 0 ? NULL : (struct identity *)self;
  if (identity == NULL || is_wiped()) return identity;
  return atomic_load_explicit(&identity->process, memory_order_relaxed) == atfork_os_process() ? identity : NULL;
}

static struct identity *identity(void) {
  struct identity *own;
  while ((own = identity_of(self_now())) == NULL) atfork_process_look();
  return own;
}

/* The identity of this process, or, before its first look, of the closest ancestor that has looked. */
static struct identity *latest(void) {
  return atomic_load_explicit(&process()->latest, memory_order_acquire);
}

/* An identity that is neither `latest` nor busy, as an interrupted look may go on writing a busy one.  If there is
 * none, a busy one: perhaps no handler returns to its look. */
static struct identity *take_identity(void) {
  struct identity *const all = process()->identity;
  size_t before = (size_t)(latest() - all);
  struct identity *taken = NULL;
  for (unsigned i = 1; i < IDENTITIES; i++) {
    taken = &all[(before + i) % IDENTITIES];
    if (!atomic_exchange(&taken->busy, true)) break;
  }
  return taken;
}

static uint64_t give_number(struct identity *parent) {
  return atomic_fetch_add_explicit(&parent->children, 1, memory_order_relaxed) + 1;
}

/* ---- Forks before the first call ---- */

/*
 * Before the first call the handlers of fork.c do not run.  A small `prepare` notes the number of the child; nothing
 * runs in the child, whose first look finds the note.  The notes lie in the page that the parent writes anyway.
 */

/* Whether fork.c numbers the fork of this thread. */
static bool fork_is_prepared(void) {
  const struct frame *frame = atfork_frame_innermost();
  return frame != NULL && frame->number != 0;
}

/* Exchanges the thread of a note from `thread` to `by`.  NULL if no note has `thread`. */
static struct note *exchange_note(uintptr_t thread, uintptr_t by) {
  for (unsigned i = 0; i < NOTES; i++) {
    struct note *note = &process()->notes[i];
    uintptr_t expected = thread;
    if (atomic_compare_exchange_strong(&note->thread, &expected, by)) return note;
  }
  return NULL;
}

/* Looks before it clears the note: this may be a child that another library's handler has forked, which has returned
 * here. */
static void forget_number(void) {
  if (fork_is_prepared()) return;
  process_mark();
  exchange_note(this_thread(), 0);
}

static void note_number(void) {
  if (fork_is_prepared()) return;
  forget_number();
  struct identity *own = identity();
  uint64_t number = give_number(own);
  atomic_store_explicit(&own->process, atfork_os_process(), memory_order_relaxed);
  struct note *note = exchange_note(0, this_thread());
  if (note != NULL) note->number = number;
}

/* For a first look: the note of the forking thread, which is the first thread of this process.  Another thread takes
 * the note only if it is the only one: its struct thread may lie where that of a thread of the parent lay. */
static const struct note *own_note(void) {
  const struct note *mine = NULL, *any = NULL;
  unsigned count = 0;
  for (unsigned i = 0; i < NOTES; i++) {
    const struct note *note = &process()->notes[i];
    uintptr_t thread = atomic_load(&note->thread);
    if (thread == 0) continue;
    if (thread == this_thread()) mine = note;
    any = note;
    count++;
  }
  return count == 0 || atfork_os_thread() == atfork_os_process() ? mine : count == 1 ? any : NULL;
}

/* The number that the parent, `from`, has noted for this process; 0 if there is none, or if a bypassing fork came in
 * between. */
static uint64_t number_noted(const struct identity *from) {
  const struct note *note = own_note();
  uint64_t parent = atomic_load_explicit(&from->process, memory_order_relaxed);
  return note != NULL && atfork_os_may_be_child_of(parent) ? note->number : 0;
}

static void forget_notes(void) {
  for (unsigned i = 0; i < NOTES; i++) atomic_store_explicit(&process()->notes[i].thread, 0, memory_order_relaxed);
}

/* ---- Making an identity ---- */

/*
 * The highest number that this fork and the forks around it have taken in the parent.  A process that was made in the
 * middle of these forks may return into them and complete them too; then their children have these numbers.
 */
static uint64_t numbers_taken(const struct frame *frame) {
  uint64_t highest = 0;
  for (; frame != NULL; frame = frame->outer)
    if (frame->number > highest) highest = frame->number;
  return highest;
}

static void write_lineage(struct identity *to, const struct identity *from, bool by_pid, uint64_t number) {
  to->length = (uint32_t)atfork_lineage_of_child(to->lineage, from->lineage, from->length, by_pid, number);
}

/*
 * One ticket for all looks of this process: a signal handler may look in the middle of a look that has taken a lineage,
 * and must find that the lineage is its own.  If a handler forks in the middle of drawing, its child finds 0 in its own
 * page, and draws for itself.
 */
static uint64_t ticket(void) {
  static const uint64_t being_drawn = 1;
  _Atomic uint64_t *own = &transient()->ticket;
  uint64_t before;
  while ((before = atomic_load(own)) <= being_drawn)
    atomic_compare_exchange_strong(own, &before, before == 0 ? being_drawn : atfork_tree_draw());
  return before;
}

/* Names this child of `from` by the number in its fork's frame, or by a note.  False if there is neither, or if the
 * name is taken: a child that the child makes by a bypassing fork, before any look, finds the same note. */
static bool name_by_number(struct identity *to, const struct identity *from) {
  bool is_prepared = fork_is_prepared();
  uint64_t number = is_prepared ? atfork_frame_innermost()->number : number_noted(from);
  if (number == 0) return false;
  write_lineage(to, from, false, number);
  return is_prepared || atfork_tree_take(atfork_lineage_hash(0, to->lineage, to->length), ticket());
}

/* Writes the identity of this child of `from`; `bypassed`: of a bypassing fork, whatever the frames say. */
static void write_child(struct identity *to, const struct identity *from, bool bypassed) {
  const struct frame *frame = atfork_frame_innermost();
  bypassed = bypassed || !name_by_number(to, from);
  uint64_t here = bypassed || !is_wiped() ? atfork_os_process() : 0;
  to->generation = from->generation + 1;
  to->run = from->run;
  to->place = from->place == ATFORK_UNKNOWN ? ATFORK_UNKNOWN : ATFORK_FORKED;
  atomic_store_explicit(&to->process, here, memory_order_relaxed);
  atomic_store_explicit(&to->children, frame == NULL ? 0 : numbers_taken(frame->outer), memory_order_relaxed);
  if (bypassed) write_lineage(to, from, true, atfork_tree_number(here));
}

/* Makes this process, whose `self` is not an identity yet, a child of `latest`.  The notes stay until the exchange, as
 * a signal handler that looks before it needs them. */
static void become_child(uintptr_t before, bool bypassed) {
  struct identity *to = take_identity();
  if (exchange_self(before, (uintptr_t)to | being_made)) write_child(to, latest(), bypassed);
  if (exchange_self((uintptr_t)to | being_made, (uintptr_t)to)) forget_notes();
  atomic_store(&to->busy, false);
}

/*
 * Points `latest` to this process's identity, and sets the mark.  False in a child that a signal handler has forked in
 * the middle, which must look again.  The child's identity may lie where its grandparent's lay, so the mark is
 * compared, too.
 *
 * Reads `latest` before `self`.  A child that returns after these reads finds that `latest` has changed; or it has not
 * looked yet, and then `latest` is its parent's identity, as here.
 */
static bool establish(struct identity *own) {
  struct identity *before = latest();
  uint64_t mark = own->generation + 1;
  atomic_signal_fence(memory_order_seq_cst);
  if (identity_of(self_now()) != own) return false;
  if (before != own) atomic_compare_exchange_strong(&process()->latest, &before, own);
  /* Release pairs with the acquire in process_mark(). */
  if (is_wiped()) atomic_store_explicit(&transient()->mark, mark, memory_order_release);
  atomic_signal_fence(memory_order_seq_cst);
  if (identity_of(self_now()) == own && own->generation + 1 == mark) return true;
  atomic_store(&transient()->mark, 0);
  return false;
}

/*
 * Where pages are not wiped: clears the parent's transient state.  One thread claims this by the complement of its pid.
 * Other threads wait for it, but not for ever, as a signal handler may have interrupted it in this thread.  Clearing
 * twice does no harm.
 */
static void claim_transient(void) {
  enum { PATIENCE = 100 };
  struct transient *t = transient();
  uint64_t here = atfork_os_process();
  for (unsigned attempt = 0;; attempt++) {
    uint64_t of = atomic_load(&t->process);
    if (of == here) return;
    if (of == ~here && attempt < PATIENCE) {
      atfork_os_back_off(attempt);
      continue;
    }
    if (!atomic_compare_exchange_strong(&t->process, &of, ~here)) continue;
    atomic_store(&t->owner, 0);
    atomic_store(&t->settled, 0);
    atomic_store(&t->ticket, 0);
    atomic_store(&t->process, here);
    return;
  }
}

void atfork_process_forget_parent(void) {
  atomic_store(&transient()->process, 0);
  atomic_store(&transient()->self, 0);
}

/* The `child` handler of forks before the first call, where pids are compared.  If another library's handler has looked
 * before, there is no note any more, and nothing to do. */
static void be_noted(void) {
  if (!fork_is_prepared() && own_note() != NULL) atfork_process_forget_parent();
}

/* The first look, under the lock; returns the mark.  If it starts again, this may be a child that a signal handler has
 * forked in the middle: it must not use the number that its parent has found, so it counts as bypassing. */
static uint64_t look(void) {
  for (bool again = false;; again = true) {
    atfork_lock_inherit();
    uintptr_t self = self_now();
    struct identity *own = identity_of(self);
    if (own == NULL)
      become_child(self, again);
    else if (establish(own))
      return own->generation + 1;
  }
}

/* ---- The load ---- */

static void map_transient(void) {
  size_t size = atfork_os_page_size();
  struct transient *page = atfork_os_map(size);
  if (page == NULL) return;
  if (atfork_os_wipe_on_fork(page, size))
    atomic_store_explicit(&atfork_transient, page, memory_order_release);
  else
    atfork_os_unmap(page, size);
}

/* If there is no memory for the page, pids are compared. */
void atfork_process_loaded(void) {
  map_transient();
  atfork_tree_loaded();
  latest()->run = atfork_run_first();
  latest()->place = atfork_os_is_forked_by_alike() ? ATFORK_UNKNOWN : ATFORK_ROOT;
  atomic_store(&latest()->process, atfork_os_process());
  exchange_self(0, (uintptr_t)latest());
  establish(latest());
}

/* If there is no memory for the handlers, the children of such forks are named by their pids.  The `child` handler is
 * for a child that has its parent's pid. */
void atfork_process_number_forks(void) {
  atfork_os_handle_forks(note_number, forget_number, is_wiped() ? NULL : be_noted);
}

uint64_t atfork_process_look(void) {
  if (!is_wiped()) {
    const struct identity *own = identity_of(self_now());
    if (own != NULL) return own->generation + 1;
    claim_transient();
  }
  atfork_lock_inherit();
  bool nested = atfork_lock_enter();
  uint64_t mark = look();
  atfork_lock_leave(nested);
  return mark;
}

const uint64_t *atfork_process_mark_address(void) {
  process_mark();
  return (const uint64_t *)&transient()->mark;
}

/* Stores the number before it compares the marks.  If a signal handler forks before the store, the child takes a number
 * of its own in the next turn.  If it forks after the store, the child finds the number in the frame. */
void atfork_process_number_child(struct frame *fork) {
  uint64_t mark;
  do {
    mark = process_mark();
    fork->number = give_number(identity());
    fork->mark = (uint32_t)mark;
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

/* ---- Questions about this process ---- */

struct question {
  uint64_t base;
  void *buf;
  size_t size;
};

/* Asks again if a signal handler has forked in the middle, and this is the child.  Compares marks, as no two processes
 * of a line have the same mark, while identities are reused. */
static uint64_t ask(uint64_t (*answer)(const struct identity *own, const struct question *question),
                    const struct question *question) {
  uint64_t mark, answered;
  do {
    mark = process_mark();
    answered = answer(identity(), question);
  } while (process_mark() != mark);
  return answered;
}

static uint64_t answer_lineage(const struct identity *own, const struct question *question) {
  return show(question->buf, question->size, own->lineage, own->length);
}

size_t atfork_process_lineage(char *buf, size_t size) {
  return (size_t)ask(answer_lineage, &(struct question){.buf = buf, .size = size});
}

static uint64_t answer_place(const struct identity *own, const struct question *question) {
  (void)question;
  return own->place;
}

enum atfork_place atfork_process_place(void) {
  return (enum atfork_place)ask(answer_place, NULL);
}

static uint64_t answer_run(const struct identity *own, const struct question *question) {
  (void)question;
  return own->run;
}

uint64_t atfork_process_run(void) {
  return ask(answer_run, NULL);
}

static uint64_t answer_seed(const struct identity *own, const struct question *question) {
  return atfork_lineage_hash(question->base, own->lineage, own->length);
}

uint64_t atfork_process_seed(uint64_t base) {
  return ask(answer_seed, &(struct question){.base = base});
}

/* MGF1 with a seed of three parts: a name for this use, the base, and the lineage. */
static uint64_t answer_bytes(const struct identity *own, const struct question *question) {
  static const char use[] = "atfork1:seed:";
  enum { USE = sizeof use - 1, BASE = 8, COUNTER = 4 };
  uint8_t seed[USE + BASE + LINEAGE_MAX + COUNTER];
  memcpy(seed, use, USE);
  for (unsigned i = 0; i < BASE; i++) seed[USE + i] = (uint8_t)(question->base >> (8 * i));
  memcpy(seed + USE + BASE, own->lineage, own->length);
  atfork_mgf1(question->buf, question->size, seed, USE + BASE + own->length);
  return 0;
}

void atfork_process_seed_bytes(uint64_t base, uint8_t *buf, size_t size) {
  ask(answer_bytes, &(struct question){base, buf, size});
}

/* ---- Tokens ---- */

/* Takes a number only if the whole token fits. */
size_t atfork_process_token(char *buf, size_t size) {
  for (;;) {
    char token[TOKEN_MAX];
    uint64_t mark = process_mark();
    struct identity *own = identity();
    uint64_t children = atomic_load_explicit(&own->children, memory_order_relaxed);
    struct token place = {own->run, own->generation, own->lineage, own->length};
    size_t length = atfork_token_write_child(token, &place, children + 1);
    if (length < size && !atomic_compare_exchange_strong_explicit(&own->children, &children, children + 1,
                                                                  memory_order_relaxed, memory_order_relaxed))
      continue;
    /* Compared last: if a signal handler forks before this, its child must take a number of its own. */
    if (process_mark() == mark) return show(buf, size, token, length);
  }
}

int atfork_process_child_token(const char *text, uint64_t number, char *buf, size_t size, size_t *length) {
  char token[TOKEN_MAX];
  struct token parent;
  if (number == 0 || text == NULL || !atfork_token_read(text, &parent)) return EINVAL;
  if (parent.generation == TOKEN_DEEPEST) return EINVAL;
  *length = atfork_token_write_child(token, &parent, number);
  show(buf, size, token, *length);
  return 0;
}

/* ---- Taking a place ---- */

/* Keeps the count of children, as some numbers may have been taken already. */
static void write_placed(struct identity *to, struct identity *from, const struct token *token,
                         enum atfork_place place) {
  to->generation = token->generation;
  to->run = token->run;
  to->place = (unsigned char)place;
  atomic_store_explicit(&to->process, atomic_load(&from->process), memory_order_relaxed);
  atomic_store_explicit(&to->children, atomic_load(&from->children), memory_order_relaxed);
  memcpy(to->lineage, token->lineage, token->length);
  to->length = (uint32_t)token->length;
}

/* Takes an identity first: a child that returns here after a look has taken another one, and is no root.  The exchange
 * fails if a signal handler has taken a place meanwhile, or has forked and this is the child: both get EALREADY. */
static int take_place(const struct token *token, enum atfork_place place, int error) {
  bool nested = atfork_lock_enter();
  struct identity *to = take_identity(), *own = identity();
  bool is_root = own->generation == 0;
  if (is_root && error == 0) {
    write_placed(to, own, token, place);
    is_root = exchange_self((uintptr_t)own, (uintptr_t)to);
    look();
  }
  atomic_store(&to->busy, false);
  atfork_lock_leave(nested);
  return is_root ? error : EALREADY;
}

int atfork_process_spawned(const char *text) {
  struct token token = {.length = 0};
  int error = text != NULL && atfork_token_read(text, &token) ? 0 : EINVAL;
  return take_place(&token, ATFORK_SPAWNED, error);
}

/* The run that all processes of the job share: from the environment, or a digest of the job's name. */
static uint64_t run_of_job(void) {
  uint64_t run;
  return atfork_run_given(&run) || atfork_launcher_job(&run) ? run : atfork_process_run();
}

int atfork_process_adopt(const char *text) {
  uint64_t rank = 0;
  int error = text == NULL ? atfork_launcher_rank(&rank) : atfork_launcher_number(text, &rank) ? 0 : EINVAL;
  char lineage[LINEAGE_MAX];
  size_t length = atfork_lineage_of_rank(lineage, rank);
  struct token token = {.run = run_of_job(), .generation = 1, .lineage = lineage, .length = length};
  return take_place(&token, ATFORK_ADOPTED, error);
}
