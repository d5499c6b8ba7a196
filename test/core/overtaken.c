/* SPDX-License-Identifier: MIT */
/*
 * Promise 9, between two threads: one comes to a certain instruction, and there waits until another has been through
 * the same.  Each is one of the exchanges that are lost to somebody else, which otherwise is a matter of luck.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"
#include "frame.h" /* the library's own, as are those that follow */
#include "registry.h"
#include "state.h"
#include "steps.h"
#include "table.h"
#include "thread.h"
#include "transient.h"

/* ---- Threads that wait ---- */

/* As in <linux/futex.h>. */
enum { WAIT = 128, WAKE = 129 };

/* Called once, when a thread is about to sleep for an event. */
static void (*while_sleeping)(void);
static int sleeps, wakes;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) arguments[i] = va_arg(list, long);
  va_end(list);
  void (*once)(void) = while_sleeping;
  if (number == SYS_futex && arguments[1] == WAKE) __atomic_add_fetch(&wakes, 1, __ATOMIC_SEQ_CST);
  if (number == SYS_futex && arguments[1] == WAIT) __atomic_add_fetch(&sleeps, 1, __ATOMIC_SEQ_CST);
  if (number == SYS_futex && once != NULL && arguments[1] == WAIT) {
    while_sleeping = NULL;
    once();
  }
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

/* ---- What the library gets its memory from ---- */

static bool no_memory;

/* By either name, as the size of off_t has it; newer musls have but one. */
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
#define WRAP_MMAP(name)                                                                           \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset);  \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset) { \
    return no_memory ? MAP_FAILED : __real_mmap(at, size, protection, flags, file, offset);       \
  }
#undef mmap64
WRAP_MMAP(mmap)
WRAP_MMAP(mmap64)

/* ---- Another thread ---- */

static pthread_t other;
static struct gate entered, leave;

static void start_other(void *(*run)(void *unused)) {
  child_check_int(pthread_create(&other, NULL, run, NULL), ==, 0);
}

static void join_other(void) {
  child_check_int(pthread_join(other, NULL), ==, 0);
}

static void let_other_leave(void) {
  gate_open(&leave);
}

/* ---- Hooks ---- */

static atfork_id id;
static int destroyed;

static atfork_id add(void) {
  atfork_id added = atfork_register(&(struct atfork_hook){.parent = nothing, .data = &destroyed, .destroy = increment});
  child_check_int(added, !=, 0);
  return added;
}

static int stay(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  gate_open(&entered);
  gate_wait(&leave);
  return 1;
}

static void *walk_and_stay(void *unused) {
  child_check_int(atfork_foreach(stay, NULL), ==, 1);
  return unused;
}

static int seen;

static void walk(void) {
  seen = 0;
  child_check_int(atfork_foreach(count_hook, &seen), ==, 0);
}

static void unregister(void) {
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(destroyed, ==, 1);
}

static void have_other_walk(void) {
  start_other(walk_and_stay);
  gate_wait(&entered);
}

/* ---- A frame that another thread claims first ---- */

static bool is_to_claim_frame(const ucontext_t *context) {
  return is_exchange(context, &atfork_state.frames.block.frames[0].thread);
}

static void lose_frame(void) {
  id = add();
  child_check(interrupt(walk, is_to_claim_frame, have_other_walk));
  child_check_int(seen, ==, 1);
  gate_open(&leave);
  join_other();
  child_check_int(atfork_state.frames.count, ==, 0);
  unregister();
}

/* ---- Frames of threads that are gone ---- */

static void all_are_free(void) {
  child_check_int(atfork_generation(), ==, 2);
  for (int i = 0; i < FRAMES_PER_BLOCK; i++) child_check_int(atfork_state.frames.block.frames[i].thread, ==, 0);
  child_check_int(atfork_state.frames.count, ==, 0);
}

static void fork_beside_a_walk(void) {
  id = add();
  have_other_walk();
  in_child(fork, all_are_free);
  in_child(fork_by_syscall, all_are_free);
  let_other_leave();
  join_other();
  unregister();
}

