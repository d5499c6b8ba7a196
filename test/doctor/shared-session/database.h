/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_TEST_DOCTOR_DATABASE_H
#define ATFORK_TEST_DOCTOR_DATABASE_H

#include <sqlite3.h>

#include "../program.h"

static char database_path[] = "/tmp/doctor-XXXXXX";

static inline sqlite3 *database_open(void) {
  sqlite3 *database;
  int file = mkostemp(database_path, O_CLOEXEC);
  must(file != -1 && close(file) == 0);
  must(sqlite3_open(database_path, &database) == SQLITE_OK);
  return database;
}

static inline void database_run(sqlite3 *database, const char *statement) {
  must(sqlite3_exec(database, statement, NULL, NULL, NULL) == SQLITE_OK);
}

static inline void database_close(sqlite3 *database) {
  sqlite3_close(database);
  unlink(database_path);
}

#endif
