/* SPDX-License-Identifier: MIT */
#include "fork.h"

#include <errno.h>
#include <limits.h>

#include "lock.h"
#include "os.h"
#include "probes.h"
#include "process.h"
#include "registry.h"
#include "sequence.h"
#include "thread.h"
#include "transient.h"
#include "walk.h"

static struct forks *forks(void) {
  return &atfork_state.forks;
}

/* ---- Walks ---- */

/* This may be the child of a signal handler that forked during the wait: atfork_fork_enter() then frees the frames of
 * lost threads, and the wait ends. */
static void wait_on(struct waiting *waiting) {
  atfork_waiting_tell(waiting);
  atfork_fork_enter();
}

void atfork_fork_wait(uint64_t added, uint64_t retired, struct waiting *waiting) {
  while (!atfork_frame_wait(added, retired)) wait_on(waiting);
}

void atfork_fork_wait_for_burial(void *dso, struct waiting *waiting) {
  while (!atfork_frame_wait_for_burial(dso)) wait_on(waiting);
}

void atfork_fork_end(struct frame *walk) {
  struct grave grave = {0};
  uint64_t sequence = sequence_now();
  bool has_retired = atfork_frame_innermost() != NULL && registry_has_retired();
  bool is_here = atfork_frame_over(walk);
  /* A hook was retired since the look above, by a signal handler or by a thread that saw this walk not yet over.  Do
   * not ask the table again: it may have been unmapped. */
  if (sequence_now() != sequence) has_retired = true;
  while (is_here && has_retired && atfork_registry_bury_due(grave.id, walk, &grave))
    if (grave.destroy != NULL) grave.destroy(grave.data);
  atfork_frame_end(walk);
  atfork_registry_collect();
}

/* ---- Phases ---- */

static bool __attribute__((cold)) is_another(uint64_t mark) {
  return process_mark() != mark;
}

/* Whether this process is another one than that of `mark`.  `at` is the address of the mark.  One load, except where
 * pages are not wiped. */
static inline bool is_over(const _Atomic uint64_t *at, uint64_t mark) {
  return atomic_load_explicit(at, memory_order_relaxed) != mark && is_another(mark);
}

static bool callbacks_are_probed(void) {
  return PROBE_IS_ON(callback) | PROBE_IS_ON(callback_end);
}

/* Calls a callback.  Returns the answer of a try_callback, else 0. */
static int call_hook(enum phase phase, atfork_id id, const struct contents *hook) {
  const callback call = hook->callbacks[phase];
  int answer = 0;
  PROBE(callback, phase, id, hook->detail->name, call, hook->data);
  if (phase == PREPARE && hook->detail->refuses)
    answer = ((try_callback)(any_callback)call)(hook->data);
  else
    call(hook->data);
  PROBE(callback_end, phase, id, answer);
  return answer;
}

static int __attribute__((cold, noinline)) call_probed(const struct walk *walk, size_t i) {
  struct contents hook;
  atfork_walk_read(walk, i, &hook);
  return call_hook(walk->phase, atfork_walk_id(walk, i), &hook);
}

/* The loop of run_children() while a tracer uses the probes; with a mark of 0, that of run_parents(). */
static size_t __attribute__((cold, noinline)) run_probed(const struct walk *walk, size_t i, uint64_t mark) {
  size_t count = 0;
  for (; i < walk->end; i++) {
    callback call = atomic_load_explicit(&walk->callbacks[i], memory_order_relaxed);
    if (call == NULL || !atfork_walk_takes_part(walk, i)) continue;
    if (mark != 0 && is_over(&transient()->mark, mark)) break;
    call_probed(walk, i);
    count++;
  }
  return count;
}

/*
 * The loops over hooks copy the members of the walk that they need: no callback changes them, but the compiler cannot
 * know that.  They are unrolled four times, as a jump costs as much as a call.  Rare cases are in cold functions.
 */

