# SPDX-License-Identifier: MIT
# After sid-project/sid#85: the child goes on in its parent's event loop, whose epoll set is the parent's, too.
# finds: shared-descriptor
import asyncio
import os

loop = asyncio.new_event_loop()


async def step():
    await asyncio.sleep(0)

loop.run_until_complete(step())
child = os.fork()
if child == 0:
    loop.run_until_complete(step())
    os._exit(0)
loop.run_until_complete(step())
os.waitpid(child, 0)
