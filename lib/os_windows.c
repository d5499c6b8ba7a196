/* SPDX-License-Identifier: MIT */
/*
 * Windows: nothing forks.  `child` callbacks run in atfork_spawned() and atfork_adopt().
 *
 * A DLL may register a hook while it is being loaded, under the loader's lock.  So no function here that may take the
 * loader's lock is called under the library's own lock.
 */
#define WIN32_LEAN_AND_MEAN
#define _CRT_RAND_S         /* rand_s() */
#define _WIN32_WINNT 0x0602 /* Windows 8: WaitOnAddress() */
#include "os.h"

#include <errno.h>
#include <stdlib.h>
#include <windows.h>

enum { PLAIN_YIELDS = 16, LONGEST_SLEEP = 50 /* ms */, VARIABLE_MAX = 2048 /* bytes; every token is shorter */ };

/* ---- Memory ---- */

void *atfork_os_map(size_t size) {
  return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

/* No process inherits memory, so plain memory will do. */
void *atfork_os_map_shared(size_t size) {
  return atfork_os_map(size);
}

void atfork_os_unmap(void *memory, size_t size) {
  (void)size; /* VirtualFree() needs 0 here */
  VirtualFree(memory, 0, MEM_RELEASE);
}

size_t atfork_os_page_size(void) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwPageSize;
}

/* A reservation begins at a multiple of this unit; the rest of the last unit would be lost. */
size_t atfork_os_map_size(size_t size) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  size_t unit = info.dwAllocationGranularity;
  return (size + unit - 1) / unit * unit;
}

/* ---- Forks ---- */

/* No new process inherits these pages. */
bool atfork_os_wipe_on_fork(void *pages, size_t size) {
  (void)pages;
  (void)size;
  return true;
}

int atfork_os_handle_forks(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  (void)prepare;
  (void)parent;
  (void)child;
  return 0;
}

/* ---- Modules ---- */

/* Keeps the module that `address` lies in loaded until the process ends. */
static bool pin(const void *address) {
  const DWORD how = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
  HMODULE module;
  return GetModuleHandleExW(how, (LPCWSTR)address, &module) != 0;
}

/* Keeps the library loaded: if it is loaded a second time, the hooks and the place of the process must still be there.
 */
__attribute__((constructor)) static void stay(void) {
  static const char here;
  pin(&here);
}

/*
 * Pins the module instead.  Before a DLL is unmapped, code of it runs only under the loader's lock, where waiting for
 * callbacks of other threads would deadlock.  At exit nothing has to be done: other threads have been stopped, and
 * nothing forks.
 */
int atfork_os_at_unload(void (*function)(void *argument), void *argument, void *dso) {
  (void)function;
  (void)argument;
  if (pin(dso)) return 0;
  errno = ENOMEM;
  return -1;
}

/* ---- Waiting ---- */

void atfork_os_wait(_Atomic uint32_t *at, uint32_t value) {
  WaitOnAddress(at, &value, sizeof value, LONGEST_SLEEP);
}

void atfork_os_wake_all(_Atomic uint32_t *at) {
  WakeByAddressAll(at);
}

/* Sleep(1) is the shortest sleep; its real length depends on the system's timer. */
void atfork_os_back_off(unsigned attempt) {
  if (attempt < PLAIN_YIELDS)
    SwitchToThread();
  else
    Sleep(1);
}

/* ---- The process ---- */

/*
 * Reads the system's environment, which is what CreateProcess() passes on; a process may have several C runtimes with
 * environments of their own.  NULL if the value is too long to be a token.
 */
const char *atfork_os_environment(const char *name) {
  static char value[VARIABLE_MAX];
  DWORD length = GetEnvironmentVariableA(name, value, sizeof value);
  return length == 0 || length >= sizeof value ? NULL : value;
}

/* Removes it from the system's environment, and from that of our C runtime, which _spawn() functions pass on. */
void atfork_os_forget(const char *name) {
  _putenv_s(name, "");
}

uint64_t atfork_os_process(void) {
  return GetCurrentProcessId();
}

/* rand_s() fails if the system cannot load its library for it. */
uint64_t atfork_os_random(void) {
  unsigned low, high;
  if (rand_s(&low) == 0 && rand_s(&high) == 0) return (uint64_t)high << 32 | low;
  LARGE_INTEGER now;
  QueryPerformanceCounter(&now);
  return (uint64_t)now.QuadPart ^ (uint64_t)GetCurrentProcessId() << 40 ^ GetTickCount64() << 20;
}

/* No process is forked. */
bool atfork_os_is_forked_by_alike(void) {
  return false;
}

/* Never called, as no process is forked. */
bool atfork_os_may_be_child_of(uint64_t process) {
  (void)process;
  return false;
}

/* Not by atfork_os_environment(), which would overwrite a value that a caller still uses.  A value that does not fit is
 * set, too. */
bool atfork_os_is_set(const char *name) {
  char value[2] = "";
  DWORD length = GetEnvironmentVariableA(name, value, sizeof value);
  return length > 1 || (length == 1 && value[0] != '0');
}

uint64_t atfork_os_clock(void) {
  return GetTickCount64() + 1;
}

uint64_t atfork_os_thread(void) {
  return GetCurrentThreadId();
}

/* Never called, as there are no such mutexes. */
uint64_t atfork_os_mutex_owner(const void *mutex) {
  (void)mutex;
  return 0;
}

void atfork_os_say(const char *text, size_t length) {
  DWORD written;
  WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)length, &written, NULL);
}

/* Each copy serves itself: a module cannot be asked whether it contains a copy. */
const struct service *atfork_os_serving(const struct service *own) {
  return own;
}

/* Without forks it does not matter. */
bool atfork_os_nests_forks(void) {
  return true;
}
