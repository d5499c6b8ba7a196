/* SPDX-License-Identifier: MIT */
/* After sparklemotion/sqlite3-ruby#558: an open connection to a database is used in the parent and in the child. */
/* finds: shared-session */
/* needs: sqlite3 */
#include "../program.h"

#include "database.h"

int main(void) {
  sqlite3 *database = database_open();
  database_run(database, "create table t (n)");
  pid_t child = fork();
  if (child == 0) {
    database_run(database, "insert into t values (1)");
    _exit(0);
  }
  wait_for(child);
  database_run(database, "insert into t values (2)");
  database_close(database);
  return 0;
}
