/* SPDX-License-Identifier: MIT */
/* After gentoo/portage#600: each process opens the database for itself. */
/* finds: nothing */
/* needs: sqlite3 */
#include "../program.h"

#include "database.h"

int main(void) {
  sqlite3 *database = database_open(), *own;
  database_run(database, "create table t (n)");
  pid_t child = fork();
  if (child == 0) {
    must(sqlite3_open(database_path, &own) == SQLITE_OK);
    database_run(own, "insert into t values (1)");
    sqlite3_close(own);
    _exit(0);
  }
  wait_for(child);
  database_run(database, "insert into t values (2)");
  database_close(database);
  return 0;
}
