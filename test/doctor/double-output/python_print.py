# SPDX-License-Identifier: MIT
# After namhyung/uftrace#230: what print() has not flushed comes out of both processes.
# finds: double-output
import os
import sys

sys.stdout = open(1, "w", closefd=False)
print("before the fork")
child = os.fork()
if child == 0:
    print("child")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
print("parent")
sys.stdout.flush()