/* Calls `parent` of the hooks in the walk's current block, from index `i` on. */
static void run_parents(const struct walk *walk, size_t i) {
  if (callbacks_are_probed()) {
    run_probed(walk, i, 0);
    return;
  }
  const _Atomic(callback) *const callbacks = walk->callbacks;
  void *const *const data = walk->data;
  const size_t end = walk->end;
  const bool sparse = walk->sparse;
#pragma GCC unroll 4
  for (; i < end; i++) {
    callback call = atomic_load_explicit(&callbacks[i], memory_order_relaxed);
    if (call == NULL || (sparse && !atfork_walk_takes_part(walk, i))) continue;
    call(data[i]);
  }
}

static void run_parent(const struct frame *frame) {
  struct walk walk;
  atfork_walk_begin(&walk, frame, PARENT);
  PROBE(parent, process_mark() - 1, registry_live());
  while (atfork_walk_forward(&walk)) run_parents(&walk, 0);
  PROBE(parent_end, process_mark() - 1);
}

/*
 * Calls `child` of the hooks in the walk's current block.  Returns how many.
 *
 * If a callback or a signal handler forks, the new process has a child phase of its own, with the same hooks.  When the
 * new process returns to this loop, the loop ends there.  After a bypassing fork its child phase is still pending;
 * run_child() runs it.
 *
 * Not inlined, so that everything it needs stays in registers.
 */
static size_t __attribute__((noinline)) run_children(const struct walk *walk, uint64_t mark) {
  if (callbacks_are_probed()) return run_probed(walk, 0, mark);
  const _Atomic uint64_t *const at = &transient()->mark;
  const _Atomic(callback) *const callbacks = walk->callbacks;
  void *const *const data = walk->data;
  const size_t end = walk->end;
  const bool sparse = walk->sparse;
  size_t count = 0;
#pragma GCC unroll 4
  for (size_t i = 0; i < end; i++) {
    callback call = atomic_load_explicit(&callbacks[i], memory_order_relaxed);
    if (call == NULL || (sparse && !atfork_walk_takes_part(walk, i))) continue;
    if (is_over(at, mark)) break;
    call(data[i]);
    count++;
  }
  return count;
}

/* Calls `child` of the hooks that were registered before this process was made.  Returns how many.  If this is by now
 * the child of a bypassing fork, and hooks are retired, it runs that child's pending phase at once: a later phase would
 * skip the retired hooks, which only this walk still sees. */
static int run_child(struct walk *walk, uint64_t mark) {
  size_t count = 0;
  PROBE(child, mark - 1, registry_live());
  while (atfork_walk_forward(walk)) count += run_children(walk, mark);
  PROBE(child_end, mark - 1, count);
  if (is_over(&transient()->mark, mark) && registry_has_retired()) atfork_fork_catch_up();
  return count > INT_MAX ? INT_MAX : (int)count;
}

/*
 * Claims the child phase of this process; false if it has been claimed before.  Marks grow from process to process.  So
 * a larger mark in `dispatched` is that of a child of this process: a signal handler forked here, and the child has run
 * its phase.
 */
static bool claim_child_phase(uint64_t mark) {
  uint64_t dispatched = atomic_load(&forks()->dispatched);
  return dispatched < mark && atomic_compare_exchange_strong(&forks()->dispatched, &dispatched, mark);
}

/* ---- Preparing ---- */

/* One attempt to prepare all hooks. */
struct attempt {
  struct walk walk;
  atfork_id kept; /* the hook that its `wait` has prepared already; 0: none */
  /* The hook that says "not now". */
  size_t at; /* its index in the walk's current block */
  int answer;
  atfork_id id;
  const struct detail *detail;
};

static void run_parent_of(const struct walk *walk, atfork_id id) {
  struct contents hook;
  if (atfork_walk_find(walk, id, PARENT, &hook)) call_hook(PARENT, id, &hook);
}

/* Calls `parent` of the hooks that were prepared: those after the hook that refuses, and the kept one. */
static void take_back(const struct attempt *attempt) {
  struct walk walk = attempt->walk;
  if (attempt->kept != 0 && attempt->kept < attempt->id) run_parent_of(&walk, attempt->kept);
  atfork_walk_go_on(&walk, PARENT);
  run_parents(&walk, attempt->at + 1);
  while (atfork_walk_forward(&walk)) run_parents(&walk, 0);
}

