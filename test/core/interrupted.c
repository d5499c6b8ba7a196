/* SPDX-License-Identifier: MIT */
/*
 * Promise 9 at the instructions that matter: an update is about to be committed, or just was; a word is about to be
 * exchanged.  There a signal handler, or another thread, does something.  every_instruction.c goes through them all, as
 * far as there is time; this has each of the places where something else happens then, for certain.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"
#include "frame.h" /* the library's own, as are those that follow */
#include "registry.h"
#include "sha256.h"
#include "state.h"
#include "steps.h"
#include "thread.h"
#include "token.h"
#include "transient.h"

/* ---- What the library gets its memory from ---- */

static bool no_memory;

/* In the middle of an update the lock is this thread's. */
static bool is_to_fail(void) {
  if (atfork_thread.updating) child_check_int(atfork_transient->owner, ==, (uintptr_t)&atfork_thread);
  return no_memory;
}

/* By either name, as the size of off_t has it; newer musls have but one. */
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
#define WRAP_MMAP(name)                                                                           \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset);  \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset) { \
    return is_to_fail() ? MAP_FAILED : __real_mmap(at, size, protection, flags, file, offset);    \
  }
#undef mmap64
WRAP_MMAP(mmap)
WRAP_MMAP(mmap64)

/* ---- Hooks ---- */

static int ran;       /* how often the hook that is always there ran in this process */
static int destroyed; /* how often the hook that the call is about was */
static atfork_id base, id;

static int count_visit(const struct atfork_info *info, void *counter) {
  (void)info;
  ++*(int *)counter;
  return 0;
}

static int hooks(void) {
  int counter = 0;
  child_check_int(atfork_foreach(count_visit, &counter), ==, 0);
  return counter;
}

static void check_alive(void *destroys) {
  child_check_int(*(int *)destroys, ==, 0);
}

static atfork_id add(int priority, int *destroys) {
  atfork_id added = atfork_register(
      &(struct atfork_hook){.priority = priority, .parent = check_alive, .data = destroys, .destroy = increment});
  child_check_int(added, !=, 0);
  return added;
}

static void ran_again(void) {
  child_check_int(ran, ==, 2);
}

/* Whatever the process came out of the middle of. */
static void use_library(void) {
  atfork_poll();
  child_check_int(ran, ==, base != 0);
  int seen = hooks(), destroys = 0;
  atfork_id here = add(7, &destroys);
  child_check_int(hooks(), ==, seen + 1);
  child_check_int(atfork_unregister(here), ==, 0);
  child_check_int(atfork_unregister(here), ==, -1);
  child_check_int(destroys, ==, 1);
  child_check_int(hooks(), ==, seen);
  in_child(fork, base != 0 ? ran_again : child_passes);
  unregister_all();
  child_check_int(hooks(), ==, 0);
  /* But for what the interrupted call itself is about to retire. */
  if (!atfork_thread.updating) child_check(!registry_has_retired());
}

/* ---- Calls ---- */

static int before; /* how many hooks there were */

static void have_none(void) {
  base = 0;
}
static void have_some(void) {
  base = atfork_register_after_fork(increment, &ran);
  id = add(5, &destroyed);
}
/* So many are dead that the next unregistration renews the table. */
static void have_waste(void) {
  static int destroys[67];
  atfork_id many[67];
  have_some();
  for (int i = 0; i < 67; i++) many[i] = add(9, &destroys[i]);
  for (int i = 0; i < 66; i++) child_check_int(atfork_unregister(many[i]), ==, 0);
}

static void call_register(void) {
  id = atfork_register(&(struct atfork_hook){.parent = nothing});
}
static void call_register_elsewhere(void) {
  id = atfork_register(&(struct atfork_hook){.priority = 3000, .parent = nothing});
}
static void call_unregister(void) {
  child_check_int(atfork_unregister(id), ==, 0);
}

static void expect_registered(void) {
  child_check_int(id, !=, 0);
  child_check_int(hooks(), ==, before + 1);
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(hooks(), ==, before);
}
static void expect_unregistered(void) {
  child_check_int(atfork_unregister(id), ==, -1);
  child_check_int(destroyed, ==, 1);
  child_check_int(hooks(), ==, before - 1);
  in_child(fork, child_passes);
}

