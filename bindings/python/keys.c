/* SPDX-License-Identifier: MIT */
#include "keys.h"

bool keys_set(struct hook *hook, PyObject *key) {
  hook->hash = PyObject_Hash(key);
  if (hook->hash == -1) return false;
  hook->key = Py_NewRef(key);
  return true;
}

/* ---- The table: a power of two of lists ---- */

static struct hook **list_of(const struct keys *keys, Py_hash_t hash) {
  return &keys->lists[(size_t)hash & (keys->size - 1)];
}

static void put_in(struct keys *keys, struct hook *hook) {
  struct hook **list = list_of(keys, hook->hash);
  hook->next_key = *list;
  *list = hook;
  keys->changes++;
}

static bool grow(struct keys *keys) {
  struct keys grown = {.size = keys->size == 0 ? 16 : keys->size * 2, .count = keys->count, .changes = keys->changes};
  grown.lists = PyMem_RawCalloc(grown.size, sizeof *grown.lists);
  if (grown.lists == NULL) return PyErr_NoMemory() != NULL;
  for (size_t i = 0; i < keys->size; i++) {
    for (struct hook *hook = keys->lists[i], *next; hook != NULL; hook = next) {
      next = hook->next_key;
      put_in(&grown, hook);
    }
  }
  PyMem_RawFree(keys->lists);
  *keys = grown;
  return true;
}

bool keys_add(struct registry *registry, struct hook *hook) {
  struct keys *keys = &registry->keys;
  if (hook->key == NULL) return true;
  if (keys->count == keys->size && !grow(keys)) return false;
  put_in(keys, hook);
  keys->count++;
  return true;
}

void keys_remove(struct registry *registry, struct hook *hook) {
  if (hook->key == NULL) return;
  struct hook **at = list_of(&registry->keys, hook->hash);
  while (*at != hook) at = &(*at)->next_key;
  *at = hook->next_key;
  registry->keys.count--;
  registry->keys.changes++;
}

void keys_clear(struct registry *registry) {
  PyMem_RawFree(registry->keys.lists);
  registry->keys = (struct keys){0};
}

/* ---- Finding one ---- */

/* 1: yes; 0: no; -1: an exception.  The other hook may be unregistered meanwhile. */
static int has_same_key(const struct hook *hook, const struct hook *other) {
  if (other->hash != hook->hash) return 0;
  PyObject *key = Py_NewRef(other->key);
  int is_equal = PyObject_RichCompareBool(key, hook->key, Py_EQ);
  Py_DECREF(key);
  return is_equal;
}

/* Begins again if hooks with keys have changed during a comparison. */
bool keys_find(const struct registry *registry, const struct hook *hook, struct hook **found) {
  const struct keys *keys = &registry->keys;
  int is_equal = 0;
  uint64_t before;
  do {
    before = keys->changes;
    *found = hook->key == NULL || keys->size == 0 ? NULL : *list_of(keys, hook->hash);
    while (*found != NULL && (is_equal = has_same_key(hook, *found)) == 0 && keys->changes == before)
      *found = (*found)->next_key;
  } while (is_equal >= 0 && keys->changes != before);
  return is_equal >= 0;
}
