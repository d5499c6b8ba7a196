# SPDX-License-Identifier: MIT
# After jruere/multiprocessing-logging#26: the child waits for a queue that a thread of the parent would fill.
# finds: endless-wait
import os
import queue
import signal
import threading

jobs = queue.Queue()
leave = threading.Event()


def produce():
    leave.wait()
    jobs.put("job")


producer = threading.Thread(target=produce, name="producer")
producer.start()
child = os.fork()
if child == 0:
    signal.alarm(20)
    jobs.get()
    os._exit(0)
os.waitpid(child, 0)
leave.set()
producer.join()
