/* SPDX-License-Identifier: MIT */
/* The identity of this process among all watched processes. */
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "raw.h"
#include "watch.h"

static struct self before_loading;
struct self *self_page = &before_loading;
uint32_t self_loaded;

/* If the kernel cannot wipe it (before 4.14), a child finds its parent's page, with a pid that is not its own. */
static void make_page(void) {
  long size = sysconf(_SC_PAGESIZE);
  void *page = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  madvise(page, (size_t)size, MADV_WIPEONFORK);
  self_page = page;
}

static void take_number(void) {
  self_page->pid = raw_getpid();
  uint32_t number = atomic_fetch_add_explicit(&watch_log->processes, 1, memory_order_relaxed) + 1;
  atomic_store_explicit(&self_page->number, number, memory_order_relaxed);
}

/* No fork was under way in this thread: what made this process was not seen. */
static void describe_birth(void) {
  self_page->fork = fork_under_way.id;
  self_page->how = fork_under_way.id == 0 ? HOW_UNSEEN : fork_under_way.how;
  fork_under_way.id = 0;
}

/* The name of the thread that forked: the kernel gives it to the child. */
static void add_name(struct text *text) {
  char name[16] = "";
  raw_call(SYS_prctl, PR_GET_NAME, (long)name, 0, 0, 0, 0);
  text_add(text, name);
}

void self_enter(void) {
  if (watch_log == NULL) return;
  describe_birth();
  take_number();
  struct text text = {.size = 0};
  if (self_page->fork == 0) add_name(&text);
  LOG(RECORD_BORN, &text, NULL, self_page->fork, (uint64_t)raw_getppid(), self_page->how, handlers_count());
  uint64_t id = self_page->fork;
  threads_born(id);
  if (watches(WATCH_LOCKS | WATCH_EXPLORE)) locks_in_child();
}

bool self_is_borrowed(void) {
  return self_page->pid != 0 && self_page->pid != raw_getpid();
}

void self_goes_on(const char *function) {
  if (watch_log == NULL) return;
  struct self *self = self_get();
  if (self->how == HOW_ROOT || self->in_handler) return;
  if (atomic_exchange_explicit(&self->went_on, true, memory_order_relaxed)) return;
  struct text text = {.size = 0};
  text_add(&text, function);
  LOG(RECORD_GOES_ON, &text, NULL, self->fork);
  if (watches(WATCH_LOCKS)) locks_go_on(self->fork);
}

/* ---- The start of a program ---- */

__attribute__((constructor(102))) static void begin(int argc, char **argv) {
  make_page();
  if (watch_log == NULL) return;
  take_number();
  self_loaded = atomic_load_explicit(&self_page->number, memory_order_relaxed);
  thread_enter();
  struct text text = {.size = 0};
  char path[RECORD_TEXT / 2];
  modules_program(path, sizeof path);
  text_add(&text, path);
  for (int i = 0; i < argc; i++) text_add(&text, argv[i]);
  LOG(RECORD_LOADED, &text, NULL, (uint64_t)raw_getppid());
  modules_tell_all();
}
