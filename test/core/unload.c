/* SPDX-License-Identifier: MIT */
/*
 * Promises 6 and 14: a hook is unregistered with its shared object, at dlclose and at exit; the library itself stays
 * loaded.
 */
#include <atfork.h>
#include <dlfcn.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"
#include "programs.h"

static int ran;

void plugin_ran(void); /* called by the plugin */
void plugin_ran(void) {
  ran++;
}

static void ran_in_the_child(void) {
  child_check_int(ran, ==, 1);
}
static void ran_nowhere(void) {
  child_check_int(ran, ==, 0);
}

/* It comes back at the same address, and must be noticed again. */
static void test_dlclose(void) {
  for (int round = 0; round < rounds(1000); round++) {
    int counter = 0;
    void *plugin = dlopen(PLUGIN, RTLD_NOW);
    g_assert_true(plugin != NULL);
    void (*plug_in)(void) = (void (*)(void))(uintptr_t)dlsym(plugin, "plug_in");
    g_assert_true(plug_in != NULL);
    plug_in();
    in_child(fork, ran_in_the_child);
    g_assert_cmpint(dlclose(plugin), ==, 0);
    g_assert_true(dlopen(PLUGIN, RTLD_NOW | RTLD_NOLOAD) == NULL);
    in_child(fork, ran_nowhere);
    atfork_foreach(count_hook, &counter);
    g_assert_cmpint(counter, ==, 0);
  }
}

/* ---- dlclose in a callback, and in a visitor ---- */

static void *loaded;

static void load_by(const char *function, int hooks) {
  loaded = dlopen(PLUGIN, RTLD_NOW);
  g_assert_true(loaded != NULL);
  void (*plug_in)(void) = (void (*)(void))(uintptr_t)dlsym(loaded, function);
  for (int i = 0; i < hooks; i++) plug_in();
}

static void load(int hooks) {
  load_by("plug_in", hooks);
}

static void unload(void *unused) {
  (void)unused;
  if (loaded != NULL) g_assert_cmpint(dlclose(loaded), ==, 0);
  if (loaded != NULL) g_assert_true(dlopen(PLUGIN, RTLD_NOW | RTLD_NOLOAD) == NULL);
  loaded = NULL;
}

static atfork_id last_of_plugin;

static int note_plugin(const struct atfork_info *info, void *unused) {
  (void)unused;
  if (g_str_equal(info->hook.name, "plugin")) last_of_plugin = info->id;
  return 0;
}

static void drop_and_unload(void *unused) {
  if (loaded != NULL) g_assert_cmpint(atfork_unregister(last_of_plugin), ==, 0);
  unload(unused);
}

/* Though this very fork would still have called them; one of them has been unregistered in it. */
static void test_dlclose_in_a_callback(void) {
  static const struct atfork_hook unloaders[] = {{.priority = 1, .prepare = unload},
                                                 {.priority = -1, .prepare = unload},
                                                 {.priority = -1, .parent = unload},
                                                 {.priority = -1, .child = unload},
                                                 {.priority = 1, .prepare = drop_and_unload}};
  for (size_t i = 0; i < G_N_ELEMENTS(unloaders); i++) {
    load(2);
    atfork_foreach(note_plugin, NULL);
    atfork_id id = atfork_register(&unloaders[i]);
    in_child(fork, unloaders[i].parent == NULL ? ran_nowhere : child_passes);
    g_assert_cmpint(atfork_unregister(id), ==, 0);
    unload(NULL);
  }
}

/* The walk goes on in a table that is no more in force. */
static void renew_and_unload(void *unused) {
  atfork_id ids[200];
  int counter = 0;
  if (loaded == NULL) return;
  for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) ids[i] = atfork_register_after_fork(nothing, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) atfork_unregister(ids[i]);
  atfork_foreach(count_hook, &counter);
  unload(unused);
}

/* And one that the table which the walk began in has never had. */
static void renew_load_and_unload(void *unused) {
  if (loaded == NULL) return;
  unload(unused);
  load_by("plug_in_all", 1);
  renew_and_unload(unused);
  load_by("plug_in_all", 1);
  unload(unused);
}

