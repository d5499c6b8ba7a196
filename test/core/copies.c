/* SPDX-License-Identifier: MIT */
/*
 * Promise 15: one registry in a process, however many copies of the library are in it.  Which copy serves is decided as
 * they are loaded, so each case is a process of its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callbacks.h"
#include "copy.h"
#include "forks.h"

/* ---- Copies, by where they are ---- */

#ifdef IN_PROGRAM
static const char *const places[] = {NULL, SHARED, SECOND, STATIC};
#else
static const char *const places[] = {SHARED, SECOND, STATIC};
#endif

/* Its copy is a static one, and it joins: so it can be unloaded. */
#define JOINER STATIC

static void *object_of(const char *place) {
  void *object = dlopen(place, RTLD_NOW | RTLD_LOCAL);
  if (object == NULL) child_fails(__FILE__, __LINE__, dlerror());
  return object;
}

static const struct copy *copy_in(void *object) {
  return ((const struct copy *(*)(void))(uintptr_t)dlsym(object, "copy_here"))();
}

static const struct copy *load(const char *place) {
#ifdef IN_PROGRAM
  if (place == NULL) return copy_here();
#endif
  return copy_in(object_of(place));
}

static bool is_loaded(const char *place) {
  void *object = dlopen(place, RTLD_NOW | RTLD_NOLOAD);
  if (object != NULL) dlclose(object);
  return object != NULL;
}

/* ---- Each pair of copies, in a process of its own ---- */

static const char *first_place, *second_place;
static const struct copy *first, *second;
static void (*the_case)(void);

static void load_both(void) {
  first = load(first_place);
  second = load(second_place);
  the_case();
}

static void for_each_pair(void (*body)(void)) {
  the_case = body;
  for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
    for (size_t j = 0; j < G_N_ELEMENTS(places); j++) {
      first_place = places[i];
      second_place = places[j];
      if (i != j) in_child(fork, load_both);
    }
  }
}

static char log_of_calls[32];

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

static atfork_id add(const struct copy *of, int priority, const char *letter) {
  struct atfork_hook hook = noting(priority, letter);
  atfork_id id = of->add(&hook);
  child_check(id != 0);
  return id;
}

static void check_log(const char *expected, const char *where) {
  if (strcmp(log_of_calls, expected) == 0) return;
  dprintf(STDERR_FILENO, "%s: ran %s, not %s\n", where, log_of_calls, expected);
  child_fails(__FILE__, __LINE__, "the order of the calls");
}

/* ---- Hooks ---- */

static void expect_abc(void) {
  check_log("cbaabc", "child");
}

static void order_case(void) {
  add(first, 10, "c");
  add(second, -5, "a");
  add(first, 0, "b");
  in_child(fork, expect_abc);
  check_log("cbaabc", "parent");
}

static void test_order(void) {
  for_each_pair(order_case);
}

static int note_name(const struct atfork_info *info, void *unused) {
  (void)unused;
  note((void *)(uintptr_t)info->hook.name);
  return 0;
}

static void unregister_case(void) {
  atfork_id ids[] = {add(first, 0, "a"), add(second, 0, "b"), add(first, 0, "c")};
  child_check(ids[0] != ids[1] && ids[1] != ids[2]);
  child_check_int(first->foreach (note_name, NULL), ==, 0);
  check_log("abc", "the first's foreach");
  child_check_int(second->unregister(ids[0]), ==, 0);
  child_check_int(first->unregister(ids[1]), ==, 0);
  child_check_int(first->unregister(ids[0]), ==, -1);
  memset(log_of_calls, 0, sizeof log_of_calls);
  child_check_int(second->foreach (note_name, NULL), ==, 0);
  check_log("c", "the second's foreach");
}

static void test_unregister(void) {
  for_each_pair(unregister_case);
}

/* ---- Who the process is ---- */

static char here[64];

static void check_lineage(const struct copy *of, const char *expected) {
  char lineage[64];
  child_check(of->lineage(lineage, sizeof lineage) < (int)sizeof lineage);
  if (strcmp(lineage, expected) == 0) return;
  dprintf(STDERR_FILENO, "lineage %s, not %s\n", lineage, expected);
  child_fails(__FILE__, __LINE__, "the lineage");
}

static uint64_t generation_before;