/* Prepares one hook of a block in which hooks may take no part in this fork, or may refuse.  Returns 0, or the answer
 * of a try_prepare that refuses. */
static int __attribute__((cold)) prepare_carefully(const struct attempt *attempt, size_t i, callback call) {
  const struct walk *walk = &attempt->walk;
  if (walk->sparse && !atfork_walk_takes_part(walk, i)) return 0;
  const bool refuses = walk->refuses && atfork_walk_refuses(walk, i);
  if (refuses && atfork_walk_id(walk, i) == attempt->kept) return 0;
  if (refuses) atfork_thread.locked = NULL;
  if (callbacks_are_probed()) return call_probed(walk, i);
  if (refuses) return ((try_callback)(any_callback)call)(walk->data[i]);
  call(walk->data[i]);
  return 0;
}

/* Calls `prepare` or `try_prepare` of the hooks in the walk's current block, from the last to the first.  False if one
 * says "not now". */
static bool run_prepares(struct attempt *attempt) {
  const struct walk *const walk = &attempt->walk;
  const _Atomic(callback) *const callbacks = walk->callbacks;
  void *const *const data = walk->data;
  const bool careful = walk->sparse || walk->refuses || callbacks_are_probed();
#pragma GCC unroll 4
  for (size_t i = walk->end; i-- > 0;) {
    callback call = atomic_load_explicit(&callbacks[i], memory_order_relaxed);
    if (call == NULL) continue;
    if (!careful) {
      call(data[i]);
    } else if ((attempt->answer = prepare_carefully(attempt, i, call)) != 0) {
      attempt->at = i;
      return false;
    }
  }
  return true;
}

static bool try_to_prepare(const struct frame *frame, struct attempt *attempt) {
  atfork_walk_end(&attempt->walk, frame, PREPARE);
  while (atfork_walk_backward(&attempt->walk)) {
    if (run_prepares(attempt)) continue;
    /* Before take_back(), whose callbacks may unload the hook. */
    attempt->id = atfork_walk_id(&attempt->walk, attempt->at);
    attempt->detail = atfork_walk_detail(&attempt->walk, attempt->at);
    take_back(attempt);
    return false;
  }
  return true;
}

/* Writes what is known about the reason for a "not now". */
static void explain(struct waiting *waiting, int answer) {
  if (atfork_thread.locked == NULL) {
    waiting->why = answer > 0 ? "its try_prepare says \"not now\", by" : "its try_prepare says \"not now\", by minus";
    waiting->number = answer > 0 ? (uint64_t)answer : -(uint64_t)answer;
    return;
  }
  waiting->number = atfork_os_mutex_owner(atfork_thread.locked);
  waiting->why = waiting->number == 0 ? "its mutex is locked" : "its mutex is locked by thread";
  if (waiting->number != atfork_os_thread()) return;
  waiting->why = "its mutex is locked by this thread itself";
  waiting->number = 0;
}

/*
 * Starts the prepare phase again.  The order matters, as any hook may be retired at any time: read the sequence first,
 * then look whether the kept hook is retired, and call its `parent` if so.  Its thread waits for this walk until the
 * walk begins anew.
 */
static void begin_anew(struct frame *frame, struct attempt *attempt) {
  bool has_waited = atomic_load(&frame->only) != 0;
  if (has_waited) atfork_frame_need_only(frame, 0);
  uint64_t sequence = sequence_now();
  attempt->kept = has_waited ? attempt->id : 0;
  if (has_waited && atfork_registry_is_retired(attempt->id)) {
    run_parent_of(&attempt->walk, attempt->id);
    attempt->kept = 0;
  }
  atfork_frame_begin_anew(frame, sequence);
}

/*
 * Nothing is prepared now, so the fork needs no other hook: another thread that has what the fork waits for may be
 * unregistering one.
 */
