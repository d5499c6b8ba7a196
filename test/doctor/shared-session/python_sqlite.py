# SPDX-License-Identifier: MIT
# After gentoo/portage#600: a worker uses a connection that its parent has opened.
# finds: shared-session
import os
import sqlite3
import tempfile

path = tempfile.mktemp(prefix="doctor-")
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("create table t (n)")
child = os.fork()
if child == 0:
    connection.execute("insert into t values (1)")
    os._exit(0)
os.waitpid(child, 0)
connection.execute("insert into t values (2)")
connection.close()
os.unlink(path)