static void check_both(unsigned deeper, const char *suffix) {
  char expected[96];
  g_snprintf(expected, sizeof expected, "%s%s", here, suffix);
  check_lineage(first, expected);
  check_lineage(second, expected);
  child_check_int(first->generation(), ==, generation_before + deeper);
  child_check_int(second->generation(), ==, generation_before + deeper);
  child_check(first->seed(42) == second->seed(42));
}

static void is_the_first_child(void) {
  check_both(1, ".1");
}
static void is_the_fourth_child(void) {
  check_both(1, ".4");
}

/* Where the process is made before the copies are loaded, it is the root. */
static void note_here(void) {
  generation_before = first->generation();
  first->lineage(here, sizeof here);
#ifndef IN_PROGRAM
  child_check_int(generation_before, ==, 0);
#endif
}

static void check_token(const struct copy *of, const char *suffix) {
  char token[1024], expected[96];
  child_check(of->token(token, sizeof token) < (int)sizeof token);
  g_snprintf(expected, sizeof expected, ":%s%s:", here, suffix);
  child_check(strstr(token, expected) != NULL);
}

static void lineage_case(void) {
  note_here();
  child_check(first->mark() == second->mark());
  child_check(strcmp(first->version(), second->version()) == 0);
  in_child(fork, is_the_first_child);
  check_token(first, ".2");
  check_token(second, ".3");
  in_child(fork, is_the_fourth_child);
}

static void test_lineage(void) {
  for_each_pair(lineage_case);
}

/* The process's place, whichever copy has taken it. */
static void spawned_case(void) {
  char token[1024];
  note_here();
  if (generation_before > 0) return; /* the program was there before the fork that made this process */
  add(second, 0, "a");
  first->token(token, sizeof token);
  child_check_int(first->spawned(token), ==, 0);
  check_both(1, ".1");
  check_log("a", "spawned");
  child_check_int(second->spawned(token), ==, -1);
  child_check_int(errno, ==, EALREADY);
}

static void test_spawned(void) {
  for_each_pair(spawned_case);
}

static struct atfork_once control;
static int inits;

static void init(void *unused) {
  (void)unused;
  inits++;
}

static void expect_another(void) {
  second->once(&control, init, NULL);
  first->once(&control, init, NULL);
  child_check_int(inits, ==, 2);
}

static void once_case(void) {
  for (int i = 0; i < 2; i++) {
    first->once(&control, init, NULL);
    second->once(&control, init, NULL);
  }
  child_check_int(inits, ==, 1);
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, expect_another);
}

static void test_once(void) {
  for_each_pair(once_case);
}

static void expect_bypassed(void) {
  child_check_int(second->generation(), ==, generation_before + 1);
  child_check_int(first->generation(), ==, generation_before + 1);
  child_check_int(second->poll(), ==, 2);
  child_check_int(first->poll(), ==, 0);
  check_log("ab", "poll");
}

static void bypass_case(void) {
  note_here();
  add(first, 10, "b");
  add(second, -5, "a");
  in_child(fork_by_syscall, expect_bypassed);
  in_child(fork_by_clone, expect_bypassed);
}

static void test_bypass(void) {
  for_each_pair(bypass_case);
}

/* ---- A fork between the load of the one and that of the other ---- */

static void load_second_and_check(void) {
  second = load(second_place);
  check_both(1, ".1");
}

static void load_second_there_and_check(void) {
  second = load(second_place);
  child_check_int(second->generation(), ==, generation_before + 1);
  child_check(second->seed(1) == first->seed(1) && second->seed(1) != 0);
}

static void load_first_and_fork(void) {
  first = load(first_place);
  note_here();
  in_child(fork, load_second_and_check);
  in_child(fork_by_clone, load_second_there_and_check);
}

static void test_fork_between(void) {
  first_place = places[0];
  second_place = STATIC;
  in_child(fork, load_first_and_fork);
}

/* Two that one dlopen() brings: neither has been initialised when both can be seen. */
static void load_pair(void) {
  object_of(PAIR);
  child_check(is_loaded(SHARED) && is_loaded(STATIC));
  first = load(SHARED);
  second = load(STATIC);
  order_case();
}

static void test_at_once(void) {
  in_child(fork, load_pair);
}

/* ---- dlclose ---- */

#ifndef IN_PROGRAM
static void is_mapped_still(void) {
  check_log("baab", "with the serving copy");
  check_lineage(second, "0.1");
}

/* It was the first, so others may call it: though it is a plugin's, it stays. */
static void close_serving(void) {
  void *object = object_of(STATIC);
  first = copy_in(object);
  second = load(SHARED);
  add(first, 0, "a");
  add(second, 0, "b");
  child_check_int(dlclose(object), ==, 0);
  child_check(is_loaded(STATIC));
  in_child(fork, is_mapped_still);
}

