# SPDX-License-Identifier: MIT
# After python/cpython#1066: a child leaves the block of its parent's temporary directory.
# finds: deleted-file
import os
import tempfile

try:
    with tempfile.TemporaryDirectory(prefix="doctor-") as directory:
        child = os.fork()
        if child != 0:
            os.waitpid(child, 0)
            print("is there" if os.path.exists(directory) else "is gone")
except FileNotFoundError:
    print("and cannot be removed")
if child == 0:
    os._exit(0)
