/* SPDX-License-Identifier: MIT */
#include "loading.h"

#include <dlfcn.h>
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"

/* ---- Copies, by where they are ---- */

#ifdef IN_PROGRAM
const char *const places[] = {NULL, SHARED, SECOND, STATIC};
#else
const char *const places[] = {SHARED, SECOND, STATIC};
#endif

void *object_of(const char *place) {
  void *object = dlopen(place, RTLD_NOW | RTLD_LOCAL);
  if (object == NULL) child_fails(__FILE__, __LINE__, dlerror());
  return object;
}

const struct copy *copy_in(void *object) {
  return ((const struct copy *(*)(void))(uintptr_t)dlsym(object, "copy_here"))();
}

const struct copy *load(const char *place) {
#ifdef IN_PROGRAM
  if (place == NULL) return copy_here();
#endif
  return copy_in(object_of(place));
}

bool is_loaded(const char *place) {
  void *object = dlopen(place, RTLD_NOW | RTLD_NOLOAD);
  if (object != NULL) dlclose(object);
  return object != NULL;
}

/* ---- Each pair of copies, in a process of its own ---- */

const char *first_place, *second_place;
const struct copy *first, *second;
void (*the_case)(void);

void load_both(void) {
  first = load(first_place);
  second = load(second_place);
  the_case();
}

void for_each_pair(void (*body)(void)) {
  the_case = body;
  for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
    for (size_t j = 0; j < G_N_ELEMENTS(places); j++) {
      first_place = places[i];
      second_place = places[j];
      if (i != j) in_child(fork, load_both);
    }
  }
}

char log_of_calls[32];

static void note(void *letter) {
  size_t length = strlen(log_of_calls);
  if (length + 1 < sizeof log_of_calls) log_of_calls[length] = *(const char *)letter;
}

static struct atfork_hook noting(int priority, const char *letter) {
  return (struct atfork_hook){.name = letter,
                              .priority = priority,
                              .prepare = note,
                              .parent = note,
                              .child = note,
                              .data = (void *)(uintptr_t)letter};
}

atfork_id add(const struct copy *of, int priority, const char *letter) {
  struct atfork_hook hook = noting(priority, letter);
  atfork_id id = of->add(&hook);
  child_check(id != 0);
  return id;
}

int note_name(const struct atfork_info *info, void *unused) {
  (void)unused;
  note((void *)(uintptr_t)info->hook.name);
  return 0;
}

void check_log(const char *expected, const char *where) {
  if (strcmp(log_of_calls, expected) == 0) return;
  dprintf(STDERR_FILENO, "%s: ran %s, not %s\n", where, log_of_calls, expected);
  child_fails(__FILE__, __LINE__, "the order of the calls");
}

void check_lineage(const struct copy *of, const char *expected) {
  char lineage[64];
  child_check(of->lineage(lineage, sizeof lineage) < (int)sizeof lineage);
  if (strcmp(lineage, expected) == 0) return;
  dprintf(STDERR_FILENO, "lineage %s, not %s\n", lineage, expected);
  child_fails(__FILE__, __LINE__, "the lineage");
}

/* ---- Hooks ---- */

static void expect_abc(void) {
  check_log("cbaabc", "child");
}

void order_case(void) {
  add(first, 10, "c");
  add(second, -5, "a");
  add(first, 0, "b");
  in_child(fork, expect_abc);
  check_log("cbaabc", "parent");
}
