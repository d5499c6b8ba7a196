# SPDX-License-Identifier: MIT
# After binarymatt/pyres#83: since 3.7, Python seeds its generator anew in the child.
# finds: nothing
import os
import random
import uuid

random.random()
child = os.fork()
if child == 0:
    print("child", random.random(), uuid.uuid4(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("parent", random.random(), uuid.uuid4())