/* ---- A walk that is only beginning, which may see the hook or not ---- */

static bool is_beginning(const ucontext_t *context) {
  (void)context;
  return atfork_state.frames.count > 0 && atfork_state.frames.block.frames[0].began == 0;
}

static void *unregister_there(void *unused) {
  unregister();
  return unused;
}

static void tell_of_sleep(void) {
  gate_open(&entered);
}

static void have_other_unregister(void) {
  while_sleeping = tell_of_sleep;
  start_other(unregister_there);
  gate_wait(&entered);
  child_check_int(destroyed, ==, 0);
}

static void unregister_at_beginning(void) {
  id = add();
  child_check(interrupt(walk, is_beginning, have_other_unregister));
  child_check_int(seen, ==, 0);
  join_other();
}

/* ---- A visit that goes on in the child of a handler, where a thread of that child looks first of all others ---- */

static bool is_updating(const ucontext_t *context) {
  (void)context;
  return atfork_thread.updating;
}

static void *ask_generation(void *unused) {
  child_check_int((atfork_generation)(), ==, 2); /* by a call, as the mark is set already */
  return unused;
}

static pid_t made_inside;

static void fork_and_start(void) {
  made_inside = fork();
  if (made_inside != 0) return;
  while_sleeping = tell_of_sleep;
  start_other(ask_generation);
  gate_wait(&entered);
}

static void call_register_inside(void) {
  child_check_int(atfork_register(&(struct atfork_hook){.parent = nothing}), !=, 0);
}

static int unregister_in_visit(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  child_check(interrupt(call_register_inside, is_updating, fork_and_start));
  if (made_inside == 0) join_other();
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(destroyed, ==, 0);
  return 1;
}

static void settle_beside_a_visit(void) {
  id = add();
  child_check_int(atfork_foreach(unregister_in_visit, NULL), ==, 1);
  child_check_int(destroyed, ==, 1);
  if (made_inside == 0) child_passes();
  expect_passed(made_inside);
}

/* ---- A hook that is about to end, as a fork waited by another one, and a fork inside that one ---- */

static bool is_to_bury(const ucontext_t *context) {
  return is_at(context, (void (*)(void))atfork_registry_bury);
}

static void stay_there(void) {
  gate_open(&entered);
  gate_wait(&leave);
}

/* It has seen that no walk needs the hook. */
static void *unregister_and_stay(void *unused) {
  child_check(interrupt(unregister, is_to_bury, stay_there));
  return unused;
}

static pthread_t another;
static atfork_id waited_for;

static void *unregister_waited_for(void *unused) {
  child_check_int(atfork_unregister(waited_for), ==, 0);
  return unused;
}

static bool is_refusing = true;

static int refuse_once(void *unused) {
  if (!is_refusing) return 0;
  is_refusing = false;
  while_sleeping = tell_of_sleep;
  start_other(unregister_and_stay);
  gate_wait(&entered);
  (void)unused;
  return 1;
}

/* The other one sees that this fork needs its hook no more. */
static void be_waited_for(void *unused) {
  (void)unused;
  gate_wait(&entered);
  while_sleeping = tell_of_sleep;
  child_check_int(pthread_create(&another, NULL, unregister_waited_for, NULL), ==, 0);
  gate_wait(&entered);
}

static int prepared, prepared_inside;
static bool is_inside;

static void fork_once_inside(void *unused) {
  int before = prepared;
  (void)unused;
  if (is_inside) return;
  is_inside = true;
  in_child(fork, child_passes);
  prepared_inside = prepared - before;
  gate_open(&leave);
}

static void fork_in_parent_of_waited_for(void) {
  id = atfork_register(
      &(struct atfork_hook){.priority = 1, .prepare = increment, .data = &prepared, .destroy = nothing});
  waited_for = atfork_register(
      &(struct atfork_hook){.try_prepare = refuse_once, .wait = be_waited_for, .parent = fork_once_inside});
  destroyed = 1; /* as unregister() has it */
  in_child(fork, child_passes);
  join_other();
  pthread_join(another, NULL);
  child_check(is_inside);
  child_check_int(prepared, ==, 1);
  child_check_int(prepared_inside, ==, 0);
}