static void test_serving_stays(void) {
  in_child(fork, close_serving);
}
#endif

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void joined_is_gone(void) {
  check_log("aa", "without the joined copy");
  child_check_int(pthread_mutex_trylock(&mutex), ==, 0);
}

/* With its hooks; but not those of nobody's, of which the serving copy has the code. */
static void close_joined(void) {
  first = load(places[0]);
  add(first, 0, "a");
  for (int i = 0; i < 2; i++) {
    void *object = object_of(JOINER);
    second = copy_in(object);
    add(second, 0, "b");
    atfork_id id = second->add_mutex(&mutex);
    child_check_int(dlclose(object), ==, 0);
    child_check(!is_loaded(JOINER));
    memset(log_of_calls, 0, sizeof log_of_calls);
    in_child(fork, joined_is_gone);
    check_log("aa", "in the parent");
    child_check_int(first->unregister(id), ==, 0);
  }
}

static void test_joined_goes(void) {
  in_child(fork, close_joined);
}

/* ---- exit ---- */

static int *destroyed;

static void ignore(void *unused) {
  (void)unused;
}

static void exit_there(void) {
  exit(CHILD_PASSED);
}

/* In whichever order the copies and their plugins are brought to their ends. */
static void exit_case(void) {
  destroyed = share(sizeof *destroyed);
  struct atfork_hook hook = {.child = ignore, .data = destroyed, .destroy = increment};
  child_check(first->add(&hook) != 0 && second->add(&hook) != 0);
  in_child(fork, exit_there);
  child_check_int(*destroyed, ==, 2);
}

static void test_exit(void) {
  for_each_pair(exit_case);
}

/* ---- Threads that load a copy each, at once ---- */

static void *load_in_thread(void *place) {
  return (void *)(uintptr_t)load(place)->mark();
}

static void load_in_threads(void) {
  static const char *const plugins[] = {SHARED, SECOND, STATIC};
  pthread_t threads[G_N_ELEMENTS(plugins)];
  void *marks[G_N_ELEMENTS(plugins)];
  for (size_t i = 0; i < G_N_ELEMENTS(plugins); i++)
    child_check_int(pthread_create(&threads[i], NULL, load_in_thread, (void *)(uintptr_t)plugins[i]), ==, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(plugins); i++) child_check_int(pthread_join(threads[i], &marks[i]), ==, 0);
  child_check(marks[0] == marks[1] && marks[1] == marks[2]);
}

/* None with valgrind, which reports as lost what the dynamic linker has noted elsewhere. */
static void test_threads_load(void) {
  for (int round = 0; round < rounds(49); round++) in_child(fork, load_in_threads);
}

/* ---- What is said ---- */

static int said;

static void listen(void) {
  char path[] = "/tmp/atfork-copies-XXXXXX";
  said = mkstemp(path);
  child_check(said >= 0);
  child_check_int(unlink(path), ==, 0);
  child_check_int(dup2(said, STDERR_FILENO), ==, STDERR_FILENO);
}

/* Nothing, or one line. */
static void check_said(const char *expected) {
  char text[512];
  ssize_t length = pread(said, text, sizeof text - 1, 0);
  child_check(length >= 0);
  text[length] = '\0';
  if (strcmp(text, expected) != 0) child_fails(__FILE__, __LINE__, "what is said");
  child_check_int(ftruncate(said, 0), ==, 0);
  child_check_int(lseek(said, 0, SEEK_SET), ==, 0);
}

static void check_hooks(const struct copy *of, const char *expected) {
  memset(log_of_calls, 0, sizeof log_of_calls);
  child_check_int(of->foreach (note_name, NULL), ==, 0);
  check_log(expected, "foreach");
}

/* A third copy finds one of its own protocol, though not in the first that it meets. */
static void mismatch_case(void) {
  listen();
  first = load(places[0]);
  second = load(OTHER);
  char expected[256];
  g_snprintf(expected, sizeof expected,
             "atfork: version %s is loaded beside version %s, and their protocols differ: each has hooks and a lineage "
             "of its own\n",
             second->version(), first->version());
  check_said(expected);
  const struct copy *third = load(STATIC);
  check_said("");
  child_check(third->mark() == first->mark() && first->mark() != second->mark());
  add(first, 10, "b");
  add(second, 0, "c");
  add(third, -5, "a");
  check_hooks(first, "ab");
  check_hooks(second, "c");
  check_hooks(third, "ab");
}

