# SPDX-License-Identifier: MIT
# After greenbone/ospd#128: as the child ends, Python closes its copy of the temporary file, which deletes it.
# finds: deleted-file
import os
import sys
import tempfile

file = tempfile.NamedTemporaryFile(prefix="doctor-")
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
print("is there" if os.path.exists(file.name) else "is gone")
try:
    file.close()
except FileNotFoundError:
    print("and cannot be removed")
