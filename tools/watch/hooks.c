/* SPDX-License-Identifier: MIT */
/*
 * The hooks of libatfork, if it is in the process: how long each takes in each phase.
 *
 * A hook is registered with our callbacks, and a node that has the program's own.  Ids, order, errors and the end of a
 * hook are libatfork's.  Hooks of atfork_register_mutex() are not changed: libatfork recognises their callbacks by
 * address.
 */
#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#define ATFORK_BUILDING
#include <atfork.h>

#include "watch.h"

NEXT(atfork_register_for);
NEXT(atfork_foreach);

/* ---- Nodes: no lock, as a signal handler may register a hook, and a child ---- */

enum { NODES = 128 /* in a chunk */, CHUNKS = 8192 };

struct node {
  _Atomic uint32_t next; /* while it is free: number of the next free one, 0: none */
  uint32_t number;       /* from 1 on */
  struct atfork_hook hook;
  char name[64];
  char object[192]; /* path of the object that registered it */
};

static struct node *_Atomic chunks[CHUNKS];
static _Atomic uint32_t used;
/* Number of the first free node, and above it a count of changes: it shows that a node was taken and freed in
 * between. */
static _Atomic uint64_t free_nodes;

static struct node *node_at(uint32_t number) {
  return &atomic_load_explicit(&chunks[(number - 1) / NODES], memory_order_acquire)[(number - 1) % NODES];
}

/* The acquire pairs with the release in give_back(): no thread uses the former content of the node. */
static struct node *take_free(void) {
  uint64_t first = atomic_load_explicit(&free_nodes, memory_order_acquire), rest;
  do {
    if ((uint32_t)first == 0) return NULL;
    uint32_t next = atomic_load_explicit(&node_at((uint32_t)first)->next, memory_order_relaxed);
    rest = (((first >> 32) + 1) << 32) | next;
  } while (
      !atomic_compare_exchange_weak_explicit(&free_nodes, &first, rest, memory_order_acquire, memory_order_acquire));
  return node_at((uint32_t)first);
}

static void give_back(struct node *node) {
  uint64_t first = atomic_load_explicit(&free_nodes, memory_order_relaxed), changed;
  do {
    atomic_store_explicit(&node->next, (uint32_t)first, memory_order_relaxed);
    changed = (((first >> 32) + 1) << 32) | node->number;
  } while (
      !atomic_compare_exchange_weak_explicit(&free_nodes, &first, changed, memory_order_release, memory_order_relaxed));
}

static bool make_chunk(struct node *_Atomic *chunk) {
  size_t size = NODES * sizeof(struct node);
  struct node *expected = NULL;
  if (atomic_load_explicit(chunk, memory_order_acquire) != NULL) return true;
  void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return false;
  if (!atomic_compare_exchange_strong(chunk, &expected, mapped)) munmap(mapped, size);
  return true;
}

static struct node *take_node(void) {
  struct node *node = take_free();
  if (node != NULL) return node;
  uint32_t number = atomic_fetch_add_explicit(&used, 1, memory_order_relaxed) + 1;
  if (number > (uint32_t)NODES * CHUNKS || !make_chunk(&chunks[(number - 1) / NODES])) return NULL;
  node = node_at(number);
  node->number = number;
  return node;
}

/* ---- What libatfork calls ---- */

static uint64_t begin_phase(unsigned phase) {
  int saved = errno;
  self_get();
  /* The handlers of libatfork run before ours in `prepare`. */
  if (phase == 0 && fork_under_way.id == 0) fork_begin(HOW_LIBC);
  errno = saved;
  return watch_now();
}

static void end_phase(const struct node *node, unsigned phase, uint64_t function, uint64_t begun) {
  uint64_t now = watch_now();
  uint64_t id = phase == 2 ? self_page->fork : fork_under_way.id;
  struct text text = {.size = 0};
  text_add(&text, node->object);
  text_add(&text, node->name);
  LOG(RECORD_CALLBACK, &text, NULL, id, phase, now - begun, function, node->number,
      (uint64_t)(int64_t)node->hook.priority, CALLBACK_HOOK, 0);
}

#define RUN(phase, callback)                                                 \
  do {                                                                       \
    const struct node *node = data;                                          \
    uint64_t begun = begin_phase(phase);                                     \
    node->hook.callback(node->hook.data);                                    \
    end_phase(node, phase, (uint64_t)(uintptr_t)node->hook.callback, begun); \
  } while (0)

static void prepare(void *data) {
  RUN(0, prepare);
}

static void parent(void *data) {
  RUN(1, parent);
}

static void child(void *data) {
  RUN(2, child);
}

static void await(void *data) {
  RUN(0, wait);
}

static int try_prepare(void *data) {
  const struct node *node = data;
  uint64_t begun = begin_phase(0);
  int refused = node->hook.try_prepare(node->hook.data);
  end_phase(node, 0, (uint64_t)(uintptr_t)node->hook.try_prepare, begun);
  return refused;
}

