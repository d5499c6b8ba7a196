/* SPDX-License-Identifier: MIT */
/* Promises 8, 9 and 10, fault injection: forks, and who a process is, while the system refuses what is asked for. */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "forks.h"
#include "patience.h"
#include "pid_name.h"
#include "state.h" /* the library's own */
#include "torture.h"

#ifdef __GLIBC__
enum { AT_FIRST_CALL = 1 };
#else
enum { AT_FIRST_CALL = 0 }; /* the handlers have been given at the load */
#endif

/* ---- The first call of a process ---- */

static char text[1024];

static void nothing(void *unused) {
  (void)unused;
}
static void count_one(void *counter) {
  ++*(int *)counter;
}
static int visit_none(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  return 7;
}

static bool call_generation(void) {
  return (atfork_generation)() == 1;
}
static bool call_lineage(void) {
  return atfork_lineage(text, sizeof text) == (int)strlen(text) && strncmp(text, "0.", 2) == 0;
}
static bool call_place(void) {
  return atfork_place() == ATFORK_FORKED;
}
static bool call_run(void) {
  return atfork_run() == atfork_run();
}
static bool call_seed(void) {
  return atfork_seed(1) != atfork_seed(2);
}
static bool call_seed_bytes(void) {
  uint8_t bytes[2][64];
  atfork_seed_bytes(1, bytes[0], sizeof bytes[0]);
  atfork_seed_bytes(1, bytes[1], sizeof bytes[1]);
  return memcmp(bytes[0], bytes[1], sizeof bytes[0]) == 0;
}
static bool call_token(void) {
  return atfork_token(text, sizeof text) == (int)strlen(text);
}
static bool call_child_token(void) {
  return atfork_child_token("no token", 1, text, sizeof text) == -1 && errno == EINVAL;
}
static bool call_spawned(void) {
  return atfork_spawned("no token") == -1 && errno == EALREADY;
}
static bool call_adopt(void) {
  return atfork_adopt("3") == -1 && errno == EALREADY;
}
static bool call_launcher(void) {
  return atfork_launcher(text, sizeof text) == (int)strlen(text);
}
static bool call_poll(void) {
  return atfork_poll() == 0;
}
static bool call_mark(void) {
  return *atfork_mark() == (pages_are_wiped ? 2 : 0);
}
static bool call_atfork_once(void) {
  struct atfork_once once = ATFORK_ONCE_INIT;
  int inits = 0;
  (atfork_once)(&once, count_one, &inits);
  (atfork_once)(&once, count_one, &inits);
  return inits == 1;
}
static bool call_foreach(void) {
  return atfork_foreach(visit_none, NULL) == (torture_hooks == 0 ? 0 : 7);
}
static bool call_unregister(void) {
  return atfork_unregister(7) == -1 && errno == ENOENT;
}

/* ---- In a child ---- */

static pid_t (*way)(void);

/* What a call does there; `ran` hooks of its parents each. */
static void in_torture_child(bool (*call)(void), int ran) {
  pid_t pid = way();
  child_check_int(pid, >=, 0);
  if (pid > 0) {
    expect_passed(pid);
    return;
  }
  child_check(call());
  if (way != fork) atfork_poll();
  torture_child_ends(ran);
}

static bool call_nothing(void) {
  return true;
}

/* There is no memory at first, and then there is. */
static bool call_register(void) {
  atfork_id id = atfork_register_after_fork(nothing, NULL);
  if (id == 0) {
    child_check_int(errno, ==, ENOMEM);
    fault_disarm();
    id = atfork_register_after_fork(nothing, NULL);
  }
  return atfork_unregister(id) == 0;
}

static bool fork_in_each_way(void) {
  for (size_t i = 0; i < ways_count; i++) {
    way = ways[i].fork;
    in_torture_child(call_nothing, 1);
  }
  return true;
}
static bool register_in_a_child(void) {
  for (size_t i = 0; i < ways_count; i++) {
    way = ways[i].fork;
    in_torture_child(call_register, 1);
  }
  return true;
}

/* As many walks are under way as there are frames at hand. */
static int fork_deeply(const struct atfork_info *info, void *depth) {
  (void)info;
  if (++*(int *)depth < FRAMES_PER_BLOCK) return atfork_foreach(fork_deeply, depth);
  way = fork;
  in_torture_child(call_nothing, 1);
  return 7;
}
static bool fork_in_visits(void) {
  int depth = 0;
  child_check_int(atfork_foreach(fork_deeply, &depth), ==, 7);
  return true;
}

/* ---- With mutexes ---- */

static pthread_mutex_t mutexes[2];

