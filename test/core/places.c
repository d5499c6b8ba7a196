/* SPDX-License-Identifier: MIT */
#include "places.h"

#include <errno.h>
#include <glib.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "steps.h"

/* ---- The library's code ---- */

static struct { uintptr_t base, begin, end; } library;

static int find_code(struct dl_phdr_info *info, size_t size, void *address) {
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    uintptr_t begin = info->dlpi_addr + header->p_vaddr;
    if (header->p_type != PT_LOAD || (uintptr_t)address - begin >= header->p_memsz) continue;
    library.base = info->dlpi_addr;
    library.begin = begin;
    library.end = begin + header->p_memsz;
    return 1;
  }
  return 0;
}

bool places_in(const void *inside) {
  enum { PAGE = 4096 };
  g_assert_cmpint(dl_iterate_phdr(find_code, (void *)(uintptr_t)inside), ==, 1);
  uintptr_t begin = library.begin & ~(uintptr_t)(PAGE - 1);
  return mprotect((void *)begin, library.end - begin, PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
}

uintptr_t places_offset(uintptr_t at) {
  return at - library.base;
}

static void handle_traps(void (*handler)(int signal, siginfo_t *info, void *context)) {
  struct sigaction on_trap = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGTRAP, &on_trap, NULL);
}

static uintptr_t next_instruction(const ucontext_t *context) {
  return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

/* ---- Tracing ---- */

static struct places *tracing;

static void on_step(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  step_keep(context);
  uintptr_t at = next_instruction(context);
  if (at < library.begin || at >= library.end) return;
  if (tracing->count == PLACES) abort();
  tracing->at[tracing->count++] = at;
}

void places_trace(struct places *places) {
  tracing = places;
  handle_traps(on_step);
  step_begin();
}

void places_trace_end(void) {
  step_end();
}

/* ---- A breakpoint ---- */

enum { INT3 = 0xcc };

static struct {
  unsigned char *at; /* NULL: none */
  unsigned char instruction;
  size_t passes;    /* how often it is to be come to before */
  bool is_stepping; /* over it */
  void (*act)(void);
} point;

/* Lets the instruction itself be executed, and comes back after it. */
static void pass(ucontext_t *context) {
  point.passes--;
  point.is_stepping = true;
  step_on(context);
}

static void on_break(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  ucontext_t *interrupted = context;
  if (point.is_stepping) {
    point.is_stepping = false;
    step_no_more(interrupted);
    if (point.at != NULL) *point.at = INT3;
    return;
  }
  if (point.at == NULL || next_instruction(interrupted) != (uintptr_t)point.at + 1) abort();
  *point.at = point.instruction;
  interrupted->uc_mcontext.gregs[REG_RIP]--;
  if (point.passes > 0) {
    pass(interrupted);
    return;
  }
  int error = errno;
  point.at = NULL;
  point.act();
  errno = error;
}

void places_break(const struct places *places, size_t which, void (*act)(void)) {
  point.passes = 0;
  for (size_t i = 0; i < which; i++) point.passes += places->at[i] == places->at[which];
  point.at = (unsigned char *)places->at[which];
  point.instruction = *point.at;
  point.is_stepping = false;
  point.act = act;
  handle_traps(on_break);
  *point.at = INT3;
}

void places_break_not(void) {
  if (point.at != NULL) *point.at = point.instruction;
  point.at = NULL;
}
