# SPDX-License-Identifier: MIT
# After eventlet/eventlet#68: an event loop starts another program, and hears of its end.
# finds: nothing
import asyncio


async def main():
    process = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
    print(await process.stdout.read())
    await process.wait()

asyncio.run(main())