static void have_mutexes(int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  torture_add_hooks();
  for (int i = 0; i < 2; i++) {
    pthread_mutex_init(&mutexes[i], &attributes);
    child_check_int((atfork_register_mutex)(&mutexes[i], i), !=, 0);
  }
  pthread_mutexattr_destroy(&attributes);
  torture_hooks += 2;
}
static void have_plain_mutexes(void) {
  have_mutexes(PTHREAD_MUTEX_NORMAL);
}
static void have_checking_mutexes(void) {
  have_mutexes(PTHREAD_MUTEX_ERRORCHECK);
}

static bool mutexes_are_free(void) {
  fault_disarm();
  for (int i = 0; i < 2; i++)
    if (pthread_mutex_trylock(&mutexes[i]) != 0 || pthread_mutex_unlock(&mutexes[i]) != 0) return false;
  return true;
}

static bool fork_with_mutexes(void) {
  way = fork;
  in_torture_child(mutexes_are_free, 1);
  return mutexes_are_free();
}

/* A thread of a child that a bypassing fork has made, with one of them: it is that thread's until it unlocks it. */
static struct gate locked, to_unlock;

static void *lock_until_told(void *unused) {
  child_check_int(pthread_mutex_lock(&mutexes[0]), ==, 0);
  gate_open(&locked);
  gate_wait(&to_unlock);
  child_check_int(pthread_mutex_unlock(&mutexes[0]), ==, 0);
  return unused;
}

static void tell_to_unlock(void) {
  gate_open(&to_unlock);
}

static bool fork_while_another_has_it(void) {
  pthread_t thread;
  gate_make(&locked);
  gate_make(&to_unlock);
  child_check_int(pthread_create(&thread, NULL, lock_until_told, NULL), ==, 0);
  gate_wait(&locked);
  fault_at_sleep = tell_to_unlock;
  way = fork;
  in_torture_child(call_nothing, 2);   /* the first run made good for the bypassing fork */
  child_check(fault_at_sleep == NULL); /* it has waited for the other thread */
  child_check_int(pthread_join(thread, NULL), ==, 0);
  return mutexes_are_free();
}

static bool fork_beside_owner_in_child(void) {
  way = fork_by_syscall;
  in_torture_child(fork_while_another_has_it, 1);
  return true;
}

/* ---- atfork_once(), while another thread is in the init ---- */

static struct atfork_once control = ATFORK_ONCE_INIT;
static struct gate in_init, to_return;
static int inits;

static void init_until_told(void *unused) {
  (void)unused;
  gate_open(&in_init);
  gate_wait(&to_return);
  inits++;
}
static void *be_in_init(void *unused) {
  (atfork_once)(&control, init_until_told, NULL);
  return unused;
}
static void end_init(void) {
  gate_open(&to_return);
}

static pthread_t initialiser;
static void have_another_in_init(void) {
  torture_add_hooks();
  gate_make(&in_init);
  gate_make(&to_return);
  child_check_int(pthread_create(&initialiser, NULL, be_in_init, NULL), ==, 0);
  gate_wait(&in_init);
  fault_at_sleep = end_init;
}

static bool wait_for_init(void) {
  (atfork_once)(&control, nothing, NULL);
  child_check_int(inits, ==, 1);
  return pthread_join(initialiser, NULL) == 0;
}

/* ---- Processes that were forked before any call ---- */

/* They take the number that their parent has noted for them, if that is their parent still, or has ended. */
static struct {
  char own[64], childs[64];
  pid_t child;
} * shared;

static void share_lineages(void) {
  shared = share(sizeof *shared);
}

static bool note_childs_lineage(void) {
  return atfork_lineage(shared->childs, sizeof shared->childs) > 0;
}

/* Neither this process nor its child has looked before the child does. */
static bool bypass_before_any_call(void) {
  way = fork_by_syscall;
  in_torture_child(note_childs_lineage, 0);
  child_check_int(atfork_lineage(shared->own, sizeof shared->own), >, 0);
  return strcmp(shared->own, shared->childs) != 0;
}

static struct gate parent_has_ended;

static void adopt_children(void) {
  share_lineages();
  gate_make(&parent_has_ended);
  child_check_int(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), ==, 0);
}

static bool parent_is_zombie;

/* Without /proc the child of a process that exists, or may exist, is named by its pid: a zombie exists. */
static void be_left_by_parent(void) {
  char parents[96];
  gate_wait(&parent_has_ended);
  note_childs_lineage();
  snprintf(parents, sizeof parents, "%s.1", shared->own);
  bool may_exist = parent_is_zombie || fault_has_refused("getpgid");
  bool is_unknown = may_exist && (fault_has_refused("open") || fault_has_refused("read"));
  size_t length = strlen(parents);
  bool is_right = is_unknown
                      ? is_pid_after(parents, shared->childs)
                      : strncmp(shared->childs, parents, length) == 0 && strcmp(shared->childs + length, ".1") == 0;
  if (!is_right) child_fails(__FILE__, __LINE__, shared->childs);
  torture_child_ends(0);
}

