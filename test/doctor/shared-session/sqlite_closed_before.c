/* SPDX-License-Identifier: MIT */
/* After rogerbinns/apsw#10: the connection is closed before the fork, and opened again behind it. */
/* finds: nothing */
/* needs: sqlite3 */
#include "../program.h"

#include "database.h"

static void write_once(void) {
  sqlite3 *database;
  must(sqlite3_open(database_path, &database) == SQLITE_OK);
  database_run(database, "insert into t values (1)");
  sqlite3_close(database);
}

int main(void) {
  sqlite3 *database = database_open();
  database_run(database, "create table t (n)");
  sqlite3_close(database);
  pid_t child = fork();
  if (child == 0) {
    write_once();
    _exit(0);
  }
  wait_for(child);
  write_once();
  unlink(database_path);
  return 0;
}
