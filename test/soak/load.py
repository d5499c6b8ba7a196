# SPDX-License-Identifier: MIT
"""Requests at a steady rate, each by a connection of its own; and what became of them."""
from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

from processes import PATIENCE

NOTICED = 0.5  # s, until it is known that a worker has ended
TRIES = 50
AT_ONCE = 8  # requests
WORK = ["/fork"] * 6 + ["/space", "/churn", "/plugin", "/exhaust", "/scripted"]


class Window:
    """While this is open a server may drop connections by itself: a worker is being ended, `pid`, or any of them."""

    def __init__(self, why: str, opened: float, pid: Optional[int]) -> None:
        self.why, self.opened, self.pid = why, opened, pid
        self.closed: Optional[float] = None
        self.costly = False  # a connection was dropped

    def close(self) -> None:
        self.closed = time.monotonic()

    def overlaps(self, begin: float, end: float) -> bool:
        return self.opened <= end and (self.closed is None or begin <= self.closed)


class Lost(NamedTuple):
    when: float
    path: str
    error: str


async def ask(port: int, path: str) -> Any:
    """Raises OSError or ValueError where there is no whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ValueError(f"{head[:40]!r} {body[:200]!r}")
    return json.loads(body)


class Client:
    """Of one server.  Each answer is given to `take`; what was asked and never answered is in `lost`."""

    def __init__(
        self, port: int, rate: float, share: float, seed: str, take: Callable[[Dict[str, Any]], None]
    ) -> None:
        self.port, self.rate, self.take = port, rate, take
        self.share_of_work = share
        self.random = random.Random(seed)
        self.stopped = False
        self.broken: Optional[BaseException] = None
        self.windows: List[Window] = []
        self.asked = self.answered = 0
        self.lost: List[Lost] = []
        self.dropped: "Counter[str]" = Counter()  # connections, by what was going on
        self.under_way: Set["asyncio.Task[None]"] = set()

    def window(self, why: str, opened: Optional[float] = None, pid: Optional[int] = None) -> Window:
        self.windows.append(Window(why, time.monotonic() if opened is None else opened, pid))
        return self.windows[-1]

    def is_told_to_end(self, pid: int, begin: float, end: float) -> bool:
        return any(window.pid in (None, pid) and window.overlaps(begin, end) for window in self.windows)

    def explanation(self, begin: float, end: float) -> Optional[Window]:
        """What may have cost a request that was under way then."""
        return next((window for window in reversed(self.windows) if window.overlaps(begin, end)), None)

    def last(self, begin: float) -> str:
        """What happened before a request, and when that was over."""
        if not self.windows or self.windows[-1].closed is None:
            return ""
        return f"; {begin - self.windows[-1].closed:.1f} s after {self.windows[-1].why}"

    async def request(self, path: str) -> None:
        """Once more, where the server may have dropped it; its loss, where nothing explains that."""
        self.asked += 1
        for _ in range(TRIES):
            begin = time.monotonic()
            try:
                answer = await asyncio.wait_for(ask(self.port, path), PATIENCE)
            except (OSError, ValueError, asyncio.TimeoutError) as error:
                end = time.monotonic()
                await asyncio.sleep(NOTICED)
                window = self.explanation(begin, end)
                if window is None or isinstance(error, asyncio.TimeoutError):
                    self.lost.append(Lost(begin, path, f"{type(error).__name__}: {error}{self.last(begin)}"))
                    return
                self.dropped[window.why] += 1
                window.costly = True
            else:
                self.answered += 1
                self.take(answer)
                return
        self.lost.append(Lost(begin, path, f"{TRIES} times in vain"))

    async def burst(self) -> None:
        """As many at once as no worker can answer alone: an idle server may leave all to the same one."""
        await asyncio.gather(*(self.request("/") for _ in range(AT_ONCE)))

    def path(self) -> str:
        return self.random.choice(WORK) if self.random.random() < self.share_of_work else "/"

    async def run(self) -> None:
        """Until it is told to stop, and what is under way has been answered."""
        due = time.monotonic()
        while not self.stopped:
            if self.broken is not None:
                raise self.broken
            due = max(due + 1 / self.rate, time.monotonic() - 1)  # what is late by more than 1 s is not made up for
            await asyncio.sleep(max(0, due - time.monotonic()))
            if len(self.under_way) < AT_ONCE:
                task = asyncio.create_task(self.request(self.path()))
                self.under_way.add(task)
                task.add_done_callback(self.done)
        await asyncio.gather(*self.under_way)

    def done(self, task: "asyncio.Task[None]") -> None:
        self.under_way.discard(task)
        if not task.cancelled():
            self.broken = self.broken or task.exception()
