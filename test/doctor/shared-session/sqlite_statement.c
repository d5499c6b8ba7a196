/* SPDX-License-Identifier: MIT */
/* After rails/solid_queue#324: a statement that was prepared before the fork is run in both processes. */
/* finds: shared-session */
/* needs: sqlite3 */
#include "../program.h"

#include "database.h"

int main(void) {
  sqlite3 *database = database_open();
  sqlite3_stmt *statement;
  database_run(database, "create table t (n)");
  must(sqlite3_prepare_v2(database, "select count(*) from t", -1, &statement, NULL) == SQLITE_OK);
  pid_t child = fork();
  if (child == 0) {
    sqlite3_step(statement);
    _exit(0);
  }
  wait_for(child);
  sqlite3_step(statement);
  sqlite3_finalize(statement);
  database_close(database);
  return 0;
}