/* ---- A hook that ends in the child of a handler, while its thread waits in there ---- */

static pid_t made_asleep;

static void fork_asleep(void) {
  made_asleep = fork();
  if (made_asleep != 0) gate_open(&leave);
}

static void fork_while_unregistering(void) {
  id = add();
  have_other_walk();
  while_sleeping = fork_asleep;
  unregister();
  child_check_int(atfork_unregister(id), ==, -1);
  in_child(fork, child_passes);
  if (made_asleep == 0) child_passes();
  join_other();
  expect_passed(made_asleep);
}

/* ---- A handler that unregisters, and waits, inside its own thread's update ---- */

static bool without_memory;

static void run_out_of_memory(void) {
  no_memory = without_memory;
  gate_open(&leave);
}

static void wait_inside(void) {
  while_sleeping = run_out_of_memory;
  unregister();
  no_memory = false;
}

static atfork_id second;

static void call_register(void) {
  second = atfork_register(&(struct atfork_hook){.parent = nothing});
}

static void wait_in_handler(void) {
  id = add();
  have_other_walk();
  child_check(interrupt(call_register, is_updating, wait_inside));
  join_other();
  child_check_int(second, !=, 0);
  walk();
  child_check_int(seen, ==, 1);
  child_check_int(atfork_unregister(second), ==, 0);
}

static void wait_in_handler_without_memory(void) {
  without_memory = true;
  wait_in_handler();
}

/* ---- The lock, which is let go between a look at its owner and the next ---- */

static void *update_and_stay(void *unused) {
  /* Holds the lock as it does in the middle of an update. */
  atfork_thread.updating = 1;
  atfork_transient->owner = (uintptr_t)&atfork_thread;
  gate_open(&entered);
  gate_wait(&leave);
  atfork_thread.updating = 0;
  atfork_transient->owner = 0;
  return unused;
}

static bool is_to_wait_for_lock(const ucontext_t *context) {
  return is_exchange(context, &atfork_transient->lock_free.word);
}

static void have_other_leave(void) {
  gate_open(&leave);
  join_other();
}

static void find_lock_free(void) {
  id = add();
  start_other(update_and_stay);
  gate_wait(&entered);
  child_check(interrupt(call_register, is_to_wait_for_lock, have_other_leave));
  child_check_int(second, !=, 0);
  unregister();
}

/* ---- Who waits is woken ---- */

static void *register_there(void *unused) {
  call_register();
  return unused;
}

static void have_other_register(void) {
  while_sleeping = tell_of_sleep;
  start_other(register_there);
  gate_wait(&entered);
}

static void call_add(void) {
  id = add();
}

static void wake_who_waits_for_lock(void) {
  child_check(interrupt(call_add, is_updating, have_other_register));
  join_other();
  child_check_int(second, !=, 0);
  child_check_int(sleeps, >=, 1);
  child_check_int(wakes, >=, 1);
  unregister();
}

static void wake_who_waits_for_walk(void) {
  unregister_at_beginning();
  child_check_int(sleeps, >=, 1);
  child_check_int(wakes, >=, 1);
}

/* ---- An init ---- */

static struct atfork_once control;
static int inits;

static void init(void *unused) {
  (void)unused;
  inits++;
}

static void init_and_stay(void *unused) {
  init(unused);
  gate_open(&entered);
  gate_wait(&leave);
}

static void *once_there(void *unused) {
  (atfork_once)(&control, init, NULL);
  return unused;
}

static void *once_and_stay(void *unused) {
  (atfork_once)(&control, init_and_stay, NULL);
  return unused;
}

static void call_atfork_once(void) {
  (atfork_once)(&control, init, NULL);
}

static void have_other_init(void) {
  start_other(once_there);
  join_other();
}

