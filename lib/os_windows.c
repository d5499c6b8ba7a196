/* SPDX-License-Identifier: MIT */
/*
 * Windows: nothing forks, and what is registered runs in atfork_spawned().
 *
 * Nothing here is called under the library's lock that may take the loader's, as a DLL may register a hook while it is
 * being loaded.
 */
#define WIN32_LEAN_AND_MEAN
#define _CRT_RAND_S         /* rand_s() */
#define _WIN32_WINNT 0x0602 /* Windows 8: WaitOnAddress() */
#include "os.h"

#include <errno.h>
#include <stdlib.h>
#include <windows.h>

enum { PLAIN_YIELDS = 16, LONGEST_SLEEP = 50 /* ms */, VARIABLE_MAX = 2048 /* bytes; no token is that long */ };

/* ---- Memory ---- */

void *atfork_os_map(size_t size) {
  return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

/* No process descends from this one. */
void *atfork_os_map_shared(size_t size) {
  return atfork_os_map(size);
}

void atfork_os_unmap(void *memory, size_t size) {
  (void)size; /* as it was mapped; here it has to be 0 */
  VirtualFree(memory, 0, MEM_RELEASE);
}

size_t atfork_os_page_size(void) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwPageSize;
}

/* What is reserved begins at a multiple of this, so that the rest of the last one would be lost. */
size_t atfork_os_map_size(size_t size) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  size_t unit = info.dwAllocationGranularity;
  return (size + unit - 1) / unit * unit;
}

/* ---- Forks ---- */

/* No new process has these pages. */
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

/* The module that `address` lies in stays loaded from now on. */
static bool pin(const void *address) {
  const DWORD how = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
  HMODULE module;
  return GetModuleHandleExW(how, (LPCWSTR)address, &module) != 0;
}

/* Load once, never unload: who loads the library again must find the hooks, and this process's place in the tree. */
__attribute__((constructor)) static void stay(void) {
  static const char here;
  pin(&here);
}

/*
 * The simplest that is sound: nobody can be told before a DLL is unmapped, but under the loader's lock, where waiting
 * for other threads' callbacks would deadlock.  At exit the other threads are gone wherever they were, and nothing
 * forks.
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

/* Sleep(1) is the shortest that there is; how long, the system's clock says. */
void atfork_os_back_off(unsigned attempt) {
  if (attempt < PLAIN_YIELDS)
    SwitchToThread();
  else
    Sleep(1);
}

/* ---- The process ---- */

/*
 * From the system, not from a C runtime, of which a process may have several: what CreateProcess() hands on is there.
 * One that is too long is no token, as is none.
 */
const char *atfork_os_environment(const char *name) {
  static char value[VARIABLE_MAX];
  DWORD length = GetEnvironmentVariableA(name, value, sizeof value);
  return length == 0 || length >= sizeof value ? NULL : value;
}

/* From both: our C runtime's copy is what its _spawn() family hands on. */
void atfork_os_forget(const char *name) {
  _putenv_s(name, "");
}

uint64_t atfork_os_process(void) {
  return GetCurrentProcessId();
}

/* rand_s() fails where the system's library for it cannot be loaded. */
uint64_t atfork_os_random(void) {
  unsigned low, high;
  if (rand_s(&low) == 0 && rand_s(&high) == 0) return (uint64_t)high << 32 | low;
  LARGE_INTEGER now;
  QueryPerformanceCounter(&now);
  return (uint64_t)now.QuadPart ^ (uint64_t)GetCurrentProcessId() << 40 ^ GetTickCount64() << 20;
}

/* None is. */
bool atfork_os_is_forked_by_alike(void) {
  return false;
}

/* Nobody forks, and so nobody asks. */
bool atfork_os_may_be_child_of(uint64_t process) {
  (void)process;
  return false;
}

/* Not by atfork_os_environment(), whose value its caller may still be reading.  One that does not fit is something,
 * too. */
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

/* There are no such mutexes. */
uint64_t atfork_os_mutex_owner(const void *mutex) {
  (void)mutex;
  return 0;
}

void atfork_os_say(const char *text, size_t length) {
  DWORD written;
  WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)length, &written, NULL);
}

/* Each copy serves itself: there is no asking a module whether it has one in it. */
const struct service *atfork_os_serving(const struct service *own) {
  return own;
}

/* None is made. */
bool atfork_os_nests_forks(void) {
  return true;
}
