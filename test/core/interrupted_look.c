/* SPDX-License-Identifier: MIT */
/*
 * Promise 8: the child of a fork before the first call has the lineage of its number, also where a signal handler
 * looks, or forks, in the middle of its first look.
 */
#include <atfork.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "forks.h"
#include "steps.h"
#include "transient.h" /* the library's own */

static int forks; /* before the first call, of which there is none here */
static int instructions;
static bool *has_acted; /* shared */
static void (*action)(void);

static bool is_counted_down(const ucontext_t *context) {
  (void)context;
  return (atfork_transient->self & 1) != 0 && instructions-- == 0; /* the identity is being made */
}

static void look(void) {
  atfork_generation();
}

static void check_lineage(const char *end) {
  char lineage[64], wanted[64];
  snprintf(wanted, sizeof wanted, "0.%d%s", forks, end);
  atfork_lineage(lineage, sizeof lineage);
  if (strcmp(lineage, wanted) != 0) child_fails(__FILE__, __LINE__, lineage);
}

static void is_first_child(void) {
  check_lineage(".1");
}

static void fork_there(void) {
  in_child(fork, is_first_child);
}

static void act(void) {
  *has_acted = true;
  action();
}

static void look_interrupted(void) {
  interrupt(look, is_counted_down, act);
  check_lineage("");
}

static void test_at_many_instructions(void) {
  const int stride = has_more_instructions() ? 29 : 7;
  int step = 0;
  has_acted = share(sizeof *has_acted);
  do {
    *has_acted = false;
    instructions = step;
    forks++;
    in_child(fork, look_interrupted);
    step += stride;
  } while (*has_acted);
  g_test_message("%d instructions", step);
  g_assert_cmpint(step, >, 50);
}

static void test_looks(void) {
  action = look;
  test_at_many_instructions();
}

static void test_forks(void) {
  action = fork_there;
  test_at_many_instructions();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/interrupted-look/looks", test_looks);
  g_test_add_func("/interrupted-look/forks", test_forks);
  return g_test_run();
}
