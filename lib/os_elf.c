/* SPDX-License-Identifier: MIT */
/* How copies of the library in a process find each other, on systems with ELF files. */
#define _GNU_SOURCE /* dl_iterate_phdr(), RTLD_NODELETE */
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os.h"
#include "service.h"

/* ---- The note of a copy ---- */

/* The ELF note of a copy, in the program or shared object that the copy is linked into.  `distance` is that from this
 * member to the copy's atfork_service_chosen.  The linker knows it, so a copy can be found without relocation and
 * without an exported symbol. */
struct copy_note {
  uint32_t name_size;
  uint32_t descriptor_size;
  uint32_t protocol;
  char name[8];
  int32_t distance;
};

/* clang-format off */
__asm__(
    ".pushsection .note.atfork, \"a\", %note\n"
    ".balign 4\n"
    ".4byte 7, 4, " SERVICE_TEXT(SERVICE_PROTOCOL) "\n"
    ".ascii \"atfork\\0\\0\"\n"
    ".4byte atfork_service_chosen - .\n"
    ".popsection\n");
/* clang-format on */

static bool is_ours(const struct copy_note *note) {
  return note->name_size == 7 && note->descriptor_size == 4 && memcmp(note->name, "atfork\0", sizeof note->name) == 0;
}

static const struct service *_Atomic *chosen_by(const struct copy_note *note) {
  return (const struct service *_Atomic *)((uintptr_t)&note->distance + (uintptr_t)(intptr_t)note->distance);
}

/* ---- The search ---- */

struct search {
  const struct service *same;  /* of a copy of our protocol that serves */
  const struct service *other; /* of a copy of another protocol that serves */
  const char *path;            /* of the shared object that has this copy; NULL: it is in the program */
};

static void look_at_note(struct search *search, const struct copy_note *note, const struct dl_phdr_info *object) {
  const struct service *_Atomic *chosen = chosen_by(note);
  if (chosen == &atfork_service_chosen) {
    bool is_program = (uintptr_t)object->dlpi_phdr == getauxval(AT_PHDR);
    search->path = is_program ? NULL : object->dlpi_name;
    return;
  }
  /* Acquire pairs with the release in atfork_service_choose(). */
  const struct service *service = atomic_load_explicit(chosen, memory_order_acquire);
  if (service == NULL) return; /* that copy is not initialised yet */
  if (note->protocol == SERVICE_PROTOCOL)
    search->same = service;
  else
    search->other = service;
}

/* Other notes may precede ours, with a padding that depends on the linker.  So our note may begin at any word. */
static void look_through(struct search *search, const ElfW(Phdr) * notes, const struct dl_phdr_info *object) {
  const char *begin = (const char *)((uintptr_t)(object->dlpi_addr + notes->p_vaddr + 3) & ~(uintptr_t)3);
  const char *end = (const char *)(uintptr_t)(object->dlpi_addr + notes->p_vaddr + notes->p_filesz);
  for (const char *at = begin; at + sizeof(struct copy_note) <= end; at += 4)
    if (is_ours((const struct copy_note *)(const void *)at))
      look_at_note(search, (const struct copy_note *)(const void *)at, object);
}

/* A file may list notes that are not in a loaded segment. */
static bool are_loaded(const ElfW(Phdr) * notes, const struct dl_phdr_info *object) {
  for (unsigned i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *load = &object->dlpi_phdr[i];
    if (load->p_type == PT_LOAD && notes->p_vaddr >= load->p_vaddr && notes->p_filesz <= load->p_filesz &&
        notes->p_vaddr - load->p_vaddr <= load->p_filesz - notes->p_filesz)
      return true;
  }
  return false;
}

static int look_into(struct dl_phdr_info *object, size_t size, void *search) {
  (void)size;
  for (unsigned i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *notes = &object->dlpi_phdr[i];
    if (notes->p_type == PT_NOTE && are_loaded(notes, object)) look_through(search, notes, object);
  }
  return 0;
}

/* ---- The choice ---- */

/* Writes a line to stderr by one call.  If that fails, there is nothing else to do. */
static void say_of_copies(const char *first, const char *name, const char *then, const char *other, const char *last) {
  const char *parts[] = {"atfork: ", first, name, then, other, last, "\n"};
  enum { PARTS = sizeof parts / sizeof *parts };
  struct iovec line[PARTS];
  for (unsigned i = 0; i < PARTS; i++) line[i] = (struct iovec){(void *)(uintptr_t)parts[i], strlen(parts[i])};
  ssize_t written = writev(STDERR_FILENO, line, PARTS);
  (void)written;
}

/* Weak: older C libraries have dlsym() in libdl, and a program that loads no plugins is not linked with that. */
#pragma weak dlsym

typedef void *(*opening)(const char *path, int flags);

/*
 * Keeps this copy's shared object loaded, as other copies will call this one: it may be a plugin with a static copy.
 * The path is the one that the dynamic linker uses, so no file is searched.  dlopen() is found by dlsym(), as linkers
 * warn about a static program that calls dlopen().
 */
static void stay(const char *path) {
  if (path == NULL || dlsym == NULL) return;
  opening opens = (opening)(uintptr_t)dlsym(RTLD_DEFAULT, "dlopen");
  if (opens(path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) == NULL)
    say_of_copies("", path, " serves this process, and cannot be kept from being unloaded", "", "");
}

const struct service *atfork_os_serving(const struct service *own) {
  struct search search = {NULL, NULL, NULL};
  dl_iterate_phdr(look_into, &search);
  if (search.same != NULL) return search.same;
  if (search.other != NULL)
    say_of_copies("version ", own->version, " is loaded beside version ", search.other->version,
                  ", and their protocols differ: each has hooks and a lineage of its own");
  stay(search.path);
  return own;
}
