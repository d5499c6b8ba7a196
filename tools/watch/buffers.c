/* SPDX-License-Identifier: MIT */
/*
 * Output that waits in buffers other than the C library's: of C++ file streams (libstdc++), and of Python's sys.stdout.
 *
 * The first bytes of such a buffer are kept at the fork.  If a process then writes bytes that begin with these, it has
 * written the buffer.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "buffers.h"
#include "descriptors.h"
#include "library.h"
#include "raw.h"

#define WEAK __attribute__((weak)) /* NULL: the program has none */

enum { BUFFERS = 16, KEPT = 64, ANY = -1 };

struct buffer {
  const void *of; /* NULL: the place is free */
  int fd;         /* ANY: it is not known */
  uint64_t fork;  /* the first one at which these bytes waited */
  size_t size;
  size_t kept;
  char bytes[KEPT];
};

static struct buffer buffers[BUFFERS];
_Atomic unsigned buffers_waiting;

static void forget(struct buffer *buffer) {
  if (buffer->of == NULL) return;
  buffer->of = NULL;
  atomic_fetch_sub_explicit(&buffers_waiting, 1, memory_order_relaxed);
}

static bool is_nowhere(int fd) {
  struct stat status;
  if (fd == ANY) return false;
  if (raw_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) < 0) return true;
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

static struct buffer *place_for(const void *of) {
  struct buffer *free = NULL;
  for (struct buffer *buffer = buffers; buffer < buffers + BUFFERS; buffer++) {
    if (buffer->of == of) return buffer;
    if (buffer->of == NULL) free = buffer;
  }
  return free;
}

static void wait_at(uint64_t fork, const struct buffer *found) {
  struct buffer *buffer = place_for(found->of);
  if (buffer == NULL) return;
  bool same =
      buffer->of != NULL && buffer->kept <= found->kept && memcmp(buffer->bytes, found->bytes, buffer->kept) == 0;
  if (same) return;
  if (buffer->of == NULL) atomic_fetch_add_explicit(&buffers_waiting, 1, memory_order_relaxed);
  *buffer = *found;
  buffer->fork = fork;
}

/* ---- What is written ---- */

static void tell(const struct buffer *buffer, int fd) {
  self_get();
  struct stack stack;
  stack_take(&stack);
  LOG(RECORD_OUTPUT, NULL, &stack, buffer->fork, (uint64_t)(uintptr_t)buffer->of, (uint64_t)fd, buffer->size);
}

/* Bytes that begin in another way belong to something else, or the buffer was emptied in between. */
void buffers_were_written(int fd, const void *bytes, size_t size) {
  for (struct buffer *buffer = buffers; buffer < buffers + BUFFERS; buffer++) {
    if (buffer->of == NULL || (buffer->fd != ANY && buffer->fd != fd)) continue;
    bool begins = size >= buffer->kept && memcmp(bytes, buffer->bytes, buffer->kept) == 0;
    if (begins) tell(buffer, fd);
    if (begins || buffer->fd != ANY) forget(buffer);
  }
}

/* ---- libstdc++: as its ABI lays out basic_streambuf and basic_filebuf ---- */

struct streambuf {
  const void *table;
  char *in[3];
  char *out_begin, *out_at, *out_end;
  void *locale;
};

struct filebuf {
  struct streambuf base;
  pthread_mutex_t lock;
  FILE *file;
};

enum { FILEBUFS = 64, STREAMBUF_IN_IOS = 232 };

static struct filebuf *_Atomic filebufs[FILEBUFS];
static _Atomic bool unsynchronised; /* std::cout has its own buffer */
extern WEAK const char _ZSt4cout[];

static void look_at_streambuf(const struct streambuf *from, int fd, uint64_t fork) {
  if (from->out_begin == NULL || from->out_at <= from->out_begin || is_nowhere(fd)) return;
  struct buffer found = {.of = from, .fd = fd, .size = (size_t)(from->out_at - from->out_begin)};
  found.kept = found.size < KEPT ? found.size : KEPT;
  memcpy(found.bytes, from->out_begin, found.kept);
  wait_at(fork, &found);
}

