/* SPDX-License-Identifier: MIT */
/*
 * Static probes (USDT) of the provider "atfork", for bpftrace, SystemTap, perf and gdb; doc/tools.md describes them.  A
 * probe costs a load and a jump that is not taken, until a tracer raises its semaphore.  Only then are its arguments
 * evaluated.  Without <sys/sdt.h> there are no probes.
 */
#ifndef ATFORK_PROBES_H
#define ATFORK_PROBES_H

#ifdef ATFORK_PROBES
#define SDT_USE_VARIADIC
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

#ifdef __clang__
/* For the macros of <sys/sdt.h>. */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

/* Weak, as each file that includes this header defines all semaphores; the linker keeps one of each. */
#define PROBE_SEMAPHORE(name)                      \
  extern unsigned short atfork_##name##_semaphore; \
  __attribute__((weak, used, visibility("hidden"), section(".probes"))) unsigned short atfork_##name##_semaphore

PROBE_SEMAPHORE(prepare);
PROBE_SEMAPHORE(prepare_end);
PROBE_SEMAPHORE(parent);
PROBE_SEMAPHORE(parent_end);
PROBE_SEMAPHORE(child);
PROBE_SEMAPHORE(child_end);
PROBE_SEMAPHORE(callback);
PROBE_SEMAPHORE(callback_end);
PROBE_SEMAPHORE(not_now);
PROBE_SEMAPHORE(register);
PROBE_SEMAPHORE(unregister);
PROBE_SEMAPHORE(poll);
PROBE_SEMAPHORE(spawned);
PROBE_SEMAPHORE(adopt);

/* Another process, the tracer, raises and lowers the semaphore. */
#define PROBE_IS_ON(name) __builtin_expect(__atomic_load_n(&atfork_##name##_semaphore, __ATOMIC_RELAXED) != 0, 0)
#define PROBE(name, ...)                                           \
  do {                                                             \
    if (PROBE_IS_ON(name)) STAP_PROBEV(atfork, name, __VA_ARGS__); \
  } while (0)
#else
static inline void probe_nothing(int unused, ...) {
  (void)unused;
}
#define PROBE_IS_ON(name) 0
#define PROBE(name, ...)                                  \
  do {                                                    \
    if (PROBE_IS_ON(name)) probe_nothing(0, __VA_ARGS__); \
  } while (0)
#endif

#endif
