/* SPDX-License-Identifier: MIT */
/*
 * Streams of the C library.  After a fork, two processes have the same bytes in a stream's buffer.  Unwritten bytes
 * appear twice if both processes write them.  Bytes that were read ahead belong to a file offset that both processes
 * move.
 *
 * The C library reads and writes internally, which no wrapper sees.  So a stream's buffer is checked before the fork,
 * and again when the stream is flushed or closed, before the next fork, and at the end of the process.
 */
#undef _FILE_OFFSET_BITS /* it would have open() mean open64() */
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "descriptors.h"
#include "raw.h"

NEXT(fflush);
NEXT(fflush_unlocked);
NEXT(freopen);
NEXT(freopen64);
NEXT(__fpurge);

enum { STREAMS = 32, LOOKED_AT = 512, CURRENTLY_PUTTING = 0x800 };

struct stream {
  FILE *file;       /* NULL: the place is free */
  uint64_t fork;    /* the first one at which these bytes were in the buffer */
  const char *base; /* of the bytes */
  size_t size;
  uint64_t hash;
  bool output;
  bool nowhere; /* it went to /dev/null already */
};

static struct stream streams[STREAMS];

/* The C library's list of all streams, and its lock, which fork() takes, too. */
extern FILE *_IO_list_all;
void _IO_list_lock(void);
void _IO_list_unlock(void);

/* ---- Buffers ---- */

static uint64_t hash_of(const char *bytes, size_t size) {
  uint64_t hash = size;
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3U;
  return hash;
}

/* A sum of the beginning and the end: a write or a read changes one of them. */
static uint64_t hash_ends(const char *bytes, size_t size) {
  if (size / 2 <= LOOKED_AT) return hash_of(bytes, size);
  return hash_of(bytes, LOOKED_AT) ^ hash_of(bytes + size - LOOKED_AT, LOOKED_AT) << 1;
}

static bool is_output(const FILE *file) {
  return (file->_flags & CURRENTLY_PUTTING) != 0;
}

static size_t unread_of(const FILE *file) {
  return file->_IO_read_end > file->_IO_read_ptr ? (size_t)(file->_IO_read_end - file->_IO_read_ptr) : 0;
}

/* A wide stream has its own pointers: these two are its fourth and fifth. */
static const char *output_pointer(const FILE *file, unsigned which) {
  const char *const *wide = (const char *const *)(const void *)file->_wide_data;
  if (file->_mode > 0 && wide[4] > wide[3]) return wide[3 + which];
  return which == 0 ? file->_IO_write_base : file->_IO_write_ptr;
}

static const char *output_begin(const FILE *file) {
  return output_pointer(file, 0);
}

static size_t output_size(const FILE *file) {
  const char *begin = output_begin(file), *end = output_pointer(file, 1);
  return is_output(file) && end > begin ? (size_t)(end - begin) : 0;
}

static bool has_output(const FILE *file) {
  return output_size(file) != 0;
}

static bool is_pending(const struct stream *stream) {
  return output_begin(stream->file) == stream->base && output_size(stream->file) >= stream->size &&
         hash_ends(stream->base, stream->size) == stream->hash;
}

/* A later read has overwritten the buffer. */
static bool has_read(const struct stream *stream) {
  const FILE *file = stream->file;
  if (is_output(file)) return false;
  if (file->_IO_buf_base != stream->base) return stream->base == NULL;
  return stream->size != 0 && hash_ends(stream->base, stream->size) != stream->hash;
}

/* ---- What became of it ---- */

static bool is_nowhere(int fd) {
  struct stat status;
  if (raw_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) < 0) return true;
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

static void tell_output(const struct stream *stream) {
  if (is_nowhere(stream->file->_fileno) && !stream->nowhere) return;
  self_get();
  struct stack stack;
  stack_take(&stack);
  LOG(RECORD_OUTPUT, NULL, &stack, stream->fork, (uint64_t)(uintptr_t)stream->file, (uint64_t)stream->file->_fileno,
      stream->size);
}

/* Bytes that were read ahead and not used are given back, by moving the offset, if there is one. */
static void give_back(const struct stream *stream) {
  struct stat status;
  int fd = stream->file->_fileno;
  if (unread_of(stream->file) == 0) return;
  if (raw_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 && S_ISREG(status.st_mode)) descriptor_used(fd, USE_SEEK);
}

/* `flushes`: the C library is about to write the rest, and to give back what was read ahead. */
static void settle(struct stream *stream, bool flushes) {
  if (stream->output) {
    if (!flushes && is_pending(stream)) return;
    tell_output(stream);
    stream->file = NULL;
  } else {
    if (has_read(stream)) descriptor_used(stream->file->_fileno, USE_READ);
    if (flushes) give_back(stream);
  }
}

static bool has_any(void) {
  return !LIKELY(!atomic_load_explicit(&forks.streams, memory_order_relaxed)) && !self_is_borrowed();
}

