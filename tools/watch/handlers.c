/* SPDX-License-Identifier: MIT */
/*
 * The handlers of pthread_atfork(): which object registered each, and how long it takes.
 *
 * A handler gets no argument.  So each set of handlers is replaced by three functions of a table, which know their
 * index.  They end with the object that registered them, as the C library's do.  When the table is full, further
 * handlers are registered unchanged.
 */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <string.h>

#include "raw.h"
#include "watch.h"

extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso);
NEXT(__register_atfork);

enum { SLOTS = 128, PHASES = 3 };

struct slot {
  void (*functions[PHASES])(void);
  char object[256]; /* path of the one that registered it */
};

static struct slot slots[SLOTS];
static _Atomic unsigned slots_used;
static _Atomic unsigned registered;

unsigned handlers_count(void) {
  return atomic_load_explicit(&registered, memory_order_relaxed);
}

static uint64_t address_of(void (*function)(void)) {
  uintptr_t address;
  memcpy(&address, &function, sizeof address);
  return address;
}

static void run(unsigned number, unsigned phase) {
  struct slot *slot = &slots[number];
  self_get();
  /* The prepare() of this handler runs before ours, which begins a fork that no wrapper has begun. */
  if (phase == 0 && fork_under_way.id == 0) fork_begin(HOW_LIBC);
  uint64_t id = phase == 2 ? self_page->fork : fork_under_way.id;
  struct text text = {.size = 0};
  text_add(&text, slot->object);
  text_add(&text, "");
  bool gone = !modules_have(address_of(slot->functions[phase]));
  uint64_t begun = watch_now();
  if (gone)
    LOG(RECORD_CALLBACK, &text, NULL, id, phase, 0, address_of(slot->functions[phase]), number, 0, CALLBACK_HANDLER, 1);
  self_page->in_handler = phase == 2;
  slot->functions[phase]();
  self_page->in_handler = false;
  LOG(RECORD_CALLBACK, &text, NULL, id, phase, watch_now() - begun, address_of(slot->functions[phase]), number, 0,
      CALLBACK_HANDLER, 0);
}

/* clang-format off */
#define TEN(of, tens) of(tens##0) of(tens##1) of(tens##2) of(tens##3) of(tens##4) of(tens##5) of(tens##6) of(tens##7)
#define ALL(of) \
  TEN(of, 0) TEN(of, 01) TEN(of, 02) TEN(of, 03) TEN(of, 04) TEN(of, 05) TEN(of, 06) TEN(of, 07) \
  TEN(of, 010) TEN(of, 011) TEN(of, 012) TEN(of, 013) TEN(of, 014) TEN(of, 015) TEN(of, 016) TEN(of, 017)
#define FUNCTIONS(n)                            \
  static void prepare_##n(void) { run(n, 0); }  \
  static void parent_##n(void) { run(n, 1); }   \
  static void child_##n(void) { run(n, 2); }
ALL(FUNCTIONS)
#define ROW(n) {prepare_##n, parent_##n, child_##n},
static void (*const in_front[SLOTS][PHASES])(void) = {ALL(ROW)};
/* clang-format on */

/* ---- The handlers of libatfork itself ---- */

struct search {
  uintptr_t address;
  bool is_libatfork;
};

static int look_at(struct dl_phdr_info *object, size_t size, void *data) {
  (void)size;
  struct search *search = data;
  for (unsigned i = 0; i < object->dlpi_phnum; i++) {
    uintptr_t begin = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
    if (object->dlpi_phdr[i].p_type != PT_LOAD || search->address - begin >= object->dlpi_phdr[i].p_memsz) continue;
    search->is_libatfork = modules_have_libatfork(object);
    return 1;
  }
  return 0;
}

/* libatfork's hooks also run in a child of a bypassing fork, when the child polls.  So its handlers do not count as
 * missed. */
static bool is_libatfork(const void *dso) {
  struct search search = {(uintptr_t)dso, false};
  dl_iterate_phdr(look_at, &search);
  return search.is_libatfork;
}

static void name_object(struct slot *slot, void *dso, void (*const functions[PHASES])(void)) {
  void *address = dso;
  for (unsigned phase = 0; phase < PHASES && address == NULL; phase++)
    if (functions[phase] != NULL) address = (void *)(uintptr_t)address_of(functions[phase]);
  modules_path(address, slot->object, sizeof slot->object);
}

void handlers_register_own(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  CALL(__register_atfork)(prepare, parent, child, NULL);
}

/* What pthread_atfork() calls, which is linked into each object. */
EXPORT int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso) {
  if (watch_log == NULL) return CALL(__register_atfork)(prepare, parent, child, dso);
  unsigned number = atomic_fetch_add(&slots_used, 1);
  if (number >= SLOTS) return CALL(__register_atfork)(prepare, parent, child, dso);
  struct slot *slot = &slots[number];
  void (*const functions[PHASES])(void) = {prepare, parent, child};
  memcpy(slot->functions, functions, sizeof functions);
  name_object(slot, dso, functions);
  int error =
      CALL(__register_atfork)(prepare == NULL ? NULL : in_front[number][0], parent == NULL ? NULL : in_front[number][1],
                              child == NULL ? NULL : in_front[number][2], dso);
  if (error == 0 && !is_libatfork(dso)) atomic_fetch_add(&registered, 1);
  return error;
}
