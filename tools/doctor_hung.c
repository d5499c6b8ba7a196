/* SPDX-License-Identifier: MIT */
/*
 * Children that hang where no watched function sees them: in a futex that a library uses directly (OpenMP's pool, the
 * locks of Rust's standard library, those of the C library in a child of _Fork()).
 *
 * The command sees such a child from outside.  The child has lost threads; its only thread sleeps, has not woken for a
 * while, and waits without a time limit for a futex that no other process can wake.  The command reads the stack of the
 * child, and ends the child.
 */
#include <elfutils/libdwfl.h>
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "doctor.h"

enum { EACH = 250 * 1000, PATIENCE = 2 * 1000 * 1000 /* us */ };

/* ---- What a process does now ---- */

struct sleep {
  guint64 futex, stack, instruction;
  guint64 woken; /* how often so far */
};

struct sleeper {
  struct sleep sleep;
  gint64 since; /* us */
};

static char *read_proc(pid_t pid, const char *file) {
  g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, file);
  char *text = NULL;
  return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static guint64 status_field(const char *status, const char *field, guint base) {
  const char *at = strstr(status, field);
  return at == NULL ? 0 : g_ascii_strtoull(at + strlen(field), NULL, base);
}

/* Handlers of these signals do not wake a program, or each program of a language has them; 32 and 33 belong to the C
 * library. */
static gboolean has_signal_handler(const char *status) {
  static const int no[] = {SIGINT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPIPE, 32, 33};
  guint64 caught = status_field(status, "\nSigCgt:", 16);
  for (guint i = 0; i < G_N_ELEMENTS(no); i++) caught &= ~(G_GUINT64_CONSTANT(1) << (no[i] - 1));
  return caught != 0;
}

/* FALSE: it does not wait for ever for one of its own threads. */
static gboolean sleeps(pid_t pid, struct sleep *sleep, gboolean *has_handler) {
  g_autofree char *call = read_proc(pid, "syscall"), *status = read_proc(pid, "status");
  if (call == NULL || status == NULL || status_field(status, "\nThreads:", 10) != 1) return FALSE;
  guint64 args[6];
  int number = -1;
  if (sscanf(call,
             "%d %" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER
             "x %" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER "x",
             &number, &args[0], &args[1], &args[2], &args[3], &args[4], &args[5], &sleep->stack,
             &sleep->instruction) != 9)
    return FALSE;
  int operation = (int)args[1] & FUTEX_CMD_MASK;
  if (number != SYS_futex || (args[1] & FUTEX_PRIVATE_FLAG) == 0 || args[3] != 0 ||
      (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET))
    return FALSE;
  sleep->futex = args[0];
  sleep->woken = status_field(status, "\nvoluntary_ctxt_switches:", 10);
  *has_handler = has_signal_handler(status);
  return TRUE;
}

/* A child of clone() may have its parent's memory, whose threads wake it.  Where the kernel does not say, it has. */
static gboolean has_own_memory(const struct process *process) {
  switch (process->birth->how) {
    case HOW_CLONE:
    case HOW_CLONE_RAW:
    case HOW_CLONE3_RAW:
      return process->parent != NULL && syscall(SYS_kcmp, process->pid, process->parent->pid, KCMP_VM, 0, 0) > 0;
    default:
      return TRUE;
  }
}

/* ---- Its stack ---- */

struct unwinding {
  struct doctor *doctor;
  struct process *process;
  struct frames frames;
};

/* There may be no record of an object that it has loaded, as the object was in no stack so far. */
static void add_module(struct unwinding *unwinding, Dwfl_Module *module) {
  const char *path = NULL;
  Dwarf_Addr first, end;
  GElf_Addr slide = 0;
  if (module == NULL || dwfl_module_getelf(module, &slide) == NULL) return;
  dwfl_module_info(module, NULL, &first, &end, NULL, NULL, &path, NULL);
  if (path == NULL || process_module(unwinding->process, first, 0) != NULL) return;
  struct module added = {0, first, end, slide, g_string_chunk_insert_const(unwinding->doctor->model->strings, path)};
  g_array_append_val(unwinding->process->modules, added);
}

static int add_frame(Dwfl_Frame *state, void *data) {
  struct unwinding *unwinding = data;
  struct frames *frames = &unwinding->frames;
  Dwarf_Addr address;
  bool at_instruction = false;
  if (!dwfl_frame_pc(state, &address, &at_instruction)) return DWARF_CB_ABORT;
  if (!at_instruction) address--;
  Dwfl *dwfl = dwfl_thread_dwfl(dwfl_frame_thread(state));
  add_module(unwinding, dwfl_addrmodule(dwfl, address));
  frames->addresses[frames->count++] = address;
  return frames->count < RECORD_FRAMES ? DWARF_CB_OK : DWARF_CB_ABORT;
}

/* Unwinding needs only the objects that are loaded. */
static int find_no_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file,
                             const char *link, GElf_Word crc, char **found) {
  (void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)found;
  return -1;
}

