/* SPDX-License-Identifier: MIT */
/* Records, and what they are made of: time, strings, stacks, objects. */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include "raw.h"
#include "watch.h"

struct log_header *watch_log;

/* ---- The wrapped functions ---- */

extern struct next __start_watch_nexts[], __stop_watch_nexts[];

any_function watch_next(struct next *next) {
  void *found = dlsym(RTLD_NEXT, next->name);
  any_function function;
  memcpy(&function, &found, sizeof function); /* ISO C has no conversion */
  atomic_store_explicit(&next->function, function, memory_order_relaxed);
  return function;
}

/* ---- The log ---- */

static char **watch_environment;

const char *watch_variable(const char *name) {
  size_t length = strlen(name);
  for (char **at = watch_environment; at != NULL && *at != NULL; at++)
    if (strncmp(*at, name, length) == 0 && (*at)[length] == '=') return *at + length + 1;
  return NULL;
}

/* The path is in the environment, so it survives exec. */
static void map_log(void) {
  const char *path = watch_variable("ATFORK_WATCH_LOG");
  if (path == NULL) return;
  int fd = raw_open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  struct log_header header;
  if (raw_read(fd, &header, sizeof header) == (long)sizeof header && header.magic == LOG_MAGIC) {
    void *mapped = mmap(NULL, header.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (mapped != MAP_FAILED) watch_log = mapped;
  }
  raw_close(fd);
}

/* Before any other object's constructors, those of the C library too (initfirst): getenv() finds nothing yet, but each
 * constructor is given the environment. */
__attribute__((constructor(101))) static void prepare_log(int argc, char **argv, char **envp) {
  (void)argc;
  (void)argv;
  watch_environment = envp;
  // cppcheck-suppress comparePointers ; the linker makes them the two ends of one array
  for (struct next *next = __start_watch_nexts; next < __stop_watch_nexts; next++) (void)next_function(next);
  map_log();
}

uint64_t watch_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void text_add(struct text *text, const char *string) {
  size_t room = sizeof text->bytes - text->size;
  if (room == 0) return;
  size_t length = strnlen(string == NULL ? "" : string, room - 1);
  if (string != NULL) memcpy(text->bytes + text->size, string, length);
  text->bytes[text->size + length] = '\0';
  text->size += length + 1;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* If the file system is full, the kernel ends a process that writes to a new page of the file.  So space is allocated
 * first.  If the kernel cannot allocate it in advance, space is assumed. */
static bool make_room(uint64_t until) {
  uint64_t end = atomic_load_explicit(&watch_log->end, memory_order_relaxed);
  while (end < until) {
    uint64_t next = (until + LOG_STEP - 1) / LOG_STEP * LOG_STEP;
    if (next > watch_log->size) next = watch_log->size;
    long error = raw_call(SYS_madvise, (long)watch_log + (long)end, (long)(next - end), MADV_POPULATE_WRITE, 0, 0, 0);
    if (error == -EFAULT || error == -ENOMEM) return false;
    if (atomic_compare_exchange_strong(&watch_log->end, &end, next)) return true;
  }
  return true;
}

/* NULL: there is no space, and the record was counted as lost. */
static struct record *take_place(size_t size) {
  uint64_t at = atomic_fetch_add_explicit(&watch_log->tail, size, memory_order_relaxed);
  if (at + size <= watch_log->size && make_room(at + size)) return (struct record *)(void *)((char *)watch_log + at);
  atomic_fetch_add_explicit(&watch_log->lost, 1, memory_order_relaxed);
  return NULL;
}

/* Sequentially consistent, with the reader's look at the log between its storing `sleeping` and its sleep.  A process
 * that may have forbidden itself the call leaves the reader asleep: the reader wakes by itself after a while. */
static void wake_reader(void) {
  atomic_thread_fence(memory_order_seq_cst);
  if (atomic_load(&watch_log->sleeping) == 0) return;
  atomic_fetch_add(&watch_log->wake, 1);
  raw_futex_wake(&watch_log->wake);
}

/* Not by memcpy(): in a child that only exits, this would touch one more page of the C library. */
static void copy_words(uint64_t *to, const uint64_t *from, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = from[i];
}

void log_write(enum record_kind kind, const uint64_t *args, size_t count, const struct text *text,
               const struct stack *stack) {
  if (watch_log == NULL) return;
  if (stack != NULL) modules_tell(stack);
  unsigned frames = stack == NULL ? 0 : stack->count;
  size_t bytes = text == NULL ? 0 : text->size;
  size_t size = sizeof(struct record) + (count + frames) * sizeof(uint64_t) + bytes;
  size = (size + RECORD_UNIT - 1) / RECORD_UNIT * RECORD_UNIT;
  struct record *record = take_place(size);
  if (record != NULL) {
    record->magic = RECORD_MAGIC;
    record->kind = (uint16_t)kind;
    record->pid = raw_getpid();
    bool known = raw_is_confined() && thread_current != NULL;
    record->tid = known ? atomic_load_explicit(&thread_current->tid, memory_order_relaxed) : raw_gettid();
    record->process = self_is_borrowed() ? 0 : atomic_load_explicit(&self_page->number, memory_order_relaxed);
    record->args = (uint8_t)count;
    record->frames = (uint8_t)frames;
    record->text = (uint16_t)bytes;
    record->time = watch_now();
    copy_words(record->words, args, count);
    if (frames != 0) copy_words(record->words + count, stack->frames, frames);
    if (bytes != 0) memcpy(record->words + count + frames, text->bytes, bytes);
    /* Pairs with the acquire of the reader. */
    atomic_store_explicit(&record->size, (uint32_t)size, memory_order_release);
    wake_reader();
  }
}

/* ---- Stacks ---- */

/* The linker's, of this object. */
extern const char __ehdr_start[] __attribute__((visibility("hidden"))), _end[] __attribute__((visibility("hidden")));

bool watch_is_ours(uintptr_t address) {
  return address >= (uintptr_t)__ehdr_start && address < (uintptr_t)_end;
}

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *data) {
  struct stack *stack = data;
  int at_instruction = 0;
  uintptr_t address = _Unwind_GetIPInfo(context, &at_instruction);
  if (address == 0) return _URC_END_OF_STACK;
  if (watch_is_ours(address)) return _URC_NO_REASON;
  /* The address of an interrupted frame is an instruction; that of a caller is the one after its call. */
  if (at_instruction) stack->in_signal = true;
  if (stack->count == 0) stack->frame = (const void *)_Unwind_GetCFA(context);
  stack->frames[stack->count++] = at_instruction ? address : address - 1;
  return stack->count < RECORD_FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

void stack_take(struct stack *stack) {
  stack->count = 0;
  stack->in_signal = false;
  stack->frame = NULL;
  _Unwind_Backtrace(add_frame, stack);
}