static char text[1024];
static uint64_t seed;

static void have_no_text(void) {
  have_some();
  text[0] = '#';
}
static void call_lineage(void) {
  child_check_int(atfork_lineage(text, sizeof text), ==, strlen(text));
}
static void call_seed(void) {
  seed = atfork_seed(7);
}
static uint8_t bytes[64];
static void call_seed_bytes(void) {
  atfork_seed_bytes(7, bytes, sizeof bytes);
}
static void call_token(void) {
  child_check_int(atfork_token(text, sizeof text), ==, strlen(text));
}

/* Those of the process that they come back in, which may be another one than went there. */
static void expect_lineage(void) {
  char lineage[1024];
  atfork_lineage(lineage, sizeof lineage);
  child_check(strcmp(text, lineage) == 0);
}
static void expect_seed(void) {
  child_check_int(seed, ==, atfork_seed(7));
}
static void expect_seed_bytes(void) {
  uint8_t again[sizeof bytes];
  atfork_seed_bytes(7, again, sizeof again);
  child_check(memcmp(bytes, again, sizeof again) == 0);
}
static void expect_token(void) {
  char lineage[1024];
  struct token token;
  int length = atfork_lineage(lineage, sizeof lineage);
  child_check(atfork_token_read(text, &token));
  child_check_int(token.generation, ==, atfork_generation() + 1);
  child_check_int(token.length, >, length + 1);
  child_check(memcmp(token.lineage, lineage, (size_t)length) == 0 && token.lineage[length] == '.');
}

/* ---- Places ---- */

static struct registry *registry(void) {
  return &atfork_state.registry;
}

static bool is_free(const ucontext_t *context) {
  (void)context;
  return atfork_transient->owner == 0 && atfork_frame_innermost() == NULL;
}
static bool is_locked(const ucontext_t *context) {
  (void)context;
  return atfork_transient->owner != 0 && !atfork_thread.updating;
}
static bool is_planned(const ucontext_t *context) {
  return is_at(context, (void (*)(void))atfork_slot_write);
}
static bool is_noted(const ucontext_t *context) {
  (void)context;
  return registry()->intent.word != NULL;
}
static bool is_stored(const ucontext_t *context) {
  (void)context;
  const struct intent *intent = &registry()->intent;
  return intent->word != NULL && *intent->word != intent->before;
}
static bool is_committed(const ucontext_t *context) {
  (void)context;
  const struct intent *intent = &registry()->intent;
  return intent->word != NULL && intent->sequence <= atfork_state.sequence;
}
static bool is_counted(const ucontext_t *context) {
  (void)context;
  return registry_has_retired();
}
static bool is_to_be_cleared(const ucontext_t *context) {
  return is_at(context, (void (*)(void))atfork_slot_bury);
}
static bool is_cleared(const ucontext_t *context) {
  struct slot slot;
  (void)context;
  return !atfork_table_find(registry_table(), id, &slot);
}
static bool is_shown(const ucontext_t *context) {
  (void)context;
  return text[0] != '#';
}
static bool is_to_be_hashed(const ucontext_t *context) {
  return is_at(context, (void (*)(void))atfork_lineage_hash);
}
static bool is_to_be_digested(const ucontext_t *context) {
  return is_at(context, (void (*)(void))atfork_sha256);
}
static bool is_to_be_written(const ucontext_t *context) {
  return is_at(context, (void (*)(void))atfork_token_write_child);
}
static bool is_to_be_numbered(const ucontext_t *context) {
  return is_exchange(context, &atfork_state.process.latest->children);
}
static bool is_to_replace_table(const ucontext_t *context) {
  return is_exchange(context, &registry()->table);
}
static bool is_to_outgrow_table(const ucontext_t *context) {
  return is_exchange(context, &registry()->outgrown);
}