static void have_other_begin_init(void) {
  while_sleeping = let_other_leave;
  start_other(once_and_stay);
  gate_wait(&entered);
}

static bool is_to_claim_init(const ucontext_t *context) {
  return is_exchange(context, &control.state[1]);
}
static bool is_to_wait_for_init(const ucontext_t *context) {
  return is_exchange(context, &atfork_transient->init_ended.word);
}

/* All of it has been done when this thread is about to. */
static void find_init_done(void) {
  child_check(interrupt(call_atfork_once, is_to_claim_init, have_other_init));
  child_check_int(inits, ==, 1);
}

/* Another thread is in it when this one is about to. */
static void find_init_begun(void) {
  child_check(interrupt(call_atfork_once, is_to_claim_init, have_other_begin_init));
  child_check_int(inits, ==, 1);
  join_other();
  child_check_int(sleeps, >=, 1);
  child_check_int(wakes, >=, 1);
}

/* Another thread ends it when this one is about to wait. */
static void find_init_ended(void) {
  start_other(once_and_stay);
  gate_wait(&entered);
  child_check(interrupt(call_atfork_once, is_to_wait_for_init, have_other_leave));
  child_check_int(inits, ==, 1);
}

/* ---- More memory for shared objects ---- */

enum { OBJECTS = 255 }; /* that there is room for at once */
static char objects[2 * OBJECTS + 1];

static void register_for_object(void) {
  second = atfork_register_for(&(struct atfork_hook){.parent = nothing}, &objects[2 * OBJECTS]);
}

static void register_for_many_objects(void) {
  static int object;
  for (int end = object + OBJECTS; object < end; object++)
    child_check_int(atfork_register_for(&(struct atfork_hook){.parent = nothing}, &objects[object]), !=, 0);
}

static bool is_to_add_owners(const ucontext_t *context) {
  return is_exchange(context, &atfork_state.hooks.owners);
}

static struct owner *_Atomic owners_before;
static bool has_added_owners(const ucontext_t *context) {
  (void)context;
  return atfork_state.hooks.owners != owners_before;
}

/* Another has as many objects meanwhile as there is room for: before this one's memory is there, and after. */
static void add_owners_late(void) {
  child_check(interrupt(register_for_object, is_to_add_owners, register_for_many_objects));
  child_check_int(second, !=, 0);
}

static void use_up_owners(void) {
  owners_before = atfork_state.hooks.owners;
  child_check(interrupt(register_for_object, has_added_owners, register_for_many_objects));
  child_check_int(second, !=, 0);
}

/* ---- Tables that a walk still needs ---- */

static bool is_to_outgrow_table(const ucontext_t *context) {
  return is_exchange(context, &atfork_state.registry.outgrown);
}
static bool is_planned(const ucontext_t *context) {
  return is_at(context, (void (*)(void))atfork_slot_write);
}

static void call_unregister_second(void) {
  child_check_int(atfork_unregister(second), ==, 0);
}

static void come_and_go(void) {
  child_check_int(atfork_unregister(atfork_register(&(struct atfork_hook){.parent = nothing})), ==, 0);
}

/* A handler gives up one more table while this thread puts back those that are kept. */
static void outgrow_while_collecting(void) {
  id = add();
  have_other_walk();
  child_check(interrupt(call_register, is_planned, come_and_go));
  child_check(interrupt(call_unregister_second, is_to_outgrow_table, come_and_go));
  gate_open(&leave);
  join_other();
  unregister();
  child_check(atfork_state.registry.outgrown == NULL);
}

/* ---- A new process that is interrupted ---- */

static void look(void) {
  child_check_int(atfork_generation(), ==, 2);
}

static bool is_adopting(const ucontext_t *context) {
  return atfork_transient->settled == 0 && is_at(context, (void (*)(void))atfork_table_search);
}

static void adopt_with_handler(void) {
  child_check(interrupt(look, is_adopting, come_and_go));
  come_and_go();
  child_check_int(atfork_unregister(id), ==, -1);
}

