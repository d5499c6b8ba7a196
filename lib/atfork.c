/* SPDX-License-Identifier: MIT */
/* The public functions; what they do is in the rooms. */
#include "atfork.h"

#include "hook.h"
#include "once.h"
#include "self.h"
#ifndef _WIN32
#include "mutex.h"
#endif

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

atfork_id atfork_register_for(const struct atfork_hook *hook, void *dso) {
  return hook_register(hook, dso);
}

atfork_id atfork_register(const struct atfork_hook *hook) {
  return atfork_register_for(hook, NULL);
}

atfork_id atfork_register_after_fork_for(void (*func)(void *data), void *data, void *dso) {
  return atfork_register_for(&(struct atfork_hook){.child = func, .data = data}, dso);
}

atfork_id atfork_register_after_fork(void (*func)(void *data), void *data) {
  return atfork_register_after_fork_for(func, data, NULL);
}

#ifndef _WIN32
atfork_id atfork_register_mutex_for(pthread_mutex_t *mutex, int priority, void *dso) {
  return mutex_register(mutex, priority, dso);
}

atfork_id atfork_register_mutex(pthread_mutex_t *mutex, int priority) {
  return atfork_register_mutex_for(mutex, priority, NULL);
}
#endif

int atfork_unregister(atfork_id id) {
  return hook_unregister(id);
}

int atfork_foreach(int (*visit)(const struct atfork_info *info, void *arg), void *arg) {
  return hook_visit(visit, arg);
}

uint64_t atfork_generation(void) {
  return self_generation();
}

int atfork_lineage(char *buf, size_t size) {
  return self_lineage(buf, size);
}

uint64_t atfork_seed(uint64_t base) {
  return self_seed(base);
}

int atfork_poll(void) {
  return self_poll();
}

void atfork_once(struct atfork_once *once, void (*init)(void *data), void *data) {
  once_run(once, init, data);
}

int atfork_token(char *buf, size_t size) {
  return self_token(buf, size);
}

int atfork_spawned(const char *token) {
  return self_spawned(token);
}

const uint64_t *atfork_mark(void) {
  return self_mark();
}

const char *atfork_version(void) {
  return TEXT(ATFORK_VERSION_MAJOR) "." TEXT(ATFORK_VERSION_MINOR) "." TEXT(ATFORK_VERSION_MICRO);
}
