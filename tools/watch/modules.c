/* SPDX-License-Identifier: MIT */
/*
 * The objects of this process.  They are recorded when a stack has a frame in an object that has not been recorded yet.
 * Asking the dynamic linker at each fork would cost a page, as it takes a lock.
 */
#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "library.h"
#include "raw.h"

NEXT(dlclose);

enum { KNOWN = 1024 };

static struct range { uint64_t first, end; } known[KNOWN];
static _Atomic unsigned known_count;

static bool is_known(uint64_t address) {
  unsigned count = atomic_load_explicit(&known_count, memory_order_acquire);
  for (unsigned i = 0; i < count && i < KNOWN; i++)
    if (address >= known[i].first && address < known[i].end) return true;
  return false;
}

/* Two threads may record the same object at once. */
static void remember(uint64_t first, uint64_t end) {
  unsigned count = atomic_load_explicit(&known_count, memory_order_relaxed);
  if (count >= KNOWN) return;
  known[count] = (struct range){first, end};
  /* Pairs with the acquire in is_known(). */
  atomic_store_explicit(&known_count, count + 1, memory_order_release);
}

static void find_range(const struct dl_phdr_info *object, uint64_t *first, uint64_t *end) {
  *first = UINT64_MAX;
  *end = 0;
  for (unsigned i = 0; i < object->dlpi_phnum; i++) {
    if (object->dlpi_phdr[i].p_type != PT_LOAD) continue;
    uint64_t begin = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
    if (begin < *first) *first = begin;
    if (begin + object->dlpi_phdr[i].p_memsz > *end) *end = begin + object->dlpi_phdr[i].p_memsz;
  }
}

/* Where there is no /proc, it is as the caller of exec gave it. */
void modules_program(char *path, size_t size) {
  long length = raw_readlink("/proc/self/exe", path, size - 1);
  if (length < 0) strncpy(path, (const char *)getauxval(AT_EXECFN), size - 1);
  path[length < 0 ? (long)size - 1 : length] = '\0';
}

static int tell(struct dl_phdr_info *object, size_t size, void *data) {
  (void)size;
  (void)data;
  uint64_t first, end;
  find_range(object, &first, &end);
  if (end == 0 || is_known(first)) return 0;
  remember(first, end);
  char program[RECORD_TEXT];
  const char *path = object->dlpi_name;
  if (path[0] == '\0') {
    modules_program(program, sizeof program);
    path = program;
  }
  struct text text = {.size = 0};
  text_add(&text, path);
  LOG(RECORD_MODULE, &text, NULL, first, end, object->dlpi_addr);
  return 0;
}

void modules_tell_all(void) {
  dl_iterate_phdr(tell, NULL);
}

/* A lost thread may have held the dynamic linker's lock.  A child knows the objects that its parent knew. */
bool modules_have(uint64_t address) {
  if (!is_known(address) && threads_lost == NULL) modules_tell_all();
  return is_known(address);
}

void modules_tell(const struct stack *stack) {
  for (unsigned i = 0; i < stack->count; i++)
    if (!modules_have(stack->frames[i])) return;
}

/* Another object may be loaded at the same address. */
EXPORT int dlclose(void *handle) {
  atomic_store_explicit(&known_count, 0, memory_order_relaxed);
  int result = CALL(dlclose)(handle);
  library_forget_unloaded();
  return result;
}

/* Each copy of libatfork has a note of this name in the object that it is linked into. */
bool modules_have_libatfork(const struct dl_phdr_info *object) {
  static const char name[8] = "atfork\0";
  for (unsigned i = 0; i < object->dlpi_phnum; i++) {
    if (object->dlpi_phdr[i].p_type != PT_NOTE) continue;
    const char *begin = (const char *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
    for (size_t at = 0; at + 20 <= object->dlpi_phdr[i].p_memsz; at += 4)
      if (memcmp(begin + at + 12, name, sizeof name) == 0) return true;
  }
  return false;
}

/* The dynamic linker's name for the program is the one it was called by, which may not be a path. */
static bool is_program(const Dl_info *object) {
  Dl_info program;
  return dladdr((void *)getauxval(AT_PHDR), &program) != 0 && program.dli_fbase == object->dli_fbase;
}

void modules_path(const void *address, char *path, size_t size) {
  Dl_info object;
  path[0] = '\0';
  if (address == NULL || dladdr(address, &object) == 0 || object.dli_fname == NULL) return;
  if (is_program(&object)) {
    modules_program(path, size);
  } else {
    strncpy(path, object.dli_fname, size - 1);
    path[size - 1] = '\0';
  }
}
