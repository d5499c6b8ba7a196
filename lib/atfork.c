/* SPDX-License-Identifier: MIT */
/* The public functions: each calls the copy of the library that serves this process. */
#include "atfork.h"

#include "service.h"

atfork_id atfork_register_for(const struct atfork_hook *hook, void *dso) {
  return service()->register_hook(hook, dso);
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
  return service()->register_mutex(mutex, priority, dso);
}

atfork_id atfork_register_mutex(pthread_mutex_t *mutex, int priority) {
  return atfork_register_mutex_for(mutex, priority, NULL);
}
#endif

int atfork_unregister(atfork_id id) {
  return service()->unregister(id);
}

int atfork_foreach(int (*visit)(const struct atfork_info *info, void *arg), void *arg) {
  return service()->foreach (visit, arg);
}

uint64_t atfork_generation(void) {
  return service()->generation();
}

int atfork_lineage(char *buf, size_t size) {
  return service()->lineage(buf, size);
}

enum atfork_place atfork_place(void) {
  return service()->place();
}

uint64_t atfork_run(void) {
  return service()->run();
}

uint64_t atfork_seed(uint64_t base) {
  return service()->seed(base);
}

void atfork_seed_bytes(uint64_t base, void *buf, size_t size) {
  service()->seed_bytes(base, buf, size);
}

int atfork_poll(void) {
  return service()->poll();
}

void atfork_once(struct atfork_once *once, void (*init)(void *data), void *data) {
  service()->once(once, init, data);
}

int atfork_token(char *buf, size_t size) {
  return service()->token(buf, size);
}

int atfork_child_token(const char *token, uint64_t n, char *buf, size_t size) {
  return service()->child_token(token, n, buf, size);
}

int atfork_spawned(const char *token) {
  return service()->spawned(token);
}

int atfork_adopt(const char *rank) {
  return service()->adopt(rank);
}

int atfork_launcher(char *buf, size_t size) {
  return service()->launcher(buf, size);
}

const uint64_t *atfork_mark(void) {
  return service()->mark();
}

const char *atfork_version(void) {
  return service()->version;
}