/* The table of functions says where the base std::ios lies. */
static const struct streambuf *streambuf_of(const char *stream) {
  const ptrdiff_t *table;
  memcpy(&table, stream, sizeof table);
  const struct streambuf *streambuf;
  memcpy(&streambuf, stream + table[-3] + STREAMBUF_IN_IOS, sizeof streambuf);
  return streambuf;
}

static void look_at_filebufs(uint64_t fork) {
  const struct streambuf *out = unsynchronised && _ZSt4cout != NULL ? streambuf_of(_ZSt4cout) : NULL;
  if (out != NULL) look_at_streambuf(out, STDOUT_FILENO, fork);
  for (unsigned i = 0; i < FILEBUFS; i++) {
    const struct filebuf *filebuf = atomic_load_explicit(&filebufs[i], memory_order_relaxed);
    if (filebuf != NULL && filebuf->file != NULL) look_at_streambuf(&filebuf->base, filebuf->file->_fileno, fork);
  }
}

/* std::basic_filebuf<char>::open() and close(), which constructors and destructors call, too. */
struct filebuf *_ZNSt13basic_filebufIcSt11char_traitsIcEE4openEPKcSt13_Ios_Openmode(struct filebuf *, const char *,
                                                                                    int);
struct filebuf *_ZNSt13basic_filebufIcSt11char_traitsIcEE5closeEv(struct filebuf *);
bool _ZNSt8ios_base15sync_with_stdioEb(bool);

EXPORT struct filebuf *_ZNSt13basic_filebufIcSt11char_traitsIcEE4openEPKcSt13_Ios_Openmode(struct filebuf *filebuf,
                                                                                           const char *path, int mode) {
  LIBRARY_NEXT(_ZNSt13basic_filebufIcSt11char_traitsIcEE4openEPKcSt13_Ios_Openmode, NULL);
  struct filebuf *opened = next(filebuf, path, mode);
  if (opened == NULL || !watches(WATCH_FILES)) return opened;
  for (unsigned i = 0; i < FILEBUFS; i++) {
    struct filebuf *none = NULL;
    if (atomic_compare_exchange_strong(&filebufs[i], &none, filebuf)) break;
  }
  return opened;
}

EXPORT struct filebuf *_ZNSt13basic_filebufIcSt11char_traitsIcEE5closeEv(struct filebuf *filebuf) {
  LIBRARY_NEXT(_ZNSt13basic_filebufIcSt11char_traitsIcEE5closeEv, NULL);
  for (unsigned i = 0; i < FILEBUFS; i++) {
    struct filebuf *this = filebuf;
    if (atomic_compare_exchange_strong(&filebufs[i], &this, NULL)) break;
  }
  return next(filebuf);
}

EXPORT bool _ZNSt8ios_base15sync_with_stdioEb(bool synchronised) {
  LIBRARY_NEXT(_ZNSt8ios_base15sync_with_stdioEb, true);
  bool before = next(synchronised);
  unsynchronised = !synchronised && watches(WATCH_FILES);
  return before;
}

/* ---- CPython: the text that sys.stdout has not encoded yet is among what its type shows to the collector ---- */

typedef int visit_function(const char *, void *);
WEAK int Py_IsInitialized(void);
WEAK int PyGILState_Check(void);
WEAK void *_PyThreadState_UncheckedGet(void); /* the same, in Python up to 3.12, and later */
WEAK void *PyThreadState_GetUnchecked(void);
WEAK const char *Py_GetVersion(void);
WEAK const char *PySys_GetObject(const char *);
WEAK char *PyBytes_AsString(const char *);
WEAK ssize_t PyBytes_Size(const char *);
WEAK const char *PyUnicode_AsUTF8AndSize(const char *, ssize_t *);
WEAK ssize_t PyList_Size(const char *);
WEAK const char *PyList_GetItem(const char *, ssize_t);

/* The layout of objects and types in an interpreter with the global lock. */
enum { TYPE = 8, TYPE_NAME = 24, TYPE_FLAGS = 168, TYPE_TRAVERSE = 184 };
enum { IS_LIST = 1UL << 25, IS_BYTES = 1UL << 27, IS_TEXT = 1UL << 28 };