/* The whole stack if the system allows to attach to the process; otherwise only the instruction at which it sleeps. */
static void take_stack(struct unwinding *unwinding, const struct sleep *sleep) {
  static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf, .find_debuginfo = find_no_debuginfo};
  pid_t pid = unwinding->process->pid;
  Dwfl *dwfl = dwfl_begin(&callbacks);
  if (dwfl != NULL && dwfl_linux_proc_report(dwfl, pid) == 0 && dwfl_report_end(dwfl, NULL, NULL) == 0) {
    add_module(unwinding, dwfl_addrmodule(dwfl, sleep->instruction));
    if (dwfl_linux_proc_attach(dwfl, pid, false) == 0) dwfl_getthread_frames(dwfl, pid, add_frame, unwinding);
  }
  dwfl_end(dwfl);
  if (unwinding->frames.count == 0) unwinding->frames.addresses[unwinding->frames.count++] = sleep->instruction;
}

/* ---- Whether it hangs ---- */

/* The name of the pool whose lost threads a function in the stack may wait for; NULL: none. */
static const char *waits_for_pool(const struct unwinding *unwinding) {
  const struct frames *frames = &unwinding->frames;
  for (guint i = 0; i < frames->count; i++) {
    const struct module *module = process_module(unwinding->process, frames->addresses[i], frames->time);
    const char *pool = module == NULL ? NULL : doctor_pool(module->path);
    if (pool != NULL && doctor_has_lost(unwinding->doctor, unwinding->process, pool)) return pool;
  }
  return NULL;
}

/* Whether it waits for a lock inside the C library or Rust's standard library. */
static gboolean waits_for_lock(const struct unwinding *unwinding) {
  for (guint i = 0; i < MIN(unwinding->frames.count, 3); i++) {
    struct place place = symbols_place(unwinding->process, unwinding->frames.addresses[i], 0);
    symbols_find(&place);
    if (place.function != NULL &&
        (g_str_has_prefix(place.function, "__lll_lock_wait") || strstr(place.function, "lock_contended") != NULL))
      return TRUE;
  }
  return FALSE;
}

static struct finding *new_finding(const struct unwinding *unwinding, guint64 futex, const char *pool) {
  if (pool != NULL)
    return finding_new("lost-thread", unwinding->process,
                       "the process waits for threads of %s, which are not in it; it was ended", pool);
  gboolean lock = waits_for_lock(unwinding);
  return finding_new(lock ? "dead-lock" : "endless-wait", unwinding->process,
                     "the only thread waits for a %s at 0x%" G_GINT64_MODIFIER "x; it was ended",
                     lock ? "lock inside a library" : "futex", futex);
}

static void tell(struct unwinding *unwinding, const struct sleep *sleep, const char *pool) {
  struct process *process = unwinding->process;
  struct finding *finding = new_finding(unwinding, sleep->futex, pool);
  finding->severity = SEVERITY_ERROR;
  finding_locate(finding, "the child waits", process, &unwinding->frames);
  if (process->birth != NULL) finding_locate(finding, "the fork", process->birth->parent, &process->birth->stack);
  findings_add(unwinding->doctor->findings, finding);
}

/* A signal handler may end any wait, except one for threads of a pool. */
static void judge(struct doctor *doctor, struct process *process, struct sleeper *sleeper, gboolean has_handler) {
  struct unwinding unwinding = {doctor, process, {0}};
  struct sleep now;
  take_stack(&unwinding, &sleeper->sleep);
  const char *pool = waits_for_pool(&unwinding);
  if (pool == NULL && has_handler) return;
  if (!sleeps(process->pid, &now, &has_handler) || now.futex != sleeper->sleep.futex) return;
  if (kill(process->pid, SIGKILL) == 0) tell(&unwinding, &sleeper->sleep, pool);
}

/* It is judged once for each place at which it sleeps. */
static void look_at(struct doctor *doctor, struct process *process, gint64 now) {
  struct sleep sleep;
  gboolean has_handler;
  memset(&sleep, 0, sizeof sleep);
  if (!sleeps(process->pid, &sleep, &has_handler)) {
    g_hash_table_remove(doctor->sleepers, process);
    return;
  }
  struct sleeper *sleeper = g_hash_table_lookup(doctor->sleepers, process);
  if (sleeper == NULL || memcmp(&sleeper->sleep, &sleep, sizeof sleep) != 0) {
    sleeper = g_new(struct sleeper, 1);
    *sleeper = (struct sleeper){sleep, now};
    g_hash_table_insert(doctor->sleepers, process, sleeper);
  } else if (sleeper->since != 0 && now - sleeper->since >= PATIENCE) {
    sleeper->since = 0;
    judge(doctor, process, sleeper, has_handler);
  }
}

static gboolean may_hang(const struct process *process) {
  return process->ending == ENDING_NONE && process->end == 0 && !process->execed && process->birth != NULL &&
         process->birth->threads != 0 && process->birth->how != HOW_VFORK && process->birth->how != HOW_SPAWN;
}

gboolean doctor_look_for_hung(gpointer data) {
  struct doctor *doctor = data;
  gint64 now = g_get_monotonic_time();
  if (now < doctor->looked + EACH) return TRUE;
  doctor->looked = now;
  for (guint i = 0; i < doctor->model->processes->len; i++) {
    struct process *process = g_ptr_array_index(doctor->model->processes, i);
    if (may_hang(process) && has_own_memory(process)) look_at(doctor, process, now);
  }
  return TRUE;
}