static const struct interruption {
  const char *name;
  void (*arrange)(void);
  void (*call)(void);
  bool (*is_there)(const ucontext_t *context);
  void (*expect)(void);
  int effect; /* how many more hooks there are by then */
} interruptions[] = {
    {"register, before all", have_some, call_register, is_free, expect_registered, 0},
    {"register, locked", have_some, call_register, is_locked, expect_registered, 0},
    {"register, locked without a table", have_none, call_register, is_locked, expect_registered, 0},
    {"register, planned", have_some, call_register, is_planned, expect_registered, 0},
    {"register, planned elsewhere", have_some, call_register_elsewhere, is_planned, expect_registered, 0},
    {"register, noted", have_some, call_register, is_noted, expect_registered, 0},
    {"register, stored", have_some, call_register, is_stored, expect_registered, 0},
    {"register, stored elsewhere", have_some, call_register_elsewhere, is_stored, expect_registered, 0},
    {"register, committed", have_some, call_register, is_committed, expect_registered, 1},
    {"register, first committed", have_none, call_register, is_committed, expect_registered, 1},
    {"register, first table", have_none, call_register, is_to_replace_table, expect_registered, 0},
    {"unregister, locked", have_some, call_unregister, is_locked, expect_unregistered, 0},
    {"unregister, counted", have_some, call_unregister, is_counted, expect_unregistered, 0},
    {"unregister, noted", have_some, call_unregister, is_noted, expect_unregistered, 0},
    {"unregister, stored", have_some, call_unregister, is_stored, expect_unregistered, 0},
    {"unregister, committed", have_some, call_unregister, is_committed, expect_unregistered, -1},
    {"unregister, to be cleared", have_some, call_unregister, is_to_be_cleared, expect_unregistered, -1},
    {"unregister, cleared", have_some, call_unregister, is_cleared, expect_unregistered, -1},
    {"unregister, renewing the table", have_waste, call_unregister, is_to_replace_table, expect_unregistered, -1},
    {"unregister, giving up the table", have_waste, call_unregister, is_to_outgrow_table, expect_unregistered, -1},
    {"lineage, shown", have_no_text, call_lineage, is_shown, expect_lineage, 0},
    {"seed, to be hashed", have_some, call_seed, is_to_be_hashed, expect_seed, 0},
    {"bytes, to be digested", have_some, call_seed_bytes, is_to_be_digested, expect_seed_bytes, 0},
    {"token, to be written", have_some, call_token, is_to_be_written, expect_token, 0},
    {"token, to be numbered", have_some, call_token, is_to_be_numbered, expect_token, 0},
};

/* ---- What is done there ---- */

static const struct interruption *at;
static pid_t (*way)(void);
static bool continuing; /* in a child that goes on with the call */

/* In a child: what was committed is there, and nothing else. */
static void see_effect(void) {
  child_check_int(hooks(), ==, before + at->effect);
  use_library();
}

static void come_and_go(void) {
  atfork_id here = atfork_register(&(struct atfork_hook){.priority = 3000, .parent = nothing});
  child_check_int(here, !=, 0);
  child_check_int(atfork_unregister(here), ==, 0);
}

static void walk(void) {
  hooks();
}

static void unregister_in_vain(void) {
  errno = 0;
  child_check_int(atfork_unregister(UINT64_C(1) << 40), ==, -1);
  child_check_int(errno, ==, ENOENT);
}

/* Nothing is changed, and the interrupted call goes on. */
static void find_no_memory(void) {
  if (!atfork_thread.updating) return;
  int seen = hooks();
  no_memory = true;
  child_check_int(atfork_register_after_fork(nothing, NULL), ==, 0);
  child_check_int(errno, ==, ENOMEM);
  if (base != 0) child_check_int(atfork_unregister(base), ==, -1);
  if (base != 0) child_check_int(errno, ==, ENOMEM);
  no_memory = false;
  child_check_int(hooks(), ==, seen);
}

static void fork_here(void) {
  in_child(way, see_effect);
}

static void fork_and_return(void) {
  pid_t pid = way();
  if (pid > 0) expect_passed(pid);
  if (pid > 0) return;
  continuing = true;
  atfork_generation(); /* what is only asked for may be the parent's until somebody has looked */
}