static void wait_by_hook(struct frame *frame, const struct attempt *attempt) {
  struct contents hook;
  if (!atfork_walk_find(&attempt->walk, attempt->id, PREPARE, &hook)) return;
  atfork_frame_need_only(frame, id_sequence(attempt->id));
  attempt->detail->wait(hook.data);
}

bool atfork_fork_gives_up(void) {
  struct frame *frame = atfork_frame_innermost();
  if (frame == NULL) return false;
  atfork_waiting_tell(atfork_thread.waiting);
  if (atfork_frame_sequence(frame) == sequence_now()) return false;
  atfork_frame_need_only(frame, 0);
  return true;
}

WAITING_NAMED void atfork_fork_waits_for_hook(const char *name, atfork_id id, int answer, struct frame *frame,
                                              const struct attempt *attempt, struct waiting *waiting, unsigned count) {
  struct waiting *outer = atfork_thread.waiting;
  waiting->name = name;
  waiting->id = id;
  explain(waiting, answer);
  atfork_thread.waiting = waiting;
  if (attempt->detail->wait != NULL)
    wait_by_hook(frame, attempt);
  else
    atfork_os_back_off(count);
  atfork_thread.waiting = outer;
  atfork_waiting_tell(waiting);
  WAITING_KEEP(name);
  WAITING_KEEP(id);
  WAITING_KEEP(answer);
}

static void prepare_all(struct frame *frame) {
  struct waiting waiting = {.who = "fork()", .what = "hook"};
  struct attempt attempt = {.kept = 0};
  for (unsigned count = 0; !try_to_prepare(frame, &attempt); count++) {
    PROBE(not_now, attempt.id, attempt.detail->name, attempt.answer);
    atfork_fork_waits_for_hook(attempt.detail->name, attempt.id, attempt.answer, frame, &attempt, &waiting, count);
    begin_anew(frame, &attempt);
  }
}

/* ---- A new process ---- */

/*
 * Once in a new process: repairs what lost threads of the parent were doing.  If a signal handler forked inside an
 * update of this thread, the update goes on in the child, and no lost thread was in one.  Then only the frames are
 * settled here; the retired hooks follow at the first call that is not nested, perhaps of another thread.  The frames
 * must be settled by the forking thread, as a thread knows only its own frames.
 */
enum settling { UNSETTLED, FRAMES_SETTLED, SETTLED };

static void settle(void) {
  bool nested = atfork_lock_enter();
  int settled = atomic_load(&transient()->settled);
  if (settled == UNSETTLED) atfork_frame_keep_own();
  if (settled != SETTLED && !nested) atfork_registry_adopt();
  if (settled != SETTLED)
    atomic_store_explicit(&transient()->settled, nested ? FRAMES_SETTLED : SETTLED, memory_order_release);
  atfork_lock_leave(nested);
}

/* Notices a bypassing fork.  Returns the mark of this process. */
static uint64_t look_around(void) {
  uint64_t mark = process_mark();
  if (atomic_load_explicit(&transient()->settled, memory_order_acquire) != SETTLED) settle();
  return mark;
}

/* ---- Handlers ---- */

/* The fork that this thread has prepared; NULL if the handlers were added in the middle of a fork. */
static struct frame *prepared(void) {
  struct frame *frame = atfork_frame_innermost();
  return frame != NULL && frame->number != 0 ? frame : NULL;
}

/* Whether an ordinary fork of this thread will run the child phase of this process. */
static bool child_phase_is_to_come(void) {
  for (const struct frame *frame = atfork_frame_innermost(); frame != NULL; frame = frame->outer)
    if (frame->number != 0) return true;
  return false;
}

/* If a thread forks while another thread adds our handlers, the child adds them again.  Then a fork calls `prepare`
 * twice from one place, with the same stack address.  A fork inside another handler has a lower stack address. */
static bool is_called_twice(const void *called_at) {
  struct frame *frame = prepared();
  if (frame == NULL || frame->called_at != called_at) return false;
  frame->repeats++;
  return true;
}

/* The fork that is over; NULL if the handlers will be called again for it.  The last call ends the fork: a call after
 * that would end the fork around this one. */
