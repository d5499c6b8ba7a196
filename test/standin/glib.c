/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <inttypes.h>

G_GNUC_PRINTF(1, 0) static char *format_text(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  char *text = g_malloc((gsize)length + 1);
  vsnprintf(text, (gsize)length + 1, format, arguments);
  return text;
}

/* ---- Tests ---- */

struct test {
  char *path;
  void (*run)(void);
  void (*run_with)(gconstpointer data);
  gconstpointer data;
};
static struct test *tests;
static unsigned count;
static const char *skipped;
static bool has_failed;

void g_test_init(int *argc, char ***argv, ...) {
  int kept = 0;
  for (int i = 0; i < *argc; i++)
    if (strcmp((*argv)[i], "--tap") != 0) (*argv)[kept++] = (*argv)[i];
  *argc = kept;
  standin_start();
}

/* Twice as many as there were, each time that this is a power of two. */
static void add_test(struct test test) {
  if ((count & (count - 1)) == 0) tests = realloc(tests, (count == 0 ? 1 : 2 * count) * sizeof *tests);
  if (tests == NULL) g_error("no memory");
  tests[count++] = test;
}

void g_test_add_func(const char *path, void (*test)(void)) {
  add_test((struct test){.path = g_strdup(path), .run = test});
}

void g_test_add_data_func(const char *path, gconstpointer data, void (*test)(gconstpointer data)) {
  add_test((struct test){.path = g_strdup(path), .run_with = test, .data = data});
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

/* What is printed is flushed at once: a child that a test forks must not print it again. */
int g_test_run(void) {
  printf("1..%u\n", count);
  fflush(stdout);
  bool all_passed = true;
  for (unsigned i = 0; i < count; i++) all_passed &= run_test(&tests[i], i + 1);
  return all_passed ? 0 : 1;
}

void g_test_fail(void) {
  has_failed = true;
}

void g_test_message(const char *format, ...) {
  va_list arguments;
  char *text;
  va_start(arguments, format);
  text = format_text(format, arguments);
  va_end(arguments);
  fputs("# ", stdout);
  for (const char *at = text; *at != '\0'; at++) *at == '\n' ? fputs("\n# ", stdout) : putchar(*at);
  putchar('\n');
  fflush(stdout);
  free(text);
}

void g_test_skip(const char *reason) {
  skipped = reason;
}

/* "Bail out!" says to the harness that this program has failed, however it ends. */
void standin_fail(const char *file, int line, const char *what) {
  printf("Bail out! %s:%d: failed: %s\n", file, line, what);
  fflush(stdout);
  abort();
}

void g_error(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("Bail out! ", stdout);
  vprintf(format, arguments);
  putchar('\n');
  va_end(arguments);
  fflush(stdout);
  abort();
}

void standin_check_int(gint64 a, gint64 b, bool holds, const char *what, const char *file, int line) {
  if (!holds) standin_fail(file, line, g_strdup_printf("%s (%" PRId64 ", %" PRId64 ")", what, a, b));
}

void standin_check_uint(guint64 a, guint64 b, bool holds, const char *what, const char *file, int line) {
  if (!holds) standin_fail(file, line, g_strdup_printf("%s (%" PRIu64 ", %" PRIu64 ")", what, a, b));
}

void standin_check_string(const char *a, const char *b, bool holds, const char *what, const char *file, int line) {
  if (!holds)
    standin_fail(file, line, g_strdup_printf("%s (\"%s\", \"%s\")", what, a == NULL ? "" : a, b == NULL ? "" : b));
}

int g_strcmp0(const char *a, const char *b) {
  if (a == NULL || b == NULL) return (a != NULL) - (b != NULL);
  return strcmp(a, b);
}

/* ---- Strings ---- */

void *g_malloc(gsize size) {
  void *memory = malloc(size > 0 ? size : 1);
  if (memory == NULL) g_error("no memory");
  return memory;
}

void g_free(void *memory) {
  free(memory);
}

char *g_strndup(const char *text, gsize size) {
  const char *end = memchr(text, '\0', size);
  gsize length = end == NULL ? size : (gsize)(end - text);
  char *copy = g_malloc(length + 1);
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

char *g_strdup(const char *text) {
  return text == NULL ? NULL : g_strndup(text, strlen(text));
}

char *g_strdup_printf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = format_text(format, arguments);
  va_end(arguments);
  return text;
}

int g_snprintf(char *buf, unsigned long size, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(buf, size, format, arguments);
  va_end(arguments);
  return length;
}

char *g_strconcat(const char *first, ...) {
  GString *all = g_string_new(first);
  va_list arguments;
  va_start(arguments, first);
  for (const char *next; (next = va_arg(arguments, const char *)) != NULL;) g_string_append(all, next);
  va_end(arguments);
  return g_string_free(all, FALSE);
}

char *g_strreverse(char *text) {
  for (gsize i = 0, j = strlen(text); i + 1 < j; i++) {
    char kept = text[i];
    text[i] = text[--j];
    text[j] = kept;
  }
  return text;
}

gboolean g_str_has_prefix(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

gboolean g_str_has_suffix(const char *text, const char *suffix) {
  gsize length = strlen(text), of_suffix = strlen(suffix);
  return length >= of_suffix && strcmp(text + length - of_suffix, suffix) == 0;
}

char **g_strsplit(const char *text, const char *delimiter, int max_pieces) {
  gsize room = 1;
  for (const char *at = text; (at = strstr(at, delimiter)) != NULL; at += strlen(delimiter)) room++;
  char **pieces = g_malloc((room + 1) * sizeof *pieces);
  gsize used = 0;
  for (const char *end; (max_pieces < 1 || (int)used + 1 < max_pieces) && (end = strstr(text, delimiter)) != NULL;
       text = end + strlen(delimiter))
    pieces[used++] = g_strndup(text, (gsize)(end - text));
  pieces[used++] = g_strdup(text);
  pieces[used] = NULL;
  return pieces;
}

guint g_strv_length(char **strings) {
  guint length = 0;
  while (strings[length] != NULL) length++;
  return length;
}

void g_strfreev(char **strings) {
  for (gsize i = 0; strings != NULL && strings[i] != NULL; i++) free(strings[i]);
  free(strings);
}

GString *g_string_new(const char *text) {
  GString *string = g_malloc(sizeof *string);
  string->str = g_strdup(text == NULL ? "" : text);
  string->len = strlen(string->str);
  return string;
}

GString *g_string_append(GString *string, const char *text) {
  gsize length = strlen(text);
  char *longer = realloc(string->str, string->len + length + 1);
  if (longer == NULL) g_error("no memory");
  memcpy(longer + string->len, text, length + 1);
  string->str = longer;
  string->len += length;
  return string;
}

char *g_string_free(GString *string, gboolean its_text_too) {
  char *text = string->str;
  free(string);
  if (!its_text_too) return text;
  free(text);
  return NULL;
}

/* ---- Containers ---- */

GArray *g_array_new(gboolean zero_terminated, gboolean clear, guint element_size) {
  g_assert_false(zero_terminated || clear);
  GArray *array = g_malloc(sizeof *array);
  *array = (GArray){.size = element_size};
  return array;
}

GArray *g_array_append_vals(GArray *array, gconstpointer values, guint number) {
  char *longer = realloc(array->data, ((gsize)array->len + number) * array->size);
  if (longer == NULL) g_error("no memory");
  memcpy(longer + (gsize)array->len * array->size, values, (gsize)number * array->size);
  array->data = longer;
  array->len += number;
  return array;
}

char *g_array_free(GArray *array, gboolean its_elements_too) {
  char *data = array->data;
  free(array);
  if (!its_elements_too) return data;
  free(data);
  return NULL;
}

struct GHashTable {
  GEqualFunc equal;
  GArray *keys;
};

GHashTable *g_hash_table_new(GHashFunc hash, GEqualFunc equal) {
  (void)hash;
  GHashTable *table = g_malloc(sizeof *table);
  *table = (GHashTable){equal, g_array_new(FALSE, FALSE, sizeof(gpointer))};
  return table;
}

gboolean g_hash_table_add(GHashTable *table, gpointer key) {
  for (guint i = 0; i < table->keys->len; i++)
    if (table->equal(g_array_index(table->keys, gpointer, i), key)) return FALSE;
  g_array_append_val(table->keys, key);
  return TRUE;
}

void g_hash_table_destroy(GHashTable *table) {
  g_array_free(table->keys, TRUE);
  free(table);
}

guint g_str_hash(gconstpointer key) {
  (void)key;
  return 0;
}

gboolean g_str_equal(gconstpointer a, gconstpointer b) {
  return strcmp(a, b) == 0;
}

guint g_int64_hash(gconstpointer key) {
  (void)key;
  return 0;
}

gboolean g_int64_equal(gconstpointer a, gconstpointer b) {
  return *(const gint64 *)a == *(const gint64 *)b;
}

/* ---- Random numbers: SplitMix64 ---- */

struct GRand {
  uint64_t state;
};

GRand *g_rand_new_with_seed(uint32_t seed) {
  GRand *random = g_malloc(sizeof *random);
  random->state = seed;
  return random;
}

uint32_t g_rand_int(GRand *random) {
  uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (uint32_t)((z ^ (z >> 31)) >> 32);
}

gint g_rand_int_range(GRand *random, gint begin, gint end) {
  return begin + (gint)(g_rand_int(random) % (uint32_t)(end - begin));
}

void g_rand_free(GRand *random) {
  free(random);
}

/* ---- The environment, and errors ---- */

char **g_environ_setenv(char **environment, const char *name, const char *value, gboolean overwrite) {
  guint length = g_strv_length(environment), at = 0;
  char *entry = g_strconcat(name, "=", value, NULL);
  while (at < length && strncmp(environment[at], entry, strlen(name) + 1) != 0) at++;
  if (at < length && !overwrite) {
    free(entry);
    return environment;
  }
  char **longer = realloc(environment, (length + 2) * sizeof *longer);
  if (longer == NULL) g_error("no memory");
  if (at == length)
    longer[length + 1] = NULL;
  else
    free(longer[at]);
  longer[at] = entry;
  return longer;
}

GError *standin_error(const char *message) {
  GError *error = g_malloc(sizeof *error);
  error->message = g_strdup(message);
  return error;
}