/* By the time that the call goes on, two processes have been where it began. */
static void fork_twice_and_return(void) {
  fork_and_return();
  if (!continuing) return;
  int ran_here = ran;
  pid_t here = getpid();
  ran = 0; /* and counted from there on, in the second */
  fork_and_return();
  if (getpid() == here) ran = ran_here;
}

/* In the parent the other thread may have to wait for what this one holds. */
static struct gate to_other, child_ended;
static pthread_t other;

static void see_effect_and_tell(void) {
  see_effect();
  gate_open(&child_ended);
}

/* Not before pthread_create() is through: what a C library locks in there stays locked in a child that bypasses it. */
static void *fork_there(void *unused) {
  gate_wait(&to_other);
  in_child(way, see_effect_and_tell);
  return unused;
}

static void have_another_thread_fork(void) {
  child_check_int(pthread_create(&other, NULL, fork_there, NULL), ==, 0);
  gate_open(&to_other);
  gate_wait(&child_ended);
}

/* ---- Each at each place ---- */

static void (*action)(void);

static void interrupt_one(void) {
  ran = 0;
  atfork_poll(); /* before a fork that another thread makes, and that would wait for this one */
  at->arrange();
  before = hooks();
  destroyed = 0;
  gate_make(&to_other);
  gate_make(&child_ended);
  bool has_acted = interrupt(at->call, at->is_there, action);
  if (action == have_another_thread_fork) pthread_join(other, NULL);
  child_check(has_acted);
  at->expect();
  child_check(!registry_has_retired());
  if (continuing) use_library();
}

static void check(void (*what)(void)) {
  action = what;
  for (size_t i = 0; i < G_N_ELEMENTS(interruptions); i++) {
    at = &interruptions[i];
    g_test_message("%s", at->name);
    in_child(fork, interrupt_one);
  }
}

static void check_in_both_ways(void (*what)(void)) {
  way = fork;
  check(what);
  way = fork_by_syscall;
  check(what);
}

static void test_handler_updates(void) {
  check(come_and_go);
}
static void test_handler_walks(void) {
  check(walk);
}
static void test_handler_unregisters_in_vain(void) {
  check(unregister_in_vain);
}
static void test_handler_has_no_memory(void) {
  check(find_no_memory);
}
static void test_handler_forks(void) {
  check_in_both_ways(fork_here);
}
static void test_handler_forks_and_returns(void) {
  check_in_both_ways(fork_and_return);
}
static void test_handler_forks_twice_and_returns(void) {
  check_in_both_ways(fork_twice_and_return);
}
static void test_other_thread_forks(void) {
  check_in_both_ways(have_another_thread_fork);
}

/* ---- A walk that has seen all, and is about to be over ---- */

static bool is_to_be_over(const ucontext_t *context) {
  return is_at(context, (void (*)(void))atfork_frame_over);
}

/* It ends with the walk, whichever instruction of that the handler comes at. */
static void unregister_at_the_end(void) {
  have_some();
  child_check(interrupt(walk, is_to_be_over, call_unregister));
  child_check_int(destroyed, ==, 1);
  child_check(!registry_has_retired());
}

static void test_handler_unregisters_at_the_end(void) {
  in_child(fork, unregister_at_the_end);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/interrupted/handler-updates", test_handler_updates);
  g_test_add_func("/interrupted/handler-walks", test_handler_walks);
  g_test_add_func("/interrupted/handler-unregisters-in-vain", test_handler_unregisters_in_vain);
  g_test_add_func("/interrupted/handler-unregisters-at-the-end", test_handler_unregisters_at_the_end);
  g_test_add_func("/interrupted/handler-has-no-memory", test_handler_has_no_memory);
  g_test_add_func("/interrupted/handler-forks", test_handler_forks);
  g_test_add_func("/interrupted/handler-forks-and-returns", test_handler_forks_and_returns);
  g_test_add_func("/interrupted/handler-forks-twice-and-returns", test_handler_forks_twice_and_returns);
  g_test_add_func("/interrupted/other-thread-forks", test_other_thread_forks);
  return g_test_run();
}
