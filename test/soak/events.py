# SPDX-License-Identifier: MIT
"""What happens to a server: reloads, and workers that end.  Drawn from a seed, one at a time, each kind in its turn."""
from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from typing import Dict, List, Optional, Set

import processes
from load import Client, Window
from processes import PATIENCE
from servers import Reload, Server

AFTER = 0.5  # s, that a connection may still be found dropped in
WATCH = 0.2  # s
RELOAD_AGAIN = 15  # s: a server that is still starting may miss the signal
WORKERS = 2  # of each server


class Stuck(Exception):
    """A server does not do what it was told to."""


class Events:
    """Of one server, at a pace of so many seconds from one to the next."""

    def __init__(self, server: Server, client: Client, pace: float, seed: str) -> None:
        self.server, self.client, self.pace = server, client, pace
        self.random = random.Random(seed)
        self.workers: Dict[int, int] = {}  # who has answered: pids, and their births
        self.happened: "Counter[str]" = Counter()
        self.failed: List[str] = []

    def answered(self, pid: int) -> None:
        if pid not in self.workers or processes.birth(pid) != self.workers[pid]:
            began = processes.birth(pid)
            if began is not None:
                self.workers[pid] = began

    def living(self) -> List[int]:
        """The workers, the eldest first."""
        mine = set(processes.descendants(self.server.master))
        self.workers = {pid: began for pid, began in self.workers.items() if processes.birth(pid) == began}
        # Where the eldest of fork_worker has been killed, those that it forked are nobody's.
        mine |= set(self.workers) & set(processes.children(os.getpid()))
        mine |= {child for pid in self.workers for child in processes.children(pid)}
        return sorted(mine & set(self.workers), key=lambda pid: (self.workers[pid], pid))

    async def watch(self) -> None:
        """Sees which workers end though nobody has told them to.  Puma with fork_worker replaces some by itself."""
        seen, when = dict(self.workers), time.monotonic()
        while not self.client.stopped:
            await asyncio.sleep(WATCH)
            now = time.monotonic()
            for pid, began in seen.items():
                if processes.birth(pid) != began and not self.client.is_told_to_end(pid, when, now):
                    await self.ended_by_itself(pid, when)
            seen, when = {pid: began for pid, began in self.workers.items() if processes.birth(pid) == began}, now

    async def ended_by_itself(self, pid: int, since: float) -> None:
        if self.server.mode != "fork_worker":
            self.failed.append(f"worker {pid} has ended by itself")
            return
        window = self.client.window("by itself", since)
        await asyncio.sleep(AFTER)
        window.close()
        self.happened["by itself"] += 1

    async def run(self, until: float) -> None:
        """Each kind happens, even if that takes longer.  With a server that is stuck nothing more does."""
        deck = self.deck()
        kinds = set(deck)
        while time.monotonic() < until or kinds - set(self.happened):
            await asyncio.sleep(self.random.uniform(0.5, 1.5) * self.pace)
            try:
                await self.happen(deck.pop())
            except Stuck as error:
                self.failed.append(f"{error}:\n{self.server.log()[-4000:]}")
                return
            deck = deck or self.deck()

    def deck(self) -> List[str]:
        cards = ["kill", "end"]
        if self.server.changing:
            cards += [reload.name for reload in self.server.kind.reloads]
        self.random.shuffle(cards)
        return cards

    async def happen(self, card: str) -> None:
        reloads = {reload.name: reload for reload in self.server.kind.reloads}
        if card in reloads:
            await self.reload(reloads[card])
        else:
            await self.end_worker(card, signal.SIGKILL if card == "kill" else self.server.kind.graceful)

    async def end_worker(self, card: str, number: int) -> None:
        choice = await self.wait_for_workers()
        pid = self.random.choice(choice if self.server.changing else choice[1:])
        window = self.client.window(card, pid=pid)
        processes.send(pid, number)
        await self.wait_for_end({pid}, window, card, None)

    async def wait_for_workers(self) -> List[int]:
        """When all of them have answered."""
        end = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < end:
            living = self.living()
            if len(living) >= WORKERS:
                return living
            await self.client.burst()
            await asyncio.sleep(0.2)
        raise Stuck("not all workers have answered")

    async def reload(self, reload: Reload) -> None:
        old, master = set(await self.wait_for_workers()), self.server.master
        if reload.others:
            old -= set(processes.children(master))
        window = self.client.window(reload.name)
        processes.send(master, reload.number)
        if self.server.mode == "unicorn" and reload.name == "USR2":
            await self.replace_master(master)
        await self.wait_for_end(old, window, reload.name, reload)

    async def replace_master(self, old: int) -> None:
        """unicorn's new master serves beside the old one, until that is told to quit."""
        end = time.monotonic() + 2 * PATIENCE
        while self.server.master == old or not set(processes.children(self.server.master)) & set(self.workers):
            if time.monotonic() > end:
                raise Stuck("no new master")
            await self.client.burst()
            await asyncio.sleep(0.1)
            self.server.follow()
        processes.send(old, signal.SIGQUIT)

    async def wait_for_end(self, old: Set[int], window: Window, what: str, again: Optional[Reload]) -> None:
        """The window is open until they are gone; and with fork_worker until others have taken their places: when Puma
        has forked these, it starts the server of their parent anew, which may cost a connection."""
        births = {pid: processes.birth(pid) for pid in old}
        begin = last = time.monotonic()
        while any(began is not None and processes.birth(pid) == began for pid, began in births.items()):
            now = time.monotonic()
            if now - begin > 2 * PATIENCE:
                raise Stuck(f"{sorted(old)} are still there, after {what}")
            if again is not None and now - last > RELOAD_AGAIN and self.server.mode != "unicorn":
                processes.send(self.server.master, again.number)
                last = now
            await asyncio.sleep(0.1)
        if self.server.mode == "fork_worker":
            await self.wait_for_workers()
        await asyncio.sleep(AFTER)
        window.close()
        self.happened[what] += 1

