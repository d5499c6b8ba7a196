/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <stdarg.h>

static struct test {
  char *path;
  void (*run)(void);
  void (*run_with)(gconstpointer data);
  gconstpointer data;
} * tests;
static unsigned count;
static const char *skipped;
static bool has_failed;

/* Each further line as a comment.  It is flushed at once: a child that a test forks must not print it again. */
static void say(const char *begin, const char *format, va_list arguments) {
  char text[4096];
  vsnprintf(text, sizeof text, format, arguments);
  fputs(begin, stdout);
  for (const char *at = text; *at != '\0'; at++) *at == '\n' ? fputs("\n# ", stdout) : putchar(*at);
  putchar('\n');
  fflush(stdout);
}

void g_test_init(int *argc, char ***argv, ...) {
  int kept = 0;
  for (int i = 0; i < *argc; i++)
    if (strcmp((*argv)[i], "--tap") != 0) (*argv)[kept++] = (*argv)[i];
  *argc = kept;
  standin_start();
}

/* There is room for twice as many as there were, each time that this is a power of two. */
static void add_test(const char *path, struct test test) {
  if ((count & (count - 1)) == 0) tests = realloc(tests, (count == 0 ? 1 : 2 * count) * sizeof *tests);
  test.path = malloc(strlen(path) + 1);
  if (tests == NULL || test.path == NULL) g_error("no memory");
  strcpy(test.path, path);
  tests[count++] = test;
}

void g_test_add_func(const char *path, void (*test)(void)) {
  add_test(path, (struct test){.run = test});
}

void g_test_add_data_func(const char *path, gconstpointer data, void (*test)(gconstpointer data)) {
  add_test(path, (struct test){.run_with = test, .data = data});
}

static bool run_test(const struct test *test, unsigned number) {
  skipped = NULL;
  has_failed = false;
  if (test->run != NULL)
    test->run();
  else
    test->run_with(test->data);
  printf("%sok %u %s%s%s\n", has_failed ? "not " : "", number, test->path, skipped == NULL ? "" : " # SKIP ",
         skipped == NULL ? "" : skipped);
  fflush(stdout);
  return !has_failed;
}

int g_test_run(void) {
  bool all_passed = true;
  printf("1..%u\n", count);
  fflush(stdout);
  for (unsigned i = 0; i < count; i++) all_passed &= run_test(&tests[i], i + 1);
  return all_passed ? 0 : 1;
}

void g_test_message(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say("# ", format, arguments);
  va_end(arguments);
}

void g_test_skip(const char *reason) {
  skipped = reason;
}

void g_test_fail(void) {
  has_failed = true;
}

/* "Bail out!" says to the harness that this program has failed, however it ends. */
void standin_fail(const char *file, int line, const char *format, ...) {
  char begin[256];
  va_list arguments;
  snprintf(begin, sizeof begin, "Bail out! %s:%d: failed: ", file, line);
  va_start(arguments, format);
  say(begin, format, arguments);
  va_end(arguments);
  abort();
}

int g_strcmp0(const char *a, const char *b) {
  if (a == NULL || b == NULL) return (a != NULL) - (b != NULL);
  return strcmp(a, b);
}

bool g_str_has_suffix(const char *text, const char *suffix) {
  size_t length = strlen(text), of_suffix = strlen(suffix);
  return length >= of_suffix && strcmp(text + length - of_suffix, suffix) == 0;
}
