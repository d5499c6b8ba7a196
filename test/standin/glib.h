/* SPDX-License-Identifier: MIT */
/*
 * What the core's tests use of GLib, for targets that it is not packaged for (-Dglib=standin).  The names, and what
 * they do, are GLib's; what no test uses is left out.  A check that fails ends the program, as it does there.
 */
#ifndef ATFORK_STANDIN_GLIB_H
#define ATFORK_STANDIN_GLIB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef char gchar;
typedef int gint;
typedef int gboolean;
typedef unsigned guint;
typedef int64_t gint64;
typedef uint64_t guint64;
typedef size_t gsize;
typedef ptrdiff_t gssize;
typedef void *gpointer;
typedef const void *gconstpointer;

#define FALSE 0
#define TRUE 1
#define G_N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define G_USEC_PER_SEC 1000000
#define G_GNUC_PRINTF(text, from) __attribute__((format(gnu_printf, text, from)))

/* ---- Tests ---- */

/* Always speaks the Test Anything Protocol, as GLib does when it is told --tap. */
void g_test_init(int *argc, char ***argv, ...);
void g_test_add_func(const char *path, void (*test)(void));
void g_test_add_data_func(const char *path, gconstpointer data, void (*test)(gconstpointer data));
int g_test_run(void);
void g_test_message(const char *format, ...) G_GNUC_PRINTF(1, 2);
void g_test_skip(const char *reason);
void g_test_fail(void); /* and goes on */

_Noreturn void g_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
_Noreturn void standin_fail(const char *file, int line, const char *what);
void standin_check_int(gint64 a, gint64 b, bool holds, const char *what, const char *file, int line);
void standin_check_uint(guint64 a, guint64 b, bool holds, const char *what, const char *file, int line);
void standin_check_string(const char *a, const char *b, bool holds, const char *what, const char *file, int line);
int g_strcmp0(const char *a, const char *b);

#define g_assert_true(condition) ((condition) ? (void)0 : standin_fail(__FILE__, __LINE__, #condition))
#define g_assert_false(condition) ((condition) ? standin_fail(__FILE__, __LINE__, "not " #condition) : (void)0)
#define g_assert_null(pointer) g_assert_true((pointer) == NULL)
#define g_assert_nonnull(pointer) g_assert_true((pointer) != NULL)
#define STANDIN_COMPARE(type, check, a, op, b)                      \
  do {                                                              \
    type a_ = (type)(a), b_ = (type)(b);                            \
    check(a_, b_, a_ op b_, #a " " #op " " #b, __FILE__, __LINE__); \
  } while (0)
#define g_assert_cmpint(a, op, b) STANDIN_COMPARE(gint64, standin_check_int, a, op, b)
#define g_assert_cmpuint(a, op, b) STANDIN_COMPARE(guint64, standin_check_uint, a, op, b)
#define g_assert_cmpstr(a, op, b)                                                                \
  do {                                                                                           \
    const char *a_ = (a), *b_ = (b);                                                             \
    standin_check_string(a_, b_, g_strcmp0(a_, b_) op 0, #a " " #op " " #b, __FILE__, __LINE__); \
  } while (0)

/* ---- Strings ---- */

void *g_malloc(gsize size);
void g_free(void *memory);
char *g_strdup(const char *text);
char *g_strndup(const char *text, gsize size);
char *g_strdup_printf(const char *format, ...) G_GNUC_PRINTF(1, 2);
int g_snprintf(char *buf, unsigned long size, const char *format, ...) G_GNUC_PRINTF(3, 4);
char *g_strconcat(const char *first, ...);
char *g_strreverse(char *text);
gboolean g_str_has_prefix(const char *text, const char *prefix);
gboolean g_str_has_suffix(const char *text, const char *suffix);
char **g_strsplit(const char *text, const char *delimiter, int max_pieces);
guint g_strv_length(char **strings);
void g_strfreev(char **strings);

typedef struct {
  char *str;
  gsize len;
} GString;
GString *g_string_new(const char *text);
GString *g_string_append(GString *string, const char *text);
char *g_string_free(GString *string, gboolean its_text_too);

/* ---- Containers ---- */

typedef struct {
  char *data;
  guint len;
  guint size; /* of an element; private */
} GArray;
GArray *g_array_new(gboolean zero_terminated, gboolean clear, guint element_size);
GArray *g_array_append_vals(GArray *array, gconstpointer values, guint count);
#define g_array_append_val(array, value) g_array_append_vals((array), &(value), 1)
#define g_array_index(array, type, i) (((type *)(void *)(array)->data)[i])
char *g_array_free(GArray *array, gboolean its_elements_too);

/* A set, looked through from end to end. */
typedef struct GHashTable GHashTable;
typedef guint (*GHashFunc)(gconstpointer key);
typedef gboolean (*GEqualFunc)(gconstpointer a, gconstpointer b);
GHashTable *g_hash_table_new(GHashFunc hash, GEqualFunc equal);
gboolean g_hash_table_add(GHashTable *table, gpointer key);
void g_hash_table_destroy(GHashTable *table);
guint g_str_hash(gconstpointer key);
gboolean g_str_equal(gconstpointer a, gconstpointer b);
guint g_int64_hash(gconstpointer key);
gboolean g_int64_equal(gconstpointer a, gconstpointer b);

/* ---- Random numbers: others than GLib's ---- */

typedef struct GRand GRand;
GRand *g_rand_new_with_seed(uint32_t seed);
uint32_t g_rand_int(GRand *random);
gint g_rand_int_range(GRand *random, gint begin, gint end);
void g_rand_free(GRand *random);

/* ---- What differs between systems: posix.c, windows.c ---- */

void standin_start(void);

typedef struct GThread GThread;
GThread *g_thread_new(const char *name, gpointer (*run)(gpointer data), gpointer data);
gpointer g_thread_join(GThread *thread);
void g_thread_yield(void);
void g_usleep(unsigned long microseconds);
gint64 g_get_monotonic_time(void);

const char *g_getenv(const char *name);
gboolean g_setenv(const char *name, const char *value, gboolean overwrite);
void g_unsetenv(const char *name);
char **g_get_environ(void);
char **g_environ_setenv(char **environment, const char *name, const char *value, gboolean overwrite);

typedef struct {
  char *message;
} GError;
#define g_assert_no_error(error) ((error) == NULL ? (void)0 : standin_fail(__FILE__, __LINE__, (error)->message))
GError *standin_error(const char *message);

/* Without a shell or a search.  The status is 0 for success; on Windows it is the exit code. */
typedef enum { G_SPAWN_DEFAULT = 0 } GSpawnFlags;
gboolean g_spawn_sync(const char *directory, char **argv, char **environment, GSpawnFlags flags,
                      void (*setup)(gpointer data), gpointer data, char **out, char **err, gint *status,
                      GError **error);

/* Files, for tests that are POSIX's anyway. */
char *g_dir_make_tmp(const char *template, GError **error);
char *g_build_filename(const char *first, ...);
gboolean g_file_get_contents(const char *name, char **contents, gsize *length, GError **error);
gboolean g_file_set_contents(const char *name, const char *contents, gssize length, GError **error);

#endif
