/* SPDX-License-Identifier: MIT */
/* Bad input gets the documented errors, and changes nothing. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "callbacks.h"
#include "draw.h"
#include "hooks.h"

static int agree(void *unused) {
  (void)unused;
  return 0;
}

static int hooks(void) {
  int counter = 0;
  g_assert_cmpint(atfork_foreach(count_hook, &counter), ==, 0);
  return counter;
}

static void test_hooks(void) {
  static const struct {
    const char *what;
    struct atfork_hook hook;
    bool good;
  } table[] = {
      {"no callback", {.name = "x"}, false},
      {"only destroy", {.destroy = nothing}, false},
      {"prepare and try_prepare", {.prepare = nothing, .try_prepare = agree}, false},
      {"prepare and wait", {.prepare = nothing, .wait = nothing}, false},
      {"only wait", {.wait = nothing}, false},
      {"wait and child", {.wait = nothing, .child = nothing}, false},
      {"priority too low", {.priority = ATFORK_PRIORITY_MIN - 1, .child = nothing}, false},
      {"priority too high", {.priority = ATFORK_PRIORITY_MAX + 1, .child = nothing}, false},
      {"lowest int", {.priority = INT_MIN, .child = nothing}, false},
      {"highest int", {.priority = INT_MAX, .child = nothing}, false},
      {"lowest priority", {.priority = ATFORK_PRIORITY_MIN, .child = nothing}, true},
      {"highest priority", {.priority = ATFORK_PRIORITY_MAX, .child = nothing}, true},
      {"only prepare", {.prepare = nothing}, true},
      {"only try_prepare", {.try_prepare = agree}, true},
      {"try_prepare and wait", {.try_prepare = agree, .wait = nothing}, true},
      {"only parent", {.parent = nothing}, true},
      {"no name", {.name = NULL, .child = nothing}, true},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_test_message("%s", table[i].what);
    errno = 0;
    atfork_id id = atfork_register(&table[i].hook);
    g_assert_true((id != 0) == table[i].good);
    g_assert_cmpint(errno, ==, table[i].good ? 0 : EINVAL);
    g_assert_cmpint(hooks(), ==, table[i].good ? 1 : 0);
    unregister_all();
  }
}

static int is_this_one(const struct atfork_info *info, void *id) {
  return info->id == *(atfork_id *)id ? 1 : 0;
}

/* What FFIs call, where the macros have the compiler call another. */
static void test_plain_symbols(void) {
  atfork_id id = (atfork_register_after_fork)(nothing, NULL);
  g_assert_cmpint(atfork_foreach(is_this_one, &id), ==, 1);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  errno = 0;
  g_assert_cmpuint((atfork_register_after_fork)(NULL, NULL), ==, 0);
  g_assert_cmpint(errno, ==, EINVAL);
  g_assert_cmpint(hooks(), ==, 0);
}

static void test_null(void) {
  const struct atfork_hook *none = NULL;
  errno = 0;
  g_assert_cmpuint(atfork_register(none), ==, 0);
  g_assert_cmpint(errno, ==, EINVAL);
  errno = 0;
  g_assert_cmpuint((atfork_register)(NULL), ==, 0);
  g_assert_cmpint(errno, ==, EINVAL);
  errno = 0;
  g_assert_cmpuint(atfork_register_after_fork(NULL, NULL), ==, 0);
  g_assert_cmpint(errno, ==, EINVAL);
  errno = 0;
  g_assert_cmpint(atfork_foreach(NULL, NULL), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
  errno = 0;
  g_assert_cmpint(atfork_lineage(NULL, 5), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
  g_assert_cmpint(atfork_lineage(NULL, 0), ==, 1);
  errno = 0;
  g_assert_cmpint(atfork_token(NULL, 5), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
  g_assert_cmpint(hooks(), ==, 0);
}

static void test_ids(void) {
  atfork_id id = atfork_register_after_fork(nothing, NULL);
  atfork_id other = atfork_register(&(struct atfork_hook){.priority = 7, .child = nothing});
  g_assert_cmpint(atfork_unregister(other), ==, 0);
  const atfork_id table[] = {0,
                             1,
                             other,
                             id + 1,
                             id - 1,
                             id ^ (UINT64_C(1) << 48),
                             id | 0x0000ffffffff0000,
                             UINT64_MAX,
                             UINT64_MAX - 1,
                             UINT64_C(0x8000000000000000),
                             UINT64_C(0x7fffffffffffffff)};
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    errno = 0;
    g_assert_cmpint(atfork_unregister(table[i]), ==, -1);
    g_assert_cmpint(errno, ==, ENOENT);
  }
  uint64_t random = 7;
  for (int i = 0; i < 100000; i++) {
    atfork_id garbage = draw(&random);
    if (garbage != id) g_assert_cmpint(atfork_unregister(garbage), ==, -1);
  }
  g_assert_cmpint(hooks(), ==, 1);
  errno = 0;
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  g_assert_cmpint(errno, ==, 0);
}

static int compare(const struct atfork_info *info, void *wanted) {
  const struct atfork_info *other = wanted;
  g_assert_cmpuint(info->id, ==, other->id);
  g_assert_cmpuint(info->generation, ==, other->generation);
  g_assert_cmpstr(info->hook.name, ==, other->hook.name);
  g_assert_cmpint(info->hook.priority, ==, other->hook.priority);
  g_assert_true(info->hook.prepare == other->hook.prepare);
  g_assert_true(info->hook.parent == other->hook.parent);
  g_assert_true(info->hook.child == other->hook.child);
  g_assert_true(info->hook.try_prepare == other->hook.try_prepare);
  g_assert_true(info->hook.wait == other->hook.wait);
  g_assert_true(info->hook.data == other->hook.data);
  g_assert_true(info->hook.destroy == other->hook.destroy);
  return 1;
}

static void test_what_foreach_shows(void) {
  char name[] = "a name that is copied";
  struct atfork_info wanted = {
      .hook = {.name = name, .priority = -3, .parent = nothing, .try_prepare = agree, .wait = nothing, .data = name}};
  wanted.id = atfork_register(&wanted.hook);
  name[0] = 'X';
  wanted.hook.name = "a name that is copied";
  g_assert_cmpint(atfork_foreach(compare, &wanted), ==, 1);
  unregister_all();
  wanted = (struct atfork_info){.hook = {.name = NULL, .prepare = nothing, .child = nothing, .destroy = nothing}};
  wanted.id = atfork_register(&wanted.hook);
  wanted.hook.name = "";
  g_assert_cmpint(atfork_foreach(compare, &wanted), ==, 1);
  unregister_all();
}

static int unregister_it(const struct atfork_info *info, void *counter) {
  ++*(int *)counter;
  g_assert_cmpint(atfork_unregister(info->id), ==, 0);
  return 0;
}

static void test_unregister_in_foreach(void) {
  int counter = 0;
  for (int i = 0; i < 100; i++) atfork_register_after_fork(nothing, NULL);
  g_assert_cmpint(atfork_foreach(unregister_it, &counter), ==, 0);
  g_assert_cmpint(counter, ==, 100);
  g_assert_cmpint(hooks(), ==, 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/arguments/hooks", test_hooks);
  g_test_add_func("/arguments/plain-symbols", test_plain_symbols);
  g_test_add_func("/arguments/null", test_null);
  g_test_add_func("/arguments/ids", test_ids);
  g_test_add_func("/arguments/what-foreach-shows", test_what_foreach_shows);
  g_test_add_func("/arguments/unregister-in-foreach", test_unregister_in_foreach);
  return g_test_run();
}