static void settle_one(const FILE *file) {
  if (!has_any()) return;
  for (struct stream *stream = streams; stream < streams + STREAMS; stream++)
    if (stream->file != NULL && stream->file == file) settle(stream, true);
}

static bool is_open(const FILE *file) {
  for (const FILE *at = _IO_list_all; at != NULL; at = at->_chain)
    if (at == file) return true;
  return false;
}

/* The C library closes its own streams internally, such as that of getpwent(): a stream that is no longer in its list
 * is closed. */
static void settle_all(bool flushes, bool may_wait) {
  if (!has_any()) return;
  bool alone = threads_others() == 0;
  if (!alone && !may_wait) return;
  if (!alone) _IO_list_lock();
  for (struct stream *stream = streams; stream < streams + STREAMS; stream++) {
    if (stream->file != NULL && !is_open(stream->file)) stream->file = NULL;
    if (stream->file != NULL) settle(stream, flushes);
  }
  if (!alone) _IO_list_unlock();
}

/* The C library's own write() is not seen.  Both processes may write to a file: its offset keeps the writes apart. */
static void note_output(const FILE *file) {
  struct stat status;
  if (LIKELY(forks_generation() == 0) || file == NULL || !has_output(file)) return;
  if (raw_call(SYS_fstat, file->_fileno, (long)&status, 0, 0, 0, 0) < 0) return;
  if (S_ISSOCK(status.st_mode)) descriptor_used(file->_fileno, USE_WRITE);
}

void stdio_settle(bool may_wait) {
  settle_all(false, may_wait);
}

static void forget(const FILE *file) {
  for (struct stream *stream = streams; stream < streams + STREAMS; stream++)
    if (stream->file == file) stream->file = NULL;
}

void stdio_before_close(FILE *file) {
  note_output(file);
  settle_one(file);
  forget(file);
}

EXPORT int fflush(FILE *file) {
  note_output(file);
  if (file == NULL)
    settle_all(true, true);
  else
    settle_one(file);
  return CALL(fflush)(file);
}

EXPORT int fflush_unlocked(FILE *file) {
  note_output(file);
  if (file == NULL)
    settle_all(true, true);
  else
    settle_one(file);
  return CALL(fflush_unlocked)(file);
}

EXPORT FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict file) {
  stdio_before_close(file);
  return CALL(freopen)(path, mode, file);
}

EXPORT FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict file) {
  stdio_before_close(file);
  return CALL(freopen64)(path, mode, file);
}

EXPORT void __fpurge(FILE *file) {
  forget(file);
  CALL(__fpurge)(file);
}

void stdio_at_exit(void) {
  settle_all(true, true);
}

/* At the end of a process, when no thread opens or closes streams any more. */
uint64_t stdio_state(void) {
  uint64_t state = 0;
  for (const FILE *file = _IO_list_all; file != NULL; file = file->_chain)
    state = state * 31 + (uintptr_t)output_pointer(file, 1);
  return state;
}

/* ---- Before a fork ---- */

static struct stream *place_for(const FILE *file) {
  struct stream *free = NULL;
  for (struct stream *stream = streams; stream < streams + STREAMS; stream++) {
    if (stream->file == file) return stream;
    if (stream->file == NULL && free == NULL) free = stream;
  }
  return free;
}

static void look_at_output(FILE *file, uint64_t id) {
  struct stream *stream = place_for(file);
  atomic_store_explicit(&forks.streams, true, memory_order_relaxed);
  if (stream == NULL || (stream->file == file && stream->output && is_pending(stream))) return;
  const char *base = output_begin(file);
  size_t size = output_size(file);
  *stream = (struct stream){file, id, base, size, hash_ends(base, size), true, is_nowhere(file->_fileno)};
}

static void look_at_input(FILE *file, uint64_t id) {
  struct stream *stream = place_for(file);
  if (stream == NULL) return;
  atomic_store_explicit(&forks.streams, true, memory_order_relaxed);
  const char *base = file->_IO_buf_base;
  size_t size = base == NULL || file->_IO_read_end < base ? 0 : (size_t)(file->_IO_read_end - base);
  *stream = (struct stream){file, id, base, size, hash_ends(base, size), false, false};
}

static void look_at(FILE *file, uint64_t id) {
  if (file->_fileno < 0) return;
  if (has_output(file))
    look_at_output(file, id);
  else if (file->_fileno > 2 && (file->_flags & 0x4) == 0) /* may be read */
    look_at_input(file, id);
}

/* A fork without handlers may come in a signal handler, or while another thread has the lock. */
void stdio_before_fork(uint64_t id, bool with_handlers) {
  if (!watches(WATCH_FILES)) return;
  bool alone = !fork_under_way.threads;
  if (!alone && !with_handlers) return;
  if (!alone) _IO_list_lock();
  for (FILE *file = _IO_list_all; file != NULL; file = file->_chain) look_at(file, id);
  if (!alone) _IO_list_unlock();
}
