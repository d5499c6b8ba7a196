/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"
#include "patience.h"

/* ---- Hooks, and what a child sees of them ---- */

enum { BASE = 3 };
static int ran[BASE]; /* how often each of the hooks that are always there ran in this process */
atfork_id under_way;
int destroyed;
static int others_before; /* how many other hooks there were before the call */

void add_base(void) {
  for (int i = 0; i < BASE; i++)
    atfork_register(&(struct atfork_hook){.priority = i - 1, .child = increment, .data = &ran[i]});
}

bool base_ran(void) {
  return ran[0] != 0;
}

struct view {
  int base;
  bool in_order;
  bool has_under_way;
  int others;
};

static int look_at(const struct atfork_info *info, void *arg) {
  struct view *view = arg;
  if (info->hook.child == increment && info->hook.data >= (void *)ran && info->hook.data < (void *)(ran + BASE)) {
    view->in_order &= info->hook.data == &ran[view->base];
    view->base++;
  } else if (info->id == under_way) {
    view->has_under_way = true;
  } else {
    view->others++;
  }
  return 0;
}

static struct view look(void) {
  struct view view = {.in_order = true};
  child_check_int(atfork_foreach(look_at, &view), ==, 0);
  return view;
}

static void hooks_ran(int times) {
  for (int i = 0; i < BASE; i++) child_check_int(ran[i], ==, times);
}

static bool hooks_ran_again(void) {
  return ran[0] == 2;
}

static void grandchild(void) {
  child_check(hooks_ran_again());
  child_check_int(atfork_poll(), ==, 0);
}

void use_everything(bool bypassed) {
  char text[1024];
  static struct atfork_once once;
  alarm(patience());
  child_check_int(atfork_generation(), ==, 1);
  hooks_ran(bypassed ? 0 : 1);
  struct view view = look();
  child_check_int(view.base, ==, BASE);
  child_check(view.in_order);
  child_check_int(view.others, <=, others_before + 1);
  int polled = atfork_poll();
  child_check_int(polled, >=, bypassed ? BASE : 0);
  child_check_int(polled, <=, bypassed ? BASE + 1 : 0);
  hooks_ran(1);
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = 7, .parent = nothing});
  child_check_int(id, !=, 0);
  child_check_int(look().others, ==, view.others + 1);
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(atfork_unregister(id), ==, -1);
  child_check_int(atfork_lineage(text, sizeof text), ==, strlen(text));
  child_check_int(atfork_token(text, sizeof text), ==, strlen(text));
  child_check_int(atfork_seed(1), !=, atfork_seed(2));
  atfork_once(&once, nothing, NULL);
  in_child(fork, grandchild);
  hooks_ran(1);
}

bool has_under_way(void) {
  return look().has_under_way;
}

/* ---- Calls ---- */

static atfork_id id;
static int result;
static struct atfork_once once;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char text[1024];

void no_arrangement(void) {
}
static void expect_registered(void) {
  child_check_int(id, !=, 0);
  child_check_int(atfork_unregister(id), ==, 0);
}
static void expect_zero(void) {
  child_check_int(result, ==, 0);
}
static void expect_length(void) {
  child_check_int(result, ==, strlen(text));
}
static void expect_generation(void) {
  child_check_int(result, <=, 1);
}

static void call_register(void) {
  id = atfork_register(&(struct atfork_hook){.name = "stepped", .parent = nothing});
}
static void call_register_at_new_priority(void) {
  static int priority = 1000;
  id = atfork_register(&(struct atfork_hook){.priority = priority++ * 31 % 30000, .parent = nothing});
}
static void call_register_after_fork(void) {
  id = atfork_register_after_fork(nothing, NULL);
}
static void call_register_mutex(void) {
  id = atfork_register_mutex(&mutex, 3);
}

/* So many that the next one needs a new chunk. */
static atfork_id filling[64];
static int filled;
static void fill_chunk(void) {
  for (filled = 0; filled < 8; filled++)
    filling[filled] = atfork_register(&(struct atfork_hook){.priority = 400, .parent = nothing});
}
static void call_register_in_new_chunk(void) {
  id = atfork_register(&(struct atfork_hook){.priority = 400, .parent = nothing});
}
static void expect_registered_beside_others(void) {
  expect_registered();
  for (int i = 0; i < filled; i++) child_check_int(atfork_unregister(filling[i]), ==, 0);
}

static void arrange_unregister(void) {
  destroyed = 0;
  under_way = atfork_register(
      &(struct atfork_hook){.priority = 5, .parent = nothing, .data = &destroyed, .destroy = increment});
  g_assert_cmpuint(under_way, !=, 0);
}
static void call_unregister(void) {
  result = atfork_unregister(under_way);
}
static void expect_unregistered(void) {
  child_check_int(result, ==, 0);
  child_check_int(destroyed, ==, 1);
  child_check_int(atfork_unregister(under_way), ==, -1);
  under_way = 0;
}

/* So many are dead that the next unregistration renews the table. */
static void arrange_renewal(void) {
  atfork_id many[80];
  for (int i = 0; i < 80; i++) many[i] = atfork_register(&(struct atfork_hook){.priority = 9, .parent = nothing});
  arrange_unregister();
  for (int i = 0; i < 66; i++) g_assert_cmpint(atfork_unregister(many[i]), ==, 0);
  memcpy(filling, many + 66, 14 * sizeof *many);
  filled = 14;
}
static void call_unregister_all(void) {
  for (int i = 0; i < filled; i++) result |= atfork_unregister(filling[i]);
  call_unregister();
}

static void call_generation(void) {
  result = (int)(atfork_generation)();
}
static void call_lineage(void) {
  result = atfork_lineage(text, sizeof text);
}
static void call_token(void) {
  result = atfork_token(text, sizeof text);
}
static void call_seed(void) {
  result = atfork_seed(1) == atfork_seed(2);
}
static void call_poll(void) {
  atfork_poll();
  result = 0;
}
static void call_atfork_once(void) {
  (atfork_once)(&once, nothing, NULL);
}
static void arrange_once(void) {
  memset(&once, 0, sizeof once);
}
static void call_foreach(void) {
  struct view view = {.in_order = true};
  result = atfork_foreach(look_at, &view);
}

const struct call calls[] = {
    {"register", no_arrangement, call_register, expect_registered, true},
    {"register-at-new-priority", no_arrangement, call_register_at_new_priority, expect_registered, false},
    {"register-in-new-chunk", fill_chunk, call_register_in_new_chunk, expect_registered_beside_others, false},
    {"register_after_fork", no_arrangement, call_register_after_fork, expect_registered, false},
    {"register_mutex", no_arrangement, call_register_mutex, expect_registered, false},
    {"unregister", arrange_unregister, call_unregister, expect_unregistered, true},
    {"unregister-and-renew-table", arrange_renewal, call_unregister_all, expect_unregistered, false},
    {"generation", no_arrangement, call_generation, expect_generation, false},
    {"lineage", no_arrangement, call_lineage, expect_length, false},
    {"token", no_arrangement, call_token, expect_length, false},
    {"seed", no_arrangement, call_seed, expect_zero, false},
    {"poll", no_arrangement, call_poll, expect_zero, false},
    {"once", arrange_once, call_atfork_once, no_arrangement, false},
    {"foreach", no_arrangement, call_foreach, expect_zero, false},
};

const size_t calls_count = G_N_ELEMENTS(calls);

void arrange_call(const struct call *call) {
  result = 0;
  memset(ran, 0, sizeof ran);
  call->arrange();
  others_before = look().others;
}