static void destroy(void *data) {
  struct node *node = data;
  struct atfork_hook hook = node->hook;
  give_back(node);
  if (hook.destroy != NULL) hook.destroy(hook.data);
}

/* ---- Which libatfork ---- */

struct search {
  char path[1024];
};

static int look_at(struct dl_phdr_info *object, size_t size, void *data) {
  (void)size;
  struct search *search = data;
  if (object->dlpi_name == NULL || strlen(object->dlpi_name) >= sizeof search->path) return 0;
  if (!modules_have_libatfork(object)) return 0;
  strcpy(search->path, object->dlpi_name);
  return 1;
}

/* Searches objects that were loaded later with RTLD_LOCAL: any copy of libatfork calls the one that serves. */
static any_function find_local(struct next *next) {
  struct search search = {.path = ""};
  any_function function = NULL;
  if (dl_iterate_phdr(look_at, &search) == 0) return NULL;
  void *object = dlopen(search.path, RTLD_LAZY | RTLD_NOLOAD);
  if (object == NULL) return NULL;
  void *found = dlsym(object, next->name);
  memcpy(&function, &found, sizeof function);
  dlclose(object);
  /* The library itself is never unloaded. */
  if (strstr(search.path, "/libatfork.so") != NULL)
    atomic_store_explicit(&next->function, function, memory_order_relaxed);
  return function;
}

/* NULL: there is no libatfork in the process, which has asked for it by a weak symbol, or by dlsym(). */
static any_function find(struct next *next) {
  any_function function = next_function(next);
  return function != NULL ? function : find_local(next);
}

#define FIND(name) ((__typeof__(&name))find(&next_of_##name))

/* ---- The functions of libatfork ---- */

static void name_object(struct node *node, const void *dso) {
  const struct atfork_hook *hook = &node->hook;
  void (*const callbacks[])(void *) = {hook->child, hook->parent, hook->prepare};
  uintptr_t address = dso != NULL ? (uintptr_t)dso : (uintptr_t)hook->try_prepare;
  for (unsigned i = 0; i < 3 && address == 0; i++) address = (uintptr_t)callbacks[i];
  modules_path((const void *)address, node->object, sizeof node->object);
}

static void fill_node(struct node *node, const struct atfork_hook *hook, const void *dso) {
  node->hook = *hook;
  node->name[0] = '\0';
  if (hook->name != NULL) strncpy(node->name, hook->name, sizeof node->name - 1);
  name_object(node, dso);
}

static atfork_id register_in(const struct atfork_hook *hook, void *dso) {
  __typeof__(&atfork_register_for) next = FIND(atfork_register_for);
  if (next == NULL) {
    errno = ENOSYS;
    return 0;
  }
  struct node *node = watch_log == NULL || hook == NULL ? NULL : take_node();
  if (node == NULL) return next(hook, dso);
  fill_node(node, hook, dso);
  struct atfork_hook ours = {
      .name = hook->name,
      .priority = hook->priority,
      .prepare = hook->prepare == NULL ? NULL : prepare,
      .parent = hook->parent == NULL ? NULL : parent,
      .child = hook->child == NULL ? NULL : child,
      .try_prepare = hook->try_prepare == NULL ? NULL : try_prepare,
      .wait = hook->wait == NULL ? NULL : await,
      .data = node,
      .destroy = destroy,
  };
  atfork_id id = next(&ours, dso);
  if (id == 0) give_back(node);
  return id;
}

EXPORT atfork_id atfork_register_for(const struct atfork_hook *hook, void *dso) {
  return register_in(hook, dso);
}

EXPORT atfork_id atfork_register(const struct atfork_hook *hook) {
  return register_in(hook, NULL);
}

EXPORT atfork_id atfork_register_after_fork_for(void (*func)(void *data), void *data, void *dso) {
  return register_in(&(struct atfork_hook){.child = func, .data = data}, dso);
}

EXPORT atfork_id atfork_register_after_fork(void (*func)(void *data), void *data) {
  return register_in(&(struct atfork_hook){.child = func, .data = data}, NULL);
}

struct visit {
  int (*visit)(const struct atfork_info *info, void *arg);
  void *arg;
};

/* With the program's own callbacks. */
static int show(const struct atfork_info *info, void *data) {
  const struct visit *visit = data;
  if (info->hook.destroy != destroy) return visit->visit(info, visit->arg);
  const struct node *node = info->hook.data;
  struct atfork_info own = *info;
  own.hook = node->hook;
  own.hook.name = info->hook.name;
  return visit->visit(&own, visit->arg);
}

EXPORT int atfork_foreach(int (*visit)(const struct atfork_info *info, void *arg), void *arg) {
  __typeof__(&atfork_foreach) next = FIND(atfork_foreach);
  if (next == NULL) {
    errno = ENOSYS;
    return -1;
  }
  return visit == NULL ? next(NULL, arg) : next(show, &(struct visit){visit, arg});
}
