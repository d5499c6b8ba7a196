/* SPDX-License-Identifier: MIT */
/* Promise 15: copies that cannot have one registry say so; notes that make no sense, and calls that come early, do no
 * harm. */
#include <atfork.h>
#include <dlfcn.h>
#include <glib.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "forks.h"
#include "loading.h"

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
  size_t size;
  char *file = read_file(PLAIN, &size);
  child_check(file != NULL);
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
  child_check(write_file(path, file, size));
  free(file);
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
  g_test_add_func("/copies-odd/protocols-differ", test_protocols_differ);
  g_test_add_func("/copies-odd/odd-notes", test_odd_notes);
#ifdef IN_PROGRAM
  g_test_add_func("/copies-odd/first-call", test_first_call);
#else
  g_test_add_func("/copies-odd/cannot-stay", test_cannot_stay);
#endif
  return g_test_run();
}
