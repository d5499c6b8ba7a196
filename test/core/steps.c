/* SPDX-License-Identifier: MIT */
#include "steps.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "forks.h"

enum { TRAP_FLAG = 0x100 };

/* Beyond the red zone, which a leaf function may use without moving the stack pointer. */
#define CHANGE_FLAGS(change)                                                                             \
  __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\t" change "\n\tpopfq\n\tlea 128(%%rsp), %%rsp" :: \
                       : "cc", "memory")

void step_begin(void) {
  CHANGE_FLAGS("orq $0x100, (%%rsp)");
}

void step_end(void) {
  CHANGE_FLAGS("andq $~0x100, (%%rsp)");
}

void step_no_more(ucontext_t *context) {
  context->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

void step_on(ucontext_t *context) {
  context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

bool has_more_instructions(void) {
#ifdef __SANITIZE_ADDRESS__
  return true;
#else
  return coverage_dump != NULL;
#endif
}

/* ---- Interrupting ---- */

/* What this thread is to do where. */
static _Thread_local struct {
  bool (*is_there)(const ucontext_t *context);
  void (*act)(void);
  bool has_acted;
} plan;

static bool is_to_change_mask(const ucontext_t *context) {
  const greg_t *registers = context->uc_mcontext.gregs;
  const unsigned char *at = (const unsigned char *)registers[REG_RIP];
  bool is_syscall = at[0] == 0x0f && at[1] == 0x05;
  return is_syscall && registers[REG_RAX] == SYS_rt_sigprocmask && registers[REG_RSI] != 0;
}

/* Of what the kernel calls a set: 64 bits, of which a handler's context has no more. */
static uint64_t changed(uint64_t mask, int how, uint64_t set) {
  if (how == SIG_BLOCK) return mask | set;
  if (how == SIG_UNBLOCK) return mask & ~set;
  return set;
}

/*
 * A step while SIGTRAP is blocked ends the process, and glibc's fork() blocks all signals since 2.41.  So the handler
 * does this system call's work, without SIGTRAP, and has the thread go on behind it.
 */
static void change_mask(ucontext_t *context) {
  greg_t *registers = context->uc_mcontext.gregs;
  uint64_t mask, set;
  memcpy(&mask, &context->uc_sigmask, sizeof mask);
  memcpy(&set, (const void *)registers[REG_RSI], sizeof set);
  if (registers[REG_RDX] != 0) memcpy((void *)registers[REG_RDX], &mask, sizeof mask);
  mask = changed(mask, (int)registers[REG_RDI], set) & ~(UINT64_C(1) << (SIGTRAP - 1));
  memcpy(&context->uc_sigmask, &mask, sizeof mask);
  registers[REG_RAX] = 0;
  registers[REG_RIP] += 2;
}

void step_keep(ucontext_t *context) {
  if (is_to_change_mask(context)) change_mask(context);
}

static void on_step(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  step_keep(context);
  if (plan.has_acted || !plan.is_there(context)) return;
  int error = errno;
  plan.has_acted = true;
  step_no_more(context);
  plan.act();
  errno = error;
}

bool interrupt(void (*call)(void), bool (*is_there)(const ucontext_t *context), void (*act)(void)) {
  struct sigaction on_trap = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO | SA_NODEFER}, before;
  sigaction(SIGTRAP, &on_trap, &before);
  plan.is_there = is_there;
  plan.act = act;
  plan.has_acted = false;
  step_begin();
  call();
  step_end();
  sigaction(SIGTRAP, &before, NULL);
  return plan.has_acted;
}

/* ---- Which instruction it is ---- */

static uintptr_t next_instruction(const ucontext_t *context) {
  return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

bool is_at(const ucontext_t *context, void (*function)(void)) {
  return next_instruction(context) == (uintptr_t)function;
}

/* By the number that instructions have for it. */
static uintptr_t value_of(const ucontext_t *context, unsigned number) {
  static const int registers[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return (uintptr_t)context->uc_mcontext.gregs[registers[number]];
}

static uintptr_t displacement(const unsigned char *at, unsigned size) {
  int32_t wide;
  if (size == 0) return 0;
  if (size == 1) return (uintptr_t)(intptr_t)(int8_t)at[0];
  memcpy(&wide, at, sizeof wide);
  return (uintptr_t)(intptr_t)wide;
}

/* The address of an instruction's operand in memory, from its ModRM byte on, which ends the instruction. */
static uintptr_t operand(const ucontext_t *context, const unsigned char *at, unsigned rex) {
  unsigned mode = at[0] >> 6, base = at[0] & 7;
  unsigned size = mode == 1 ? 1 : mode == 2 ? 4 : 0;
  uintptr_t index = 0;
  if (mode == 0 && base == 5) return (uintptr_t)(at + 5) + displacement(at + 1, 4);
  at++;
  if (base == 4) {
    unsigned number = (at[0] >> 3 & 7) | (rex & 2) << 2;
    if (number != 4) index = value_of(context, number) << (at[0] >> 6);
    base = *at++ & 7;
  }
  return value_of(context, base | (rex & 1) << 3) + index + displacement(at, size);
}

bool is_exchange(const ucontext_t *context, const volatile void *address) {
  const unsigned char *at = (const unsigned char *)next_instruction(context);
  unsigned rex = 0;
  if (*at++ != 0xf0) return false;
  if ((*at & 0xf0) == 0x40) rex = *at++;
  if (at[0] != 0x0f || (at[1] != 0xb1 && at[1] != 0xc1) || at[2] >> 6 == 3) return false;
  return operand(context, at + 2, rex) == (uintptr_t)address;
}

bool is_load(const ucontext_t *context, const volatile void *address) {
  const unsigned char *at = (const unsigned char *)next_instruction(context);
  if ((at[0] & 0xf8) != 0x48 || at[1] != 0x8b || at[2] >> 6 == 3) return false;
  return operand(context, at + 2, at[0]) == (uintptr_t)address;
}