/* With a hook that is retired, and not yet ended. */
static int retire_and_fork(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  child_check_int(atfork_unregister(id), ==, 0);
  in_child(fork_by_syscall, adopt_with_handler);
  return 0;
}

static void adopt(void) {
  id = add();
  child_check_int(atfork_foreach(retire_and_fork, NULL), ==, 0);
  child_check_int(destroyed, ==, 1);
}

/* A walk that ends in a handler, inside an update, leaves what is due to the next. */
static int visit_nothing(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  return 1;
}

static void end_a_walk(void) {
  atfork_foreach(visit_nothing, NULL);
}

static uint64_t sequence_before;

static int retire_and_end_a_walk(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  child_check_int(atfork_unregister(id), ==, 0);
  child_check(interrupt(come_and_go, is_planned, end_a_walk));
  return 1;
}

static void bury_later(void) {
  id = add();
  child_check_int(atfork_foreach(retire_and_end_a_walk, NULL), ==, 1);
  child_check_int(destroyed, ==, 1);
}

/* Another thread forks when this one has buried a hook, and is about to count it.  The fork itself ends only after
 * that. */
static bool is_buried(const ucontext_t *context) {
  (void)context;
  struct slot slot;
  const struct table *table = registry_table();
  return atfork_thread.updating && table->retired == 1 && !atfork_table_find(table, id, &slot) &&
         atfork_state.sequence > sequence_before;
}

static void none_is_left(void) {
  gate_open(&entered);
  child_check_int(registry_table()->retired, ==, 0);
}

static void *fork_there(void *unused) {
  in_child(fork, none_is_left);
  return unused;
}

static void have_other_fork(void) {
  start_other(fork_there);
  gate_wait(&entered);
}

static int come_and_go_in_visit(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  id = add();
  sequence_before = atfork_state.sequence;
  child_check(interrupt(unregister, is_buried, have_other_fork));
  join_other();
  return 1;
}

static void fork_at_burial(void) {
  atfork_poll(); /* so that the fork has none to run before it begins */
  add();
  child_check_int(atfork_foreach(come_and_go_in_visit, NULL), ==, 1);
}

/* Another library's child handler starts a thread, which is the first to look. */
static void (*early_action)(void);

static void on_child(void) {
  if (early_action != NULL) early_action();
}

static void *look_there(void *unused) {
  atfork_generation();
  return unused;
}

static void have_other_look(void) {
  start_other(look_there);
  join_other();
}

static void none_walks(void) {
  child_check_int(atfork_state.frames.count, ==, 0);
  child_check(atfork_frame_innermost() == NULL);
  early_action = NULL;
  in_child(fork, child_passes);
}

/* In the middle of a walk, which its thread comes back to. */
static int fork_and_return(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  pid_t pid = fork();
  if (pid > 0) expect_passed(pid);
  return 1;
}

static void look_first_in_a_walk(void) {
  pid_t here = getpid();
  id = add();
  early_action = have_other_look;
  child_check_int(atfork_foreach(fork_and_return, NULL), ==, 1);
  if (getpid() != here) none_walks();
  if (getpid() != here) child_passes();
}

/* In a `destroy`, at the end of a walk. */
static void fork_to_destroy(void *unused) {
  fork_and_return(NULL, unused);
}

static int retire(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  child_check_int(atfork_unregister(id), ==, 0);
  return 1;
}

static void look_first_in_destroy(void) {
  pid_t here = getpid();
  id = atfork_register(&(struct atfork_hook){.parent = nothing, .destroy = fork_to_destroy});
  early_action = have_other_look;
  child_check_int(atfork_foreach(retire, NULL), ==, 1);
  if (getpid() != here) none_walks();
  if (getpid() != here) child_passes();
}

/* And polls, before this one forks again. */
static void *poll_there(void *unused) {
  atfork_poll();
  return unused;
}

