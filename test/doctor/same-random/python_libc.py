# SPDX-License-Identifier: MIT
# After binarymatt/pyres#83: Python seeds its own generator anew, but not the one of a C library that it calls.
# finds: same-random
import ctypes
import os
import time

libc = ctypes.CDLL(None)
libc.srand(int(time.time()))
child = os.fork()
if child == 0:
    print("child", libc.rand(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("parent", libc.rand())