/* What is to go lies beside the hook that has it go, and has its turn next. */
static void unload_beside(const struct atfork_hook *unloader) {
  atfork_id id = 0;
  if (unloader->prepare == NULL) id = atfork_register(unloader);
  load_by("plug_in_all", 2);
  if (unloader->prepare != NULL) id = atfork_register(unloader); /* prepared first, as it is the last */
  in_child(fork, child_passes);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  unload(NULL);
  ran = 0;
}

static void test_dlclose_in_a_callback_beside(void) {
  static void (*const unloaders[])(void *) = {unload, renew_and_unload, renew_load_and_unload};
  for (size_t i = 0; i < G_N_ELEMENTS(unloaders); i++) {
    unload_beside(&(struct atfork_hook){.prepare = unloaders[i]});
    unload_beside(&(struct atfork_hook){.parent = unloaders[i]});
    unload_beside(&(struct atfork_hook){.child = unloaders[i]});
  }
}

static int count_and_unload(const struct atfork_info *info, void *counter) {
  ++*(int *)counter;
  unload(NULL);
  g_assert_cmpstr(info->hook.name, ==, "");
  return 0;
}

static void test_dlclose_in_a_visitor(void) {
  int counter = 0;
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = -1, .child = unload});
  load(2);
  g_assert_cmpint(atfork_foreach(count_and_unload, &counter), ==, 0);
  g_assert_cmpint(counter, ==, 1);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

/* ---- A visit does not show what has gone in the middle of it, in whichever table that lies ---- */

static char object;
static bool renews;
static int shown, destroyed;

static void count_destroyed(void *unused) {
  (void)unused;
  destroyed++;
}

static int pass(const struct atfork_info *info, void *unused) {
  (void)info;
  return unused != NULL;
}

/* So many dead hooks that a walk which begins now is in another table. */
static void renew_table(void) {
  for (int i = 0; i < 100; i++) atfork_unregister(atfork_register_after_fork(nothing, NULL));
  atfork_foreach(pass, NULL);
}

static int finalize_and_count(const struct atfork_info *info, void *unused) {
  (void)unused;
  shown += info->hook.priority == 1;
  if (renews) renew_table();
  finalize(&object);
  return 0;
}

static void test_unloaded_in_a_visit(void) {
  for (int i = 0; i < 2; i++) {
    renews = i == 1;
    shown = destroyed = 0;
    atfork_id first = atfork_register_after_fork(nothing, NULL);
    atfork_register_for(&(struct atfork_hook){.priority = 1, .child = nothing, .destroy = count_destroyed}, &object);
    g_assert_cmpint(atfork_foreach(finalize_and_count, NULL), ==, 0);
    g_assert_cmpint(destroyed, ==, 1);
    g_assert_cmpint(shown, ==, 0);
    g_assert_cmpint(atfork_unregister(first), ==, 0);
  }
}

/* ---- dlclose waits for a fork under way, which calls the hook to its end ---- */

static struct gate entered, leave;

static void stay(void *unused) {
  (void)unused;
  gate_open(&entered);
  gate_wait(&leave);
}

static void *fork_and_stay(void *unused) {
  in_child(fork, ran_in_the_child);
  return unused;
}

static void *unload_there(void *unused) {
  unload(NULL);
  return unused;
}

static int is_plugin(const struct atfork_info *info, void *unused) {
  (void)unused;
  return g_str_equal(info->hook.name, "plugin");
}

static void test_dlclose_waits(void) {
  pthread_t forker, unloader;
  gate_make(&entered);
  gate_make(&leave);
  load(1);
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = 1, .prepare = stay});
  pthread_create(&forker, NULL, fork_and_stay, NULL);
  gate_wait(&entered);
  pthread_create(&unloader, NULL, unload_there, NULL);
  /* It is no more shown, but waits. */
  while (atfork_foreach(is_plugin, NULL) != 0) g_thread_yield();
  for (int i = 0; i < 1000; i++) g_thread_yield();
  gate_open(&leave);
  pthread_join(forker, NULL);
  pthread_join(unloader, NULL);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

/* ---- dlclose waits for a `destroy` that the end of another thread's walk runs ---- */

static atfork_id to_destroy;