static void have_other_poll_and_fork(void) {
  early_action = NULL;
  start_other(poll_there);
  join_other();
  in_child(fork, child_passes);
}

static void poll_first(void) {
  add();
  early_action = have_other_poll_and_fork;
  in_child(fork, none_walks);
}

static void look_first(void) {
  early_action = have_other_look;
  in_child(fork, none_walks);
}

/* A handler polls while its own thread is about to: the hooks run once. */
static int ran, polled;

static void poll_here(void) {
  polled += atfork_poll();
}

static bool is_to_claim_phase(const ucontext_t *context) {
  return is_exchange(context, &atfork_state.forks.dispatched);
}
static bool is_to_poll(const ucontext_t *context) {
  (void)context;
  return atfork_frame_innermost() != NULL;
}

static bool (*poll_place)(const ucontext_t *context);

static void poll_with_handler(void) {
  look();
  child_check(interrupt(poll_here, poll_place, poll_here));
  child_check_int(polled, ==, 1);
  child_check_int(ran, ==, 1);
}

static void poll_twice(void) {
  atfork_register_after_fork(increment, &ran);
  atfork_poll();
  poll_place = is_to_poll;
  in_child(fork_by_syscall, poll_with_handler);
  poll_place = is_to_claim_phase;
  in_child(fork_by_syscall, poll_with_handler);
}

/* In the child of an ordinary fork, whose hooks are to come, a handler's poll has none to run. */
static pid_t forking;
static bool has_polled;

static bool is_to_claim_phase_in_child(const ucontext_t *context) {
  return getpid() != forking && is_to_claim_phase(context);
}

static void poll_and_note(void) {
  poll_here();
  has_polled = true;
}

static void ran_once_though_polled(void) {
  child_check(has_polled);
  child_check_int(polled, ==, 0);
  child_check_int(ran, ==, 1);
}

static void fork_to_poll(void) {
  in_child(fork, ran_once_though_polled);
}

static void poll_too_early(void) {
  atfork_register_after_fork(increment, &ran);
  forking = getpid();
  child_check(!interrupt(fork_to_poll, is_to_claim_phase_in_child, poll_and_note));
}

/* ---- A spawned worker, which a handler has poll before its hooks have run ---- */

static const char *token;

static void be_spawned(void) {
  child_check_int(atfork_spawned(token), ==, 0);
}

static bool is_spawned(const ucontext_t *context) {
  (void)context;
  return atfork_state.process.latest->generation == 2 && (!pages_are_wiped || atfork_transient->mark == 3);
}
static bool is_to_be_spawned(const ucontext_t *context) {
  return is_exchange(context, &atfork_transient->self);
}

static void fork_here(void) {
  in_child(fork, child_passes);
}

static pid_t made_in_handler = -1;

static void fork_and_come_back(void) {
  made_in_handler = fork();
}

/* What the handler makes comes back into the call, and is a child of the root's: the place is the parent's. */
static void be_spawned_or_forked(void) {
  char lineage[16];
  int result = atfork_spawned(token);
  if (made_in_handler != 0) {
    child_check_int(result, ==, 0);
    return;
  }
  child_check_int(result, ==, -1);
  child_check_int(errno, ==, EALREADY);
  atfork_lineage(lineage, sizeof lineage);
  child_check(strcmp(lineage, "0.1") == 0);
  _exit(CHILD_PASSED);
}

static int be_worker_that_forks(void) {
  child_check(interrupt(be_spawned_or_forked, is_to_be_spawned, fork_and_come_back));
  expect_passed(made_in_handler);
  return CHILD_PASSED;
}

/* In a program of its own, whose only call of the library this is. */
static int be_worker(const char *what) {
  if (strcmp(what, "come back") == 0) return be_worker_that_forks();
  atfork_register_after_fork(increment, &ran);
  bool there = strcmp(what, "poll") == 0   ? interrupt(be_spawned, is_spawned, poll_here)
               : strcmp(what, "fork") == 0 ? interrupt(be_spawned, is_spawned, fork_here)
                                           : interrupt(be_spawned, is_to_be_spawned, poll_here);
  child_check(there);
  child_check_int(ran, ==, 1);
  child_check_int(atfork_poll(), ==, 0);
  child_check_int(atfork_generation(), ==, 2);
  return CHILD_PASSED;
}

