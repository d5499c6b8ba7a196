/* SPDX-License-Identifier: MIT */
/*
 * Sessions of libraries other than the C library: after a fork, two processes have copies of their state.
 *
 * As a descriptor does, a session gets an id when it is opened.  After a fork, each process records the first use of
 * each session that was open at the fork.
 */
#include "library.h"

/* ---- Sessions ---- */

enum { SESSIONS = 1024, NEAR = 8 };

struct session {
  const void *of;      /* NULL: the place is free */
  uint64_t id;         /* process that opened it, and a number */
  uint32_t generation; /* forks_generation() when it was opened, or last recorded */
};

/* Each session is at one of NEAR places, from its first one on.  If there is no room, another session is forgotten. */
static struct session sessions[SESSIONS];
static uint32_t serial;

/* Its place, or a free one. */
static struct session *place_of(const void *of) {
  static unsigned turn;
  uintptr_t address = (uintptr_t)of, first = address >> 4 ^ address >> 14;
  struct session *free = &sessions[(first + ++turn % NEAR) % SESSIONS];
  for (unsigned i = NEAR; i-- > 0;) {
    struct session *session = &sessions[(first + i) % SESSIONS];
    if (session->of == of) return session;
    if (session->of == NULL) free = session;
  }
  return free;
}

static void opened(const void *of) {
  if (of == NULL || !watches(WATCH_DESCRIPTORS)) return;
  uint64_t number = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
  *place_of(of) = (struct session){of, number << 32 | ++serial, forks_generation()};
}

static void tell(enum library library, uint64_t id, const char *function) {
  self_get();
  struct text text = {.size = 0};
  text_add(&text, function);
  struct stack stack;
  stack_take(&stack);
  LOG(RECORD_LIBRARY, &text, &stack, library, id);
}

/* Whether it was open at a fork, and is used for the first time since. */
static bool is_first_use(const void *of) {
  uint32_t generation = forks_generation();
  if (LIKELY(generation == 0) || of == NULL) return false;
  const struct session *session = place_of(of);
  return session->of == of && session->generation != generation;
}

static void used(enum library library, const void *of, const char *function) {
  struct session *session = place_of(of);
  session->generation = forks_generation();
  tell(library, session->id, function);
}

static void closed(const void *of) {
  if (place_of(of)->of == of) place_of(of)->of = NULL;
}