static bool be_left(bool by_zombie) {
  siginfo_t ended;
  parent_is_zombie = by_zombie;
  pid_t pid = fork();
  if (pid == 0) {
    pid_t child = fork();
    if (child == 0) be_left_by_parent();
    shared->child = child;
    _exit(0);
  }
  child_check_int(waitid(P_PID, (id_t)pid, &ended, by_zombie ? WEXITED | WNOWAIT : WEXITED), ==, 0);
  atfork_lineage(shared->own, sizeof shared->own);
  gate_open(&parent_has_ended);
  expect_passed(shared->child);
  return !by_zombie || waitpid(pid, NULL, 0) == pid;
}

/* The parent is a zombie: it has ended, and has its pid. */
static bool be_left_by_zombie(void) {
  return be_left(true);
}
static bool be_left_by_nobody(void) {
  return be_left(false);
}

/* A process that another parent has left to this one may be asking for its parent at that moment.  The other one is a
 * child of the process that has noted the number, so the number would not be this process's. */
static bool be_left_meanwhile(void) {
  pid_t other = fork();
  if (other == 0) {
    alarm(patience());
    for (;;) pause();
  }
  pid_t pid = fork();
  if (pid == 0) {
    fault_parent_before = other;
    note_childs_lineage();
    child_check(!AT_FIRST_CALL || fault_parent_before == 0); /* it has asked */
    torture_child_ends(0);
  }
  expect_passed(pid);
  kill(other, SIGKILL);
  child_check_int(waitpid(other, NULL, 0), ==, other);
  child_check_int(atfork_lineage(shared->own, sizeof shared->own), >, 0);
  size_t length = strlen(shared->own);
  return strncmp(shared->childs, shared->own, length) == 0 && strcmp(shared->childs + length, ".2") == 0;
}

static const struct scenario scenarios[] = {
    {"/torture/processes/generation", NULL, call_generation, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/lineage", NULL, call_lineage, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/place", NULL, call_place, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/run", NULL, call_run, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/seed", NULL, call_seed, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/seed-bytes", NULL, call_seed_bytes, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/token", NULL, call_token, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/child-token", NULL, call_child_token, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/spawned", NULL, call_spawned, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/adopt", NULL, call_adopt, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/launcher", NULL, call_launcher, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/poll", NULL, call_poll, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/mark", NULL, call_mark, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/once", NULL, call_atfork_once, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/foreach", NULL, call_foreach, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/unregister", NULL, call_unregister, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/once-and-wait", have_another_in_init, wait_for_init, NULL, 0, false, 2},
    {"/torture/processes/fork", torture_add_hooks, fork_in_each_way, NULL, 0, false, 0},
    {"/torture/processes/register-in-child", torture_add_hooks, register_in_a_child, NULL, 0, false, 2},
    {"/torture/processes/fork-in-visits", torture_add_hooks, fork_in_visits, NULL, 0, false, 1},
    {"/torture/processes/fork-with-mutexes", have_plain_mutexes, fork_with_mutexes, NULL, 0, false, 4},
    {"/torture/processes/mutex-of-another", have_plain_mutexes, fork_beside_owner_in_child, NULL, 0, false, 4},
    {"/torture/processes/checking-mutex-of-another", have_checking_mutexes, fork_beside_owner_in_child, NULL, 0, false,
     4},
    {"/torture/processes/bypass-before-any-call", share_lineages, bypass_before_any_call, NULL, 0, false,
     2 * AT_FIRST_CALL},
    {"/torture/processes/left-before-any-call", adopt_children, be_left_by_nobody, NULL, 0, false, AT_FIRST_CALL},
    {"/torture/processes/left-meanwhile-before-any-call", share_lineages, be_left_meanwhile, NULL, 0, false,
     AT_FIRST_CALL},
    {"/torture/processes/left-by-zombie-before-any-call", adopt_children, be_left_by_zombie, NULL, 0, false,
     2 * AT_FIRST_CALL},
};

static void run(gconstpointer of) {
  const struct scenario *scenario = of;
  if (is_emulated && scenario->arrange == adopt_children)
    g_test_skip("an emulator has no PR_SET_CHILD_SUBREAPER");
  else
    torture(scenario);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(scenarios); i++) g_test_add_data_func(scenarios[i].name, &scenarios[i], run);
  return g_test_run();
}
