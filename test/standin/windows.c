/* SPDX-License-Identifier: MIT */
#define WIN32_LEAN_AND_MEAN
#include <fcntl.h>
#include <glib.h>
#include <io.h>
#include <windows.h>

/* A harness elsewhere reads this: lines end in a newline alone.  And what fails ends, without a dialogue. */
void standin_start(void) {
  _setmode(_fileno(stdout), _O_BINARY);
  SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
}

/* ---- Threads and time ---- */

struct GThread {
  HANDLE handle;
  gpointer (*run)(gpointer data);
  gpointer data;
};

static DWORD WINAPI run_thread(void *of) {
  GThread *thread = of;
  thread->data = thread->run(thread->data);
  return 0;
}

GThread *g_thread_new(const char *name, gpointer (*run)(gpointer data), gpointer data) {
  GThread *thread = g_malloc(sizeof *thread);
  *thread = (GThread){.run = run, .data = data};
  thread->handle = CreateThread(NULL, 0, run_thread, thread, 0, NULL);
  if (thread->handle == NULL) g_error("no thread %s", name);
  return thread;
}

gpointer g_thread_join(GThread *thread) {
  WaitForSingleObject(thread->handle, INFINITE);
  CloseHandle(thread->handle);
  gpointer result = thread->data;
  g_free(thread);
  return result;
}

void g_thread_yield(void) {
  SwitchToThread();
}

void g_usleep(unsigned long microseconds) {
  Sleep((DWORD)((microseconds + 999) / 1000));
}

gint64 g_get_monotonic_time(void) {
  return (gint64)GetTickCount64() * 1000;
}

/* ---- The environment ---- */

const char *g_getenv(const char *name) {
  return getenv(name);
}

/* The C runtime's and the system's. */
gboolean g_setenv(const char *name, const char *value, gboolean overwrite) {
  return (!overwrite && getenv(name) != NULL) || _putenv_s(name, value) == 0;
}

void g_unsetenv(const char *name) {
  _putenv_s(name, "");
}

char **g_get_environ(void) {
  char *block = GetEnvironmentStringsA();
  guint length = 0;
  for (const char *at = block; *at != '\0'; at += strlen(at) + 1) length++;
  char **copy = g_malloc((length + 1) * sizeof *copy);
  const char *at = block;
  for (guint i = 0; i < length; i++, at += strlen(at) + 1) copy[i] = g_strdup(at);
  copy[length] = NULL;
  FreeEnvironmentStringsA(block);
  return copy;
}

/* ---- Programs ---- */

/* Each in quotes; none has one in it. */
static char *command_line(char **argv) {
  GString *line = g_string_new(NULL);
  for (; *argv != NULL; argv++) {
    g_assert_true(strchr(*argv, '"') == NULL);
    g_string_append(line, line->len > 0 ? " \"" : "\"");
    g_string_append(g_string_append(line, *argv), "\"");
  }
  return g_string_free(line, FALSE);
}

static char *environment_block(char **environment) {
  gsize size = 2, at = 0;
  for (gsize i = 0; environment[i] != NULL; i++) size += strlen(environment[i]) + 1;
  char *block = g_malloc(size);
  memset(block, 0, size);
  for (gsize i = 0; environment[i] != NULL; i++) {
    memcpy(block + at, environment[i], strlen(environment[i]));
    at += strlen(environment[i]) + 1;
  }
  return block;
}

/* All that comes, with lines that end in a newline alone. */
static char *read_all(HANDLE from) {
  GString *all = g_string_new(NULL);
  char some[4096];
  DWORD length;
  while (ReadFile(from, some, sizeof some - 1, &length, NULL) && length > 0) {
    some[length] = '\0';
    g_string_append(all, some);
  }
  char *end = all->str;
  for (const char *at = all->str; *at != '\0'; at++)
    if (*at != '\r') *end++ = *at;
  *end = '\0';
  return g_string_free(all, FALSE);
}

/* 0, or GetLastError()'s number. */
static DWORD start(char **argv, char **environment, HANDLE out, HANDLE err, HANDLE *process) {
  STARTUPINFOA startup = {.cb = sizeof startup,
                          .dwFlags = STARTF_USESTDHANDLES,
                          .hStdInput = GetStdHandle(STD_INPUT_HANDLE),
                          .hStdOutput = out,
                          .hStdError = err};
  PROCESS_INFORMATION made;
  char *line = command_line(argv);
  char *block = environment == NULL ? NULL : environment_block(environment);
  DWORD failure = CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, block, NULL, &startup, &made) ? 0 : GetLastError();
  g_free(block);
  g_free(line);
  if (failure == 0) {
    CloseHandle(made.hThread);
    *process = made.hProcess;
  }
  return failure;
}

static gint wait_for(HANDLE process) {
  DWORD code;
  WaitForSingleObject(process, INFINITE);
  g_assert_true(GetExitCodeProcess(process, &code));
  CloseHandle(process);
  return (gint)code;
}

/* For a program to write to; false where nobody wants it. */
static bool open_pipe(HANDLE ends[2], bool wanted) {
  SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
  if (!wanted) return false;
  g_assert_true(CreatePipe(&ends[0], &ends[1], &inherited, 1 << 16));
  return SetHandleInformation(ends[0], HANDLE_FLAG_INHERIT, 0);
}

static char *take_all(HANDLE from) {
  char *said = read_all(from);
  CloseHandle(from);
  return said;
}

/* What a program writes to stderr has to fit into the pipe, if somebody wants it: it is read when stdout has ended. */
gboolean g_spawn_sync(const char *directory, char **argv, char **environment, GSpawnFlags flags,
                      void (*setup)(gpointer data), gpointer data, char **out, char **err, gint *status,
                      GError **error) {
  HANDLE said[2], complained[2] = {NULL, GetStdHandle(STD_ERROR_HANDLE)}, process = NULL;
  (void)data;
  g_assert_true(directory == NULL && flags == G_SPAWN_DEFAULT && setup == NULL);
  g_assert_true(open_pipe(said, true));
  bool takes_both = open_pipe(complained, err != NULL);
  DWORD failure = start(argv, environment, said[1], complained[1], &process);
  CloseHandle(said[1]);
  if (takes_both) CloseHandle(complained[1]);
  char *all = take_all(said[0]);
  if (takes_both) *err = take_all(complained[0]);
  if (out != NULL)
    *out = all;
  else
    g_free(all);
  if (failure == 0) {
    *status = wait_for(process);
  } else {
    char *message = g_strdup_printf("CreateProcess() failed with error %lu", failure);
    *error = standin_error(message);
    g_free(message);
  }
  return failure == 0;
}
