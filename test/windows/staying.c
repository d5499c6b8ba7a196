/* SPDX-License-Identifier: MIT */
/* Loads the library, takes a token, frees the library, and loads it again: it has stayed, and goes on counting. */
#define WIN32_LEAN_AND_MEAN
#include <atfork.h>
#include <glib.h>
#include <windows.h>

static HMODULE load(void) {
  HMODULE library = LoadLibraryA(LIBRARY);
  g_assert_true(library != NULL);
  return library;
}

static void take_token(HMODULE library, char *token, size_t size) {
  int (*take)(char *, size_t) = (int (*)(char *, size_t))(void (*)(void))GetProcAddress(library, "atfork_token");
  g_assert_true(take != NULL);
  g_assert_cmpint(take(token, size), >, 0);
}

static void test_library_stays(void) {
  char first[1024], second[1024];
  HMODULE library = load();
  take_token(library, first, sizeof first);
  for (int i = 0; i < 10; i++) FreeLibrary(library);
  g_assert_true(GetModuleHandleA(LIBRARY) == library);
  take_token(load(), second, sizeof second);
  g_assert_true(strstr(first, ":0.1:") != NULL);
  g_assert_true(strstr(second, ":0.2:") != NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/staying/library-stays", test_library_stays);
  return g_test_run();
}
