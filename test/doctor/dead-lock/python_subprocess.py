# SPDX-License-Identifier: MIT
# After python/cpython#50970: a thread has a lock, but what is started is another program.
# finds: nothing
import os
import subprocess
import threading

lock = threading.Lock()
held, leave = os.pipe(), os.pipe()


def hold():
    with lock:
        os.write(held[1], b".")
        os.read(leave[0], 1)


holder = threading.Thread(target=hold)
holder.start()
os.read(held[0], 1)
subprocess.run(["/bin/true"], check=True)
os.write(leave[1], b".")
holder.join()
