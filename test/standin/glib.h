/* SPDX-License-Identifier: MIT */
/*
 * What the core's tests use of GLib, for targets that it is not packaged for (-Dglib=standin).  The names, and what
 * they do, are GLib's; what no test uses is left out.  A check that fails ends the program, as it does there.
 */
#ifndef ATFORK_STANDIN_GLIB_H
#define ATFORK_STANDIN_GLIB_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int64_t gint64;
typedef void *gpointer;
typedef const void *gconstpointer;

#define G_N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define G_USEC_PER_SEC 1000000
#define G_GNUC_PRINTF(text, from) __attribute__((format(gnu_printf, text, from)))

#define g_getenv getenv
#define g_snprintf snprintf
#define g_str_has_prefix(text, prefix) (strncmp((text), (prefix), strlen(prefix)) == 0)
#define g_str_equal(a, b) (strcmp((a), (b)) == 0)
bool g_str_has_suffix(const char *text, const char *suffix);

/* ---- Tests ---- */

/* Always speaks the Test Anything Protocol, as GLib does when it is told --tap. */
void g_test_init(int *argc, char ***argv, ...);
void g_test_add_func(const char *path, void (*test)(void));
void g_test_add_data_func(const char *path, gconstpointer data, void (*test)(gconstpointer data));
int g_test_run(void);
void g_test_message(const char *format, ...) G_GNUC_PRINTF(1, 2);
void g_test_skip(const char *reason);
void g_test_fail(void); /* and goes on */

/* ---- Checks ---- */

_Noreturn void standin_fail(const char *file, int line, const char *format, ...) G_GNUC_PRINTF(3, 4);

#define g_error(...) standin_fail(__FILE__, __LINE__, __VA_ARGS__)
#define g_assert_true(condition) ((condition) ? (void)0 : g_error("%s", #condition))
#define g_assert_false(condition) ((condition) ? g_error("not %s", #condition) : (void)0)
#define g_assert_nonnull(pointer) g_assert_true((pointer) != NULL)

#define STANDIN_COMPARE(type, format, a, op, b)                                           \
  do {                                                                                    \
    type a_ = (type)(a), b_ = (type)(b);                                                  \
    if (!(a_ op b_)) g_error("%s (%" format ", %" format ")", #a " " #op " " #b, a_, b_); \
  } while (0)
#define g_assert_cmpint(a, op, b) STANDIN_COMPARE(int64_t, PRId64, a, op, b)
#define g_assert_cmpuint(a, op, b) STANDIN_COMPARE(uint64_t, PRIu64, a, op, b)

/* NULL is less than any text. */
int g_strcmp0(const char *a, const char *b);
#define g_assert_cmpstr(a, op, b)                                                                    \
  do {                                                                                               \
    const char *a_ = (a), *b_ = (b);                                                                 \
    if (!(g_strcmp0(a_, b_) op 0))                                                                   \
      g_error("%s (\"%s\", \"%s\")", #a " " #op " " #b, a_ == NULL ? "" : a_, b_ == NULL ? "" : b_); \
  } while (0)

/* ---- What differs between systems: posix.c, windows.c ---- */

void standin_start(void);

typedef struct GThread GThread;
GThread *g_thread_new(const char *name, gpointer (*run)(gpointer data), gpointer data);
gpointer g_thread_join(GThread *thread);
void g_thread_yield(void);
gint64 g_get_monotonic_time(void);

#endif