void plugin_destroyed(void); /* called by the plugin */
void plugin_destroyed(void) {
  stay(NULL);
}

static int unregister_in_visit(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  g_assert_cmpint(atfork_unregister(to_destroy), ==, 0);
  return 1;
}

static void *visit_and_destroy(void *unused) {
  g_assert_cmpint(atfork_foreach(unregister_in_visit, NULL), ==, 1);
  return unused;
}

static bool is_unloaded;

static void *unload_and_say(void *unused) {
  unload(unused);
  __atomic_store_n(&is_unloaded, true, __ATOMIC_SEQ_CST);
  return unused;
}

/* But not for that of another object's hook. */
static void test_dlclose_does_not_wait_for_others(void) {
  pthread_t visitor;
  gate_make(&entered);
  gate_make(&leave);
  to_destroy = atfork_register(&(struct atfork_hook){.child = nothing, .destroy = stay});
  pthread_create(&visitor, NULL, visit_and_destroy, NULL);
  gate_wait(&entered);
  load(1);
  unload(NULL);
  gate_open(&leave);
  pthread_join(visitor, NULL);
}

static void test_dlclose_waits_for_destroy(void) {
  pthread_t visitor, unloader;
  gate_make(&entered);
  gate_make(&leave);
  is_unloaded = false;
  load(0);
  to_destroy = ((atfork_id(*)(void))(uintptr_t)dlsym(loaded, "plug_in_to_destroy"))();
  pthread_create(&visitor, NULL, visit_and_destroy, NULL);
  gate_wait(&entered);
  pthread_create(&unloader, NULL, unload_and_say, NULL);
  for (int i = 0; i < 10000; i++) g_thread_yield();
  g_assert_false(__atomic_load_n(&is_unloaded, __ATOMIC_SEQ_CST));
  gate_open(&leave);
  pthread_join(visitor, NULL);
  pthread_join(unloader, NULL);
}

/* ---- dlclose while other threads fork ---- */

static bool stop;

static void *fork_all_the_time(void *unused) {
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) in_child(fork, child_passes);
  return unused;
}

/* A callback that was unmapped would end the process. */
static void test_dlclose_while_others_fork(void) {
  pthread_t threads[2];
  stop = false;
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_create(&threads[i], NULL, fork_all_the_time, NULL);
  for (int round = 0; round < rounds(1000); round++) {
    void *plugin = dlopen(PLUGIN, RTLD_NOW);
    void (*plug_in)(void) = (void (*)(void))(uintptr_t)dlsym(plugin, "plug_in");
    plug_in();
    g_assert_cmpint(dlclose(plugin), ==, 0);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_join(threads[i], NULL);
}

/* ---- exit ---- */

static void expect_quiet_program_passes(const char *program, const char *argument) {
  char *out, *err;
  expect_program_passes((const char *const[]){program, argument, NULL}, &out, &err);
  g_assert_cmpstr(err, ==, "");
  free(out);
  free(err);
}

static void test_exit(void) {
  expect_quiet_program_passes(EXITING, NULL);
}

/* ---- The library's own dlclose ---- */

static void test_library_stays(void) {
  expect_quiet_program_passes(STAYING, LIBRARY);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/unload/dlclose", test_dlclose);
  g_test_add_func("/unload/dlclose-in-a-callback", test_dlclose_in_a_callback);
  g_test_add_func("/unload/dlclose-in-a-callback-beside", test_dlclose_in_a_callback_beside);
  g_test_add_func("/unload/dlclose-in-a-visitor", test_dlclose_in_a_visitor);
  g_test_add_func("/unload/unloaded-in-a-visit", test_unloaded_in_a_visit);
  g_test_add_func("/unload/dlclose-waits", test_dlclose_waits);
  g_test_add_func("/unload/dlclose-waits-for-destroy", test_dlclose_waits_for_destroy);
  g_test_add_func("/unload/dlclose-does-not-wait-for-others", test_dlclose_does_not_wait_for_others);
  add_race("/unload/dlclose-while-others-fork", test_dlclose_while_others_fork);
  g_test_add_func("/unload/exit", test_exit);
  g_test_add_func("/unload/library-stays", test_library_stays);
  return g_test_run();
}