static const char *pointer_at(const char *object, size_t at) {
  const char *pointer;
  memcpy(&pointer, object + at, sizeof pointer);
  return pointer;
}

static bool is_kind(const char *object, unsigned long kind) {
  return ((uintptr_t)pointer_at(pointer_at(object, TYPE), TYPE_FLAGS) & kind) != 0;
}

static void add(struct buffer *buffer, const char *object) {
  ssize_t size = 0;
  const char *bytes = NULL;
  if (is_kind(object, IS_BYTES)) bytes = PyBytes_AsString(object), size = PyBytes_Size(object);
  if (is_kind(object, IS_TEXT)) bytes = PyUnicode_AsUTF8AndSize(object, &size);
  if (bytes == NULL || size <= 0) return;
  size_t room = KEPT - buffer->kept, more = (size_t)size < room ? (size_t)size : room;
  memcpy(buffer->bytes + buffer->kept, bytes, more);
  buffer->kept += more;
  buffer->size += (size_t)size;
}

struct shown {
  const char *pending;
  unsigned texts;
  const char *text[8];
};

/* Pending text is a list, bytes or text.  Other members that are text: the encoding, the newline and, last,
 * `errors`. */
static int show(const char *object, void *data) {
  struct shown *shown = data;
  if (is_kind(object, IS_LIST | IS_BYTES)) shown->pending = object;
  if (is_kind(object, IS_TEXT) && shown->texts < 8) shown->text[shown->texts++] = object;
  return 0;
}

static bool is_newline(const char *object) {
  ssize_t size;
  const char *bytes = PyUnicode_AsUTF8AndSize(object, &size);
  return bytes == NULL || size == 0 || strspn(bytes, "\r\n") == (size_t)size;
}

static const char *pending_of(const char *stream) {
  struct shown shown = {.pending = NULL};
  int (*traverse)(const char *, visit_function *, void *);
  memcpy(&traverse, pointer_at(stream, TYPE) + TYPE_TRAVERSE, sizeof traverse);
  traverse(stream, show, &shown);
  for (unsigned i = 1; shown.pending == NULL && i + 1 < shown.texts; i++)
    if (!is_newline(shown.text[i])) shown.pending = shown.text[i];
  return shown.pending;
}

static bool has_thread_state(void) {
  if (PyThreadState_GetUnchecked != NULL) return PyThreadState_GetUnchecked() != NULL;
  return _PyThreadState_UncheckedGet != NULL && _PyThreadState_UncheckedGet() != NULL;
}

/* Python runs in this thread. */
static bool python_is_here(void) {
  bool known = Py_IsInitialized != NULL && PyGILState_Check != NULL && PySys_GetObject != NULL &&
               PyUnicode_AsUTF8AndSize != NULL && PyBytes_AsString != NULL && PyBytes_Size != NULL &&
               PyList_Size != NULL && PyList_GetItem != NULL && Py_GetVersion != NULL;
  return known && Py_IsInitialized() && PyGILState_Check() && has_thread_state() &&
         strstr(Py_GetVersion(), "free-threading") == NULL;
}

static void look_at_python(uint64_t fork) {
  const char *stream = python_is_here() ? PySys_GetObject("stdout") : NULL;
  if (stream == NULL || strcmp(pointer_at(pointer_at(stream, TYPE), TYPE_NAME), "_io.TextIOWrapper") != 0) return;
  const char *pending = pending_of(stream);
  struct buffer found = {.of = stream, .fd = ANY};
  if (pending == NULL) return;
  if (is_kind(pending, IS_LIST))
    for (ssize_t i = 0; i < PyList_Size(pending); i++) add(&found, PyList_GetItem(pending, i));
  else
    add(&found, pending);
  if (found.kept > 0) wait_at(fork, &found);
}

void buffers_before_fork(uint64_t fork) {
  if (!watches(WATCH_FILES)) return;
  look_at_filebufs(fork);
  look_at_python(fork);
}
