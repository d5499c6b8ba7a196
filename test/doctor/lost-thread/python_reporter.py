# SPDX-License-Identifier: MIT
# After benoitc/gunicorn#1666: a thread that reports every few seconds runs in the arbiter, and in no worker.
# finds: note lost-thread
import os
import threading

leave = threading.Event()
reporter = threading.Thread(target=leave.wait, name="reporter")
reporter.start()
child = os.fork()
if child == 0:
    pool = threading.Thread(target=print, args=("worker",))
    pool.start()
    pool.join()
    os._exit(0)
os.waitpid(child, 0)
leave.set()
reporter.join()
