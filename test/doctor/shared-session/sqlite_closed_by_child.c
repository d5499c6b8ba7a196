/* SPDX-License-Identifier: MIT */
/* After tox-dev/filelock#635: the child closes the connection of its parent, which drops the parent's locks. */
/* finds: shared-session */
/* needs: sqlite3 */
#include "../program.h"

#include "database.h"

int main(void) {
  sqlite3 *database = database_open();
  database_run(database, "create table t (n)");
  pid_t child = fork();
  if (child == 0) {
    sqlite3_close(database);
    _exit(0);
  }
  wait_for(child);
  database_run(database, "insert into t values (2)");
  database_close(database);
  return 0;
}
