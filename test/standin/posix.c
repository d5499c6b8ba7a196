/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

void standin_start(void) {
}

/* ---- Threads and time ---- */

struct GThread {
  pthread_t thread;
};

GThread *g_thread_new(const char *name, gpointer (*run)(gpointer data), gpointer data) {
  GThread *thread = g_malloc(sizeof *thread);
  if (pthread_create(&thread->thread, NULL, run, data) != 0) g_error("no thread %s", name);
  return thread;
}

gpointer g_thread_join(GThread *thread) {
  void *result;
  pthread_join(thread->thread, &result);
  g_free(thread);
  return result;
}

void g_thread_yield(void) {
  sched_yield();
}

void g_usleep(unsigned long microseconds) {
  nanosleep(&(struct timespec){(time_t)(microseconds / G_USEC_PER_SEC), (long)(microseconds % G_USEC_PER_SEC) * 1000},
            NULL);
}

gint64 g_get_monotonic_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* ---- The environment ---- */

const char *g_getenv(const char *name) {
  return getenv(name);
}

gboolean g_setenv(const char *name, const char *value, gboolean overwrite) {
  return setenv(name, value, overwrite) == 0;
}

void g_unsetenv(const char *name) {
  unsetenv(name);
}

char **g_get_environ(void) {
  guint length = g_strv_length(environ);
  char **copy = g_malloc((length + 1) * sizeof *copy);
  for (guint i = 0; i <= length; i++) copy[i] = g_strdup(environ[i]);
  return copy;
}

/* ---- Programs ---- */

/* Reads what there is; false at the end. */
static bool take(int from, GString *to) {
  char some[4096];
  ssize_t length = read(from, some, sizeof some - 1);
  if (length < 0 && errno == EINTR) return true;
  if (length <= 0) return false;
  some[length] = '\0';
  g_string_append(to, some);
  return true;
}

static void take_both(int out, GString *said, int err, GString *complained) {
  struct pollfd from[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
  while (from[0].fd >= 0 || from[1].fd >= 0) {
    if (poll(from, 2, -1) < 0) continue;
    if (from[0].revents != 0 && !take(out, said)) from[0].fd = -1;
    if (from[1].revents != 0 && !take(err, complained)) from[1].fd = -1;
  }
}

static void hand_over(GString *text, char **to) {
  char *all = g_string_free(text, FALSE);
  if (to == NULL)
    g_free(all);
  else
    *to = all;
}

gboolean g_spawn_sync(const char *directory, char **argv, char **environment, GSpawnFlags flags,
                      void (*setup)(gpointer data), gpointer data, char **out, char **err, gint *status,
                      GError **error) {
  int ends[2][2];
  pid_t pid;
  posix_spawn_file_actions_t actions;
  (void)data;
  g_assert_true(directory == NULL && flags == G_SPAWN_DEFAULT && setup == NULL);
  g_assert_true(pipe(ends[0]) == 0 && pipe(ends[1]) == 0);
  posix_spawn_file_actions_init(&actions);
  for (int i = 0; i < 2; i++) {
    posix_spawn_file_actions_addclose(&actions, ends[i][0]);
    posix_spawn_file_actions_adddup2(&actions, ends[i][1], STDOUT_FILENO + i);
    posix_spawn_file_actions_addclose(&actions, ends[i][1]);
  }
  int failure = posix_spawn(&pid, argv[0], &actions, NULL, argv, environment == NULL ? environ : environment);
  posix_spawn_file_actions_destroy(&actions);
  GString *said = g_string_new(NULL), *complained = g_string_new(NULL);
  for (int i = 0; i < 2; i++) close(ends[i][1]);
  take_both(ends[0][0], said, ends[1][0], complained);
  for (int i = 0; i < 2; i++) close(ends[i][0]);
  hand_over(said, out);
  hand_over(complained, err);
  if (failure != 0)
    *error = standin_error(strerror(failure));
  else
    while (waitpid(pid, status, 0) < 0 && errno == EINTR) continue;
  return failure == 0;
}

/* ---- Files ---- */

char *g_dir_make_tmp(const char *template, GError **error) {
  char *name = g_build_filename("/tmp", template, NULL);
  if (mkdtemp(name) != NULL) return name;
  *error = standin_error(strerror(errno));
  g_free(name);
  return NULL;
}

char *g_build_filename(const char *first, ...) {
  GString *name = g_string_new(first);
  va_list arguments;
  va_start(arguments, first);
  for (const char *next; (next = va_arg(arguments, const char *)) != NULL;)
    g_string_append(g_string_append(name, "/"), next);
  va_end(arguments);
  return g_string_free(name, FALSE);
}

gboolean g_file_get_contents(const char *name, char **contents, gsize *length, GError **error) {
  (void)error;
  FILE *file = fopen(name, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) return FALSE;
  *length = (gsize)ftell(file);
  rewind(file);
  *contents = g_malloc(*length);
  bool is_whole = fread(*contents, 1, *length, file) == *length;
  fclose(file);
  return is_whole;
}

gboolean g_file_set_contents(const char *name, const char *contents, gssize length, GError **error) {
  (void)error;
  FILE *file = fopen(name, "wb");
  if (file == NULL) return FALSE;
  bool is_whole = fwrite(contents, 1, (gsize)length, file) == (gsize)length;
  return fclose(file) == 0 && is_whole;
}