/* Defines a function that uses a session, its first parameter. */
#define USES(library, missing, type, name, declared, ...)     \
  type name declared;                                         \
  EXPORT type name declared {                                 \
    LIBRARY_NEXT(name, missing);                              \
    if (is_first_use(session)) used(library, session, #name); \
    library_depth++;                                          \
    type outcome = next(__VA_ARGS__);                         \
    library_depth--;                                          \
    return outcome;                                           \
  }

/* ---- OpenSSL ---- */

void *SSL_new(void *context);
void SSL_free(void *session);

EXPORT void *SSL_new(void *context) {
  LIBRARY_NEXT(SSL_new, NULL);
  void *session = next(context);
  opened(session);
  return session;
}

EXPORT void SSL_free(void *session) {
  LIBRARY_NEXT(SSL_free, );
  closed(session);
  next(session);
}

USES(LIBRARY_TLS, -1, int, SSL_read, (void *session, void *bytes, int size), session, bytes, size)
USES(LIBRARY_TLS, 0, int, SSL_read_ex, (void *session, void *bytes, size_t size, size_t *count), session, bytes, size,
     count)
USES(LIBRARY_TLS, -1, int, SSL_write, (void *session, const void *bytes, int size), session, bytes, size)
USES(LIBRARY_TLS, 0, int, SSL_write_ex, (void *session, const void *bytes, size_t size, size_t *count), session, bytes,
     size, count)
USES(LIBRARY_TLS, -1, ssize_t, SSL_sendfile, (void *session, int fd, off_t offset, size_t size, int flags), session, fd,
     offset, size, flags)
USES(LIBRARY_TLS, -1, int, SSL_do_handshake, (void *session), session)
USES(LIBRARY_TLS, -1, int, SSL_connect, (void *session), session)
USES(LIBRARY_TLS, -1, int, SSL_accept, (void *session), session)
USES(LIBRARY_TLS, -1, int, SSL_shutdown, (void *session), session)

/* ---- GnuTLS ---- */

int gnutls_init(void **session, unsigned flags);
void gnutls_deinit(void *session);

EXPORT int gnutls_init(void **session, unsigned flags) {
  LIBRARY_NEXT(gnutls_init, -1);
  int error = next(session, flags);
  if (error == 0) opened(*session);
  return error;
}

EXPORT void gnutls_deinit(void *session) {
  LIBRARY_NEXT(gnutls_deinit, );
  closed(session);
  next(session);
}

USES(LIBRARY_TLS, -1, ssize_t, gnutls_record_send, (void *session, const void *bytes, size_t size), session, bytes,
     size)
USES(LIBRARY_TLS, -1, ssize_t, gnutls_record_recv, (void *session, void *bytes, size_t size), session, bytes, size)
USES(LIBRARY_TLS, -1, int, gnutls_handshake, (void *session), session)
USES(LIBRARY_TLS, -1, int, gnutls_bye, (void *session, int how), session, how)

/* ---- SQLite: a child may not even close its parent's connection ---- */

enum { SQLITE_ERROR = 1 };

int sqlite3_open(const char *path, void **session);
int sqlite3_open16(const void *path, void **session);
int sqlite3_open_v2(const char *path, void **session, int flags, const char *system);
int sqlite3_close(void *session);
int sqlite3_close_v2(void *session);
const char *sqlite3_db_filename(void *session, const char *name);
void *sqlite3_db_handle(void *statement);
int sqlite3_step(void *statement);
int sqlite3_reset(void *statement);
int sqlite3_finalize(void *statement);

/* A database in memory shares nothing with another process. */
static void database_opened(int error, void *session, const void *caller) {
  static struct next next = {.name = "sqlite3_db_filename"};
  __typeof__(&sqlite3_db_filename) filename = (__typeof__(&sqlite3_db_filename))library_next(&next, caller);
  if (error != 0 || filename == NULL) return;
  const char *path = filename(session, "main");
  if (path != NULL && *path != '\0') opened(session);
}

EXPORT int sqlite3_open(const char *path, void **session) {
  LIBRARY_NEXT(sqlite3_open, SQLITE_ERROR);
  int error = next(path, session);
  database_opened(error, *session, __builtin_return_address(0));
  return error;
}

EXPORT int sqlite3_open16(const void *path, void **session) {
  LIBRARY_NEXT(sqlite3_open16, SQLITE_ERROR);
  int error = next(path, session);
  database_opened(error, *session, __builtin_return_address(0));
  return error;
}

EXPORT int sqlite3_open_v2(const char *path, void **session, int flags, const char *system) {
  LIBRARY_NEXT(sqlite3_open_v2, SQLITE_ERROR);
  int error = next(path, session, flags, system);
  database_opened(error, *session, __builtin_return_address(0));
  return error;
}

static void database_closing(void *session, const char *function) {
  if (is_first_use(session)) used(LIBRARY_SQLITE, session, function);
  if (session != NULL) closed(session);
}

EXPORT int sqlite3_close(void *session) {
  LIBRARY_NEXT(sqlite3_close, SQLITE_ERROR);
  database_closing(session, "sqlite3_close");
  library_depth++;
  int error = next(session);
  library_depth--;
  return error;
}

EXPORT int sqlite3_close_v2(void *session) {
  LIBRARY_NEXT(sqlite3_close_v2, SQLITE_ERROR);
  database_closing(session, "sqlite3_close_v2");
  library_depth++;
  int error = next(session);
  library_depth--;
  return error;
}

USES(LIBRARY_SQLITE, SQLITE_ERROR, int, sqlite3_exec,
     (void *session, const char *sql, int (*each)(void *, int, char **, char **), void *data, char **error), session,
     sql, each, data, error)
USES(LIBRARY_SQLITE, SQLITE_ERROR, int, sqlite3_get_table,
     (void *session, const char *sql, char ***table, int *rows, int *columns, char **error), session, sql, table, rows,
     columns, error)
USES(LIBRARY_SQLITE, SQLITE_ERROR, int, sqlite3_prepare,
     (void *session, const char *sql, int size, void **statement, const char **rest), session, sql, size, statement,
     rest)
USES(LIBRARY_SQLITE, SQLITE_ERROR, int, sqlite3_prepare_v2,
     (void *session, const char *sql, int size, void **statement, const char **rest), session, sql, size, statement,
     rest)
USES(LIBRARY_SQLITE, SQLITE_ERROR, int, sqlite3_prepare_v3,
     (void *session, const char *sql, int size, unsigned flags, void **statement, const char **rest), session, sql,
     size, flags, statement, rest)

static void statement_used(void *statement, const char *function, const void *caller) {
  static struct next next = {.name = "sqlite3_db_handle"};
  if (LIKELY(forks_generation() == 0) || statement == NULL) return;
  __typeof__(&sqlite3_db_handle) handle = (__typeof__(&sqlite3_db_handle))library_next(&next, caller);
  const void *session = handle == NULL ? NULL : handle(statement);
  if (is_first_use(session)) used(LIBRARY_SQLITE, session, function);
}

EXPORT int sqlite3_step(void *statement) {
  LIBRARY_NEXT(sqlite3_step, SQLITE_ERROR);
  statement_used(statement, "sqlite3_step", __builtin_return_address(0));
  library_depth++;
  int error = next(statement);
  library_depth--;
  return error;
}

/* ---- libpq: a child that finishes its parent's connection tells the server so ---- */

void *PQconnectdb(const char *options);
void *PQconnectdbParams(const char *const *names, const char *const *values, int expand);
void *PQconnectStart(const char *options);
void *PQconnectStartParams(const char *const *names, const char *const *values, int expand);
void *PQsetdbLogin(const char *host, const char *port, const char *options, const char *tty, const char *database,
                   const char *login, const char *password);
void PQfinish(void *session);

EXPORT void *PQconnectdb(const char *options) {
  LIBRARY_NEXT(PQconnectdb, NULL);
  void *session = next(options);
  opened(session);
  return session;
}

EXPORT void *PQconnectdbParams(const char *const *names, const char *const *values, int expand) {
  LIBRARY_NEXT(PQconnectdbParams, NULL);
  void *session = next(names, values, expand);
  opened(session);
  return session;
}

EXPORT void *PQconnectStart(const char *options) {
  LIBRARY_NEXT(PQconnectStart, NULL);
  void *session = next(options);
  opened(session);
  return session;
}

EXPORT void *PQconnectStartParams(const char *const *names, const char *const *values, int expand) {
  LIBRARY_NEXT(PQconnectStartParams, NULL);
  void *session = next(names, values, expand);
  opened(session);
  return session;
}

EXPORT void *PQsetdbLogin(const char *host, const char *port, const char *options, const char *tty,
                          const char *database, const char *login, const char *password) {
  LIBRARY_NEXT(PQsetdbLogin, NULL);
  void *session = next(host, port, options, tty, database, login, password);
  opened(session);
  return session;
}

EXPORT void PQfinish(void *session) {
  LIBRARY_NEXT(PQfinish, );
  if (is_first_use(session)) used(LIBRARY_POSTGRESQL, session, "PQfinish");
  if (session != NULL) closed(session);
  library_depth++;
  next(session);
  library_depth--;
}

USES(LIBRARY_POSTGRESQL, NULL, void *, PQexec, (void *session, const char *query), session, query)
USES(LIBRARY_POSTGRESQL, NULL, void *, PQexecParams,
     (void *session, const char *query, int count, const unsigned *types, const char *const *values, const int *lengths,
      const int *formats, int result),
     session, query, count, types, values, lengths, formats, result)
USES(LIBRARY_POSTGRESQL, NULL, void *, PQexecPrepared,
     (void *session, const char *name, int count, const char *const *values, const int *lengths, const int *formats,
      int result),
     session, name, count, values, lengths, formats, result)
USES(LIBRARY_POSTGRESQL, 0, int, PQsendQuery, (void *session, const char *query), session, query)
USES(LIBRARY_POSTGRESQL, NULL, void *, PQgetResult, (void *session), session)
