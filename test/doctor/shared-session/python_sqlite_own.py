# SPDX-License-Identifier: MIT
# After gentoo/portage#600: a worker opens a connection of its own, and leaves its parent's alone.
# finds: nothing
import os
import sqlite3
import tempfile

path = tempfile.mktemp(prefix="doctor-")
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("create table t (n)")
child = os.fork()
if child == 0:
    own = sqlite3.connect(path, isolation_level=None)
    own.execute("insert into t values (1)")
    own.close()
    os._exit(0)
os.waitpid(child, 0)
connection.execute("insert into t values (2)")
connection.close()
os.unlink(path)
