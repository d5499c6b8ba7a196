# SPDX-License-Identifier: MIT
# After python/cpython#91776: a thread is in the middle of a write to a buffered file, and the child writes to it, too.
# finds: dead-lock
import io
import os
import signal
import threading

inside, leave = os.pipe(), os.pipe()


class Slow(io.RawIOBase):
    def writable(self):
        return True

    def write(self, data):
        os.write(inside[1], b".")
        os.read(leave[0], 1)
        return len(data)


log = io.BufferedWriter(Slow())


def write():
    log.write(b"a line\n")
    log.flush()


writer = threading.Thread(target=write, name="writer")
writer.start()
os.read(inside[0], 1)
child = os.fork()
if child == 0:
    signal.alarm(20)
    log.write(b"another\n")
    os._exit(0)
os.waitpid(child, 0)
os.write(leave[1], b"..")
writer.join()
