# SPDX-License-Identifier: MIT
# After python/cpython#50970: a thread has a lock of threading's as the process forks, and the child waits for it.
# finds: dead-lock
import os
import signal
import threading

lock = threading.Lock()
held, leave = os.pipe(), os.pipe()


def hold():
    with lock:
        os.write(held[1], b".")
        os.read(leave[0], 1)


holder = threading.Thread(target=hold, name="holder")
holder.start()
os.read(held[0], 1)
child = os.fork()
if child == 0:
    signal.alarm(20)
    with lock:
        os._exit(0)
os.waitpid(child, 0)
os.write(leave[1], b".")
holder.join()