static struct frame *to_end(void) {
  struct frame *frame = prepared();
  if (frame == NULL || frame->repeats == 0) return frame;
  frame->repeats--;
  return NULL;
}

/* Writes only a changed value: the write could copy a page that the parent needs for nothing else. */
static void put_back(int *errno_at, int error) {
  if (*errno_at != error) *errno_at = error;
}

/* The handlers keep errno.  Only on_prepare() asks for its address: in the child the C library's answer could lie on a
 * page that the child needs for nothing else. */
static void on_prepare(void) {
  int error = errno;
  const void *called_at = __builtin_frame_address(0);
  if (is_called_twice(called_at)) return;
  atfork_fork_catch_up();
  struct frame *frame = atfork_frame_begin(false);
  PROBE(prepare, process_mark() - 1, registry_live());
  prepare_all(frame);
  frame->called_at = called_at;
  frame->repeats = 0;
  frame->errno_at = &errno;
  atfork_process_number_child(frame);
  PROBE(prepare_end, process_mark() - 1, frame->number);
  put_back(frame->errno_at, error);
}

static void on_parent(void) {
  struct frame *frame = to_end();
  if (frame == NULL) return;
  int *errno_at = frame->errno_at;
  int error = *errno_at;
  frame->number = 0;
  run_parent(frame);
  atfork_fork_end(frame);
  put_back(errno_at, error);
}

/* For a child with its parent's mark.  This happens where pids are compared, and both have the same pid. */
static uint64_t __attribute__((cold, noinline)) look_anew(void) {
  atfork_process_forget_parent();
  return look_around();
}

/* If another library's handler has called the library before, the process has an identity already. */
static void on_child(void) {
  struct frame *frame = to_end();
  if (frame == NULL) return;
  int *errno_at = frame->errno_at;
  int error = *errno_at;
  atomic_store_explicit(&transient()->touched, true, memory_order_relaxed);
  uint64_t mark = look_around();
  if ((uint32_t)mark == frame->mark) mark = look_anew();
  /* False in a process that another library's handler has forked before this handler: it has had its child phase. */
  bool claimed = claim_child_phase(mark);
  atomic_signal_fence(memory_order_seq_cst); /* a signal handler finds the fork prepared, or the phase claimed */
  frame->number = 0;
  struct walk walk;
  atfork_walk_begin(&walk, frame, CHILD);
  if (claimed) run_child(&walk, mark);
  atfork_fork_end(frame);
  put_back(errno_at, error);
}

/* ---- Being called by fork() ---- */

static bool is_handled(void) {
  return atomic_load_explicit(&forks()->handled, memory_order_acquire);
}

static void handle_forks(void) {
  bool nested = atfork_lock_enter();
  if (!nested && !is_handled() && atfork_os_handle_forks(on_prepare, on_parent, on_child) == 0)
    atomic_store(&forks()->handled, true);
  atfork_lock_leave(nested);
}

/* `updating`: a signal handler that has interrupted handle_forks() in its own thread, which will finish it. */
bool atfork_fork_is_handled(void) {
  return is_handled() || atfork_thread.updating;
}

uint64_t atfork_fork_enter(void) {
  uint64_t mark = look_around();
  if (!is_handled()) handle_forks();
  return mark;
}

/* ---- Bypassing forks, and workers that have taken a place, which are treated alike ---- */

/* A process of generation 0 has no child hooks due.  If an ordinary fork is about to call on_child(), it leaves them to
 * that. */
int atfork_fork_catch_up(void) {
  uint64_t mark = look_around();
  if (mark == 1 || atomic_load(&forks()->dispatched) >= mark || child_phase_is_to_come()) return 0;
  int error = errno;
  struct frame *frame = atfork_frame_begin(false);
  struct walk walk;
  atfork_walk_begin(&walk, frame, CHILD);
  atfork_walk_inherited(&walk, mark);
  int count = claim_child_phase(mark) ? run_child(&walk, mark) : 0;
  atfork_fork_end(frame);
  errno = error;
  return count;
}
