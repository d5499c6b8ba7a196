/* SPDX-License-Identifier: MIT */
/* A plugin that brings a copy of the library along: the shared one, or one of its own. */
#include "copy.h"

static atfork_id add(const struct atfork_hook *hook) {
  return atfork_register(hook);
}

static atfork_id add_mutex(pthread_mutex_t *mutex) {
  return (atfork_register_mutex)(mutex, 0);
}

static uint64_t generation(void) {
  return atfork_generation();
}

static void once(struct atfork_once *control, void (*init)(void *data), void *data) {
  atfork_once(control, init, data);
}

static const struct copy copy = {
    .add = add,
    .add_mutex = add_mutex,
    .unregister = atfork_unregister,
    .foreach = atfork_foreach,
    .generation = generation,
    .lineage = atfork_lineage,
    .seed = atfork_seed,
    .poll = atfork_poll,
    .once = once,
    .token = atfork_token,
    .spawned = atfork_spawned,
    .mark = atfork_mark,
    .version = atfork_version,
};

const struct copy *copy_here(void) {
  return &copy;
}

#ifdef WRAP_DLSYM
/* As where there is no memory. */
static void *fail_to_open(const char *path, int flags) {
  (void)path;
  (void)flags;
  return NULL;
}

void *__wrap_dlsym(void *object, const char *name);
void *__wrap_dlsym(void *object, const char *name) {
  (void)object;
  (void)name;
  return (void *)(uintptr_t)fail_to_open;
}
#endif