static void spawn(const char *what) {
  char next[1024];
  atfork_token(next, sizeof next);
  pid_t pid = fork();
  if (pid == 0) {
    execl("/proc/self/exe", "worker", "--worker", what, next, NULL);
    _exit(1);
  }
  expect_passed(pid);
}

static void spawn_workers(void) {
  spawn("poll");
  spawn("fork");
  spawn("poll before");
  spawn("come back");
}

/* ---- Where pages are not wiped: clearing what is left of the parent ---- */

static bool is_clearing(const ucontext_t *context) {
  (void)context;
  return atfork_transient->process == ~(uint64_t)getpid();
}
static bool is_to_clear(const ucontext_t *context) {
  return is_exchange(context, &atfork_transient->process);
}

static bool (*clearing_place)(const ucontext_t *context);

static void clear_with_handler(void) {
  child_check(interrupt(look, clearing_place, look));
  come_and_go();
}

static void clear(void) {
  atfork_generation();
  clearing_place = is_clearing;
  in_child(fork_by_syscall, clear_with_handler);
  clearing_place = is_to_clear;
  in_child(fork_by_syscall, clear_with_handler);
}

/* ---- Each in a process of its own ---- */

static const struct test_case {
  const char *path;
  void (*run)(void);
} cases[] = {
    {"/overtaken/frame", lose_frame},
    {"/overtaken/frames-of-others", fork_beside_a_walk},
    {"/overtaken/fork-in-parent-of-waited-for", fork_in_parent_of_waited_for},
    {"/overtaken/settle-beside-a-visit", settle_beside_a_visit},
    {"/overtaken/beginning-walk", unregister_at_beginning},
    {"/overtaken/fork-while-unregistering", fork_while_unregistering},
    {"/overtaken/wait-in-handler", wait_in_handler},
    {"/overtaken/wait-in-handler-without-memory", wait_in_handler_without_memory},
    {"/overtaken/lock", find_lock_free},
    {"/overtaken/woken-for-lock", wake_who_waits_for_lock},
    {"/overtaken/woken-for-walk", wake_who_waits_for_walk},
    {"/overtaken/init-done", find_init_done},
    {"/overtaken/init-begun", find_init_begun},
    {"/overtaken/init-ended", find_init_ended},
    {"/overtaken/owners-added", add_owners_late},
    {"/overtaken/owners-used-up", use_up_owners},
    {"/overtaken/tables", outgrow_while_collecting},
    {"/overtaken/adoption", adopt},
    {"/overtaken/burial", bury_later},
    {"/overtaken/fork-at-burial", fork_at_burial},
    {"/overtaken/first-look", look_first},
    {"/overtaken/first-look-in-a-walk", look_first_in_a_walk},
    {"/overtaken/first-look-in-destroy", look_first_in_destroy},
    {"/overtaken/first-poll", poll_first},
    {"/overtaken/early-poll", poll_too_early},
    {"/overtaken/poll", poll_twice},
    {"/overtaken/worker", spawn_workers},
    {"/overtaken/clearing", clear},
};

static const struct test_case *which;

static void run_case(void) {
  gate_make(&entered);
  gate_make(&leave);
  child_check_int(atfork_generation(), ==, 1);
  which->run();
}

static void test_case(gconstpointer of) {
  which = of;
  in_child(fork, run_case);
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "--worker") == 0) {
    token = argv[3];
    return be_worker(argv[2]);
  }
  g_test_init(&argc, &argv, NULL);
  if (pthread_atfork(NULL, NULL, on_child) != 0) return 1; /* before the library's */
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    if (cases[i].run != clear || !pages_are_wiped) g_test_add_data_func(cases[i].path, &cases[i], test_case);
  return g_test_run();
}