static void test_protocols_differ(void) {
  in_child(fork, mismatch_case);
}

#ifndef IN_PROGRAM
static void unpinned_case(void) {
  listen();
  object_of(UNPINNED);
  check_said("atfork: " UNPINNED " serves this process, and cannot be kept from being unloaded\n");
}

static void test_cannot_stay(void) {
  in_child(fork, unpinned_case);
}
#endif

/* ---- Notes that make no sense ---- */

enum { WHOLE = 1 << 20 };

struct oddity {
  uintptr_t address;
  uintptr_t size; /* WHOLE: that of what is loaded first */
};

/* A shared object whose notes are said to be elsewhere. */
static void write_odd(const char *path, struct oddity oddity) {
  gchar *file;
  gsize size;
  child_check(g_file_get_contents(PLAIN, &file, &size, NULL));
  ElfW(Ehdr) *head = (ElfW(Ehdr) *)(void *)file;
  ElfW(Phdr) *parts = (ElfW(Phdr) *)(void *)(file + head->e_phoff);
  unsigned loaded = 0;
  while (parts[loaded].p_type != PT_LOAD) loaded++;
  if (oddity.size == WHOLE) oddity.size = parts[loaded].p_filesz;
  for (unsigned i = 0; i < head->e_phnum; i++) {
    if (parts[i].p_type != PT_NOTE) continue;
    parts[i].p_vaddr = oddity.address;
    parts[i].p_filesz = parts[i].p_memsz = oddity.size;
    parts[i].p_align = sizeof(void *) == 4 ? 8 : 4; /* of its own alignment, the dynamic linker reads them itself */
  }
  child_check(g_file_set_contents(path, file, (gssize)size, NULL));
  g_free(file);
}

static void odd_case(void) {
  static const struct oddity oddities[] = {{UINTPTR_MAX / 2, 64},
                                           {UINTPTR_MAX, 2},
                                           {0, UINTPTR_MAX},
                                           {4, WHOLE},
                                           {0, WHOLE},
                                           {0, 0},
                                           {0, 3},
                                           {1, 63},
                                           {2, 23}};
  char directory[] = "/tmp/atfork-copies-XXXXXX", path[64];
  child_check(mkdtemp(directory) != NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(oddities); i++) {
    g_snprintf(path, sizeof path, "%s/%zu.so", directory, i);
    write_odd(path, oddities[i]);
    void *odd = dlopen(path, RTLD_NOW);
    unlink(path);
    if (odd == NULL) child_fails(__FILE__, __LINE__, dlerror());
  }
  rmdir(directory);
  the_case = order_case;
  first_place = places[0];
  second_place = STATIC;
  load_both();
}

static void test_odd_notes(void) {
  in_child(fork, odd_case);
}

#ifdef IN_PROGRAM
/* ---- A call that comes before the copy has been initialised ---- */

static char early_lineage[64] = "0";

/* A sanitizer's own state is not there as early as that. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void call_early(void) {
  atfork_lineage(early_lineage, sizeof early_lineage);
}

__attribute__((section(".preinit_array"), used)) static void (*const first_call)(void) = call_early;
#endif

static void test_first_call(void) {
  g_assert_cmpstr(early_lineage, ==, "0");
}
#endif

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/copies/order", test_order);
  g_test_add_func("/copies/unregister", test_unregister);
  g_test_add_func("/copies/lineage", test_lineage);
  g_test_add_func("/copies/spawned", test_spawned);
  g_test_add_func("/copies/once", test_once);
  g_test_add_func("/copies/bypass", test_bypass);
  g_test_add_func("/copies/fork-between", test_fork_between);
  g_test_add_func("/copies/at-once", test_at_once);
  g_test_add_func("/copies/joined-goes", test_joined_goes);
  g_test_add_func("/copies/exit", test_exit);
  add_race("/copies/threads-load", test_threads_load);
  g_test_add_func("/copies/protocols-differ", test_protocols_differ);
  g_test_add_func("/copies/odd-notes", test_odd_notes);
#ifdef IN_PROGRAM
  g_test_add_func("/copies/first-call", test_first_call);
#else
  g_test_add_func("/copies/serving-stays", test_serving_stays);
  g_test_add_func("/copies/cannot-stay", test_cannot_stay);
#endif
  return g_test_run();
}
