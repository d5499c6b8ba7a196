/* SPDX-License-Identifier: MIT */
/* Promises 5 and 9, between two threads: one walks through the hooks, in a fork or a visit, while another unregisters
 * one of them. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frame.h" /* the library's own, as are those that follow */
#include "registry.h"
#include "state.h"
#include "table.h"
#include "thread.h"

#include "callbacks.h"
#include "forks.h"
#include "meeting.h"
#include "steps.h"

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

/* ---- Tables that a walk still needs ---- */

static bool is_to_outgrow_table(const ucontext_t *context) {
  return is_exchange(context, &atfork_state.registry.outgrown);
}

static void call_unregister_second(void) {
  child_check_int(atfork_unregister(second), ==, 0);
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

/* ---- The end of a hook ---- */

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

/* ---- A thread that waits for a walk is woken ---- */

static void wake_who_waits_for_walk(void) {
  unregister_at_beginning();
  child_check_int(sleeps, >=, 1);
  child_check_int(wakes, >=, 1);
}

static const struct test_case cases[] = {
    {"/overtaken-walks/frame", lose_frame},
    {"/overtaken-walks/frames-of-others", fork_beside_a_walk},
    {"/overtaken-walks/fork-in-parent-of-waited-for", fork_in_parent_of_waited_for},
    {"/overtaken-walks/settle-beside-a-visit", settle_beside_a_visit},
    {"/overtaken-walks/beginning-walk", unregister_at_beginning},
    {"/overtaken-walks/fork-while-unregistering", fork_while_unregistering},
    {"/overtaken-walks/wait-in-handler", wait_in_handler},
    {"/overtaken-walks/wait-in-handler-without-memory", wait_in_handler_without_memory},
    {"/overtaken-walks/woken-for-walk", wake_who_waits_for_walk},
    {"/overtaken-walks/tables", outgrow_while_collecting},
    {"/overtaken-walks/burial", bury_later},
    {"/overtaken-walks/fork-at-burial", fork_at_burial},
};

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) add_case(&cases[i]);
  return g_test_run();
}
