# SPDX-License-Identifier: MIT
# After benoitc/gunicorn#1666: threads of the parent wait for events and for work; no lock of theirs is needed.
# finds: nothing
import concurrent.futures
import logging
import os
import threading

logging.basicConfig(level=logging.INFO)
leave = threading.Event()
waiter = threading.Thread(target=leave.wait, name="waiter")
waiter.start()
pool = concurrent.futures.ThreadPoolExecutor(2)
pool.submit(pow, 2, 3).result()
child = os.fork()
if child == 0:
    logging.info("the child goes on")
    with threading.Lock():
        print("child", flush=True)
    os._exit(0)
os.waitpid(child, 0)
leave.set()
waiter.join()
pool.shutdown()
