/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "adopt.h"

static unsigned with_program; /* how many objects, at the head of the list, were loaded with the program */
static char program[PATH_MAX];

static int count(struct dl_phdr_info *info, size_t size, void *counter) {
  (void)info;
  (void)size;
  ++*(unsigned *)counter;
  return 0;
}

void adopt_note_objects(void) {
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  program[length > 0 ? length : 0] = '\0';
  dl_iterate_phdr(count, &with_program);
}

struct search {
  struct object *object;
  uintptr_t address;
  unsigned passed;
};

static bool lies_in(uintptr_t address, const struct dl_phdr_info *info) {
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *load = &info->dlpi_phdr[i];
    if (load->p_type == PT_LOAD && address - info->dlpi_addr - load->p_vaddr < load->p_memsz) return true;
  }
  return false;
}

/* As the library itself finds its copies. */
static bool has_library(const struct dl_phdr_info *info) {
  static const char name[] = "atfork"; /* with its NUL */
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *notes = &info->dlpi_phdr[i];
    uintptr_t address = info->dlpi_addr + notes->p_vaddr;
    const char *bytes = (const char *)address;
    /* A file may list notes that it does not have loaded. */
    if (notes->p_type != PT_NOTE || !lies_in(address, info)) continue;
    for (size_t at = 0; at + sizeof name <= notes->p_memsz; at += 4)
      if (memcmp(bytes + at, name, sizeof name) == 0) return true;
  }
  return false;
}

/* Objects are listed in the order in which they were loaded; the program is the first, and has no name. */
static int look(struct dl_phdr_info *info, size_t size, void *data) {
  struct search *search = data;
  unsigned position = search->passed++;
  (void)size;
  if (!lies_in(search->address, info)) return 0;
  *search->object = (struct object){
      .path = position == 0 ? program : info->dlpi_name,
      .has_library = has_library(info),
      .stays = position < with_program,
  };
  return 1;
}

void adopt_find_object(struct object *object, const void *address) {
  struct search search = {object, (uintptr_t)address, 0};
  *object = (struct object){.path = ""};
  dl_iterate_phdr(look, &search);
}

const char *adopt_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}
