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
  GThread *thread = malloc(sizeof *thread);
  if (thread == NULL) g_error("no memory");
  *thread = (GThread){.run = run, .data = data};
  thread->handle = CreateThread(NULL, 0, run_thread, thread, 0, NULL);
  if (thread->handle == NULL) g_error("no thread %s", name);
  return thread;
}

gpointer g_thread_join(GThread *thread) {
  WaitForSingleObject(thread->handle, INFINITE);
  CloseHandle(thread->handle);
  gpointer result = thread->data;
  free(thread);
  return result;
}

void g_thread_yield(void) {
  SwitchToThread();
}

gint64 g_get_monotonic_time(void) {
  return (gint64)GetTickCount64() * 1000;
}
