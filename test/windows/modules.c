/* SPDX-License-Identifier: MIT */
/* DLLs that register hooks; and what is the system's rather than a C runtime's. */
#define WIN32_LEAN_AND_MEAN
#include <atfork.h>
#include <glib.h>
#include <stdbool.h>
#include <windows.h>

#ifdef atfork_register_mutex
#error "mutexes of POSIX are not here"
#endif

/* Nor are they declared, and programs may have this in any way they like. */
extern IMAGE_DOS_HEADER __ImageBase;
static HMODULE atfork_register_mutex(void) {
  return (HMODULE)&__ImageBase;
}

static void (*function_of(HMODULE module, const char *name))(void) {
  return (void (*)(void))GetProcAddress(module, name);
}

static void nothing(void *unused) {
  (void)unused;
}

static HMODULE load(const char *name) {
  HMODULE module = LoadLibraryA(name);
  g_assert_true(module != NULL);
  return module;
}

static bool is_loaded(const char *name) {
  return GetModuleHandleA(name) != NULL;
}

/* One that has registered nothing can go, so the others could. */
static void test_idle_goes(void) {
  g_assert_true(FreeLibrary(load(IDLE)));
  g_assert_false(is_loaded(IDLE));
}

static void test_stays(void) {
  HMODULE module = load(PLUGIN);
  function_of(module, "plug_in")();
  for (int i = 0; i < 10; i++) FreeLibrary(module);
  g_assert_true(is_loaded(PLUGIN));
}

static bool stop;

static gpointer come_and_go(gpointer unused) {
  while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
    atfork_id id = atfork_register_after_fork(nothing, NULL);
    g_assert_cmpint(atfork_unregister(id), ==, 0);
  }
  return unused;
}

/* Under the loader's lock, while another thread is inside the library. */
static void test_registers_at_load(void) {
  GThread *thread = g_thread_new("busy", come_and_go, NULL);
  HMODULE module = load(LOADING);
  __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
  g_thread_join(thread);
  FreeLibrary(module);
  g_assert_true(is_loaded(LOADING));
}

static int ran_in(const char *name) {
  return *(int *)(uintptr_t)GetProcAddress(GetModuleHandleA(name), "plugin_ran");
}

/* What is set past the C runtime is found, and taken out of both environments. */
static void test_spawned(void) {
  char token[1024], left[8];
  g_assert_cmpint(atfork_token(token, sizeof token), >, 0);
  g_assert_true(SetEnvironmentVariableA("ATFORK_TOKEN", token));
  g_assert_cmpint(atfork_spawned(NULL), ==, 0);
  g_assert_cmpint(ran_in(PLUGIN), ==, 1);
  g_assert_cmpint(ran_in(LOADING), ==, 1);
  g_assert_cmpuint(GetEnvironmentVariableA("ATFORK_TOKEN", left, sizeof left), ==, 0);
  g_assert_true(g_getenv("ATFORK_TOKEN") == NULL);
}

static void test_no_mutexes(void) {
  HMODULE library = GetModuleHandleA(LIBRARY);
  g_assert_true(library != NULL && library != atfork_register_mutex());
  g_assert_true(GetProcAddress(library, "atfork_register") != NULL);
  g_assert_true(GetProcAddress(library, "atfork_register_mutex") == NULL);
  g_assert_true(GetProcAddress(library, "atfork_register_mutex_for") == NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/modules/idle-goes", test_idle_goes);
  g_test_add_func("/modules/stays", test_stays);
  g_test_add_func("/modules/registers-at-load", test_registers_at_load);
  g_test_add_func("/modules/spawned", test_spawned);
  g_test_add_func("/modules/no-mutexes", test_no_mutexes);
  return g_test_run();
}
