#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Servers with the library's hooks, under load, while they reload, lose workers, and run out of memory.

soak.py --build BUILD --hosts HOSTS MINUTES      BUILD has the library and its bindings; HOSTS the servers that
                                                 script/bootstrap has unpacked
"""
from __future__ import annotations

import argparse
import asyncio
import json
import pathlib
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from typing import Any, Dict, List, Tuple

import checks
import load
import page
import picture
import processes
import report
from events import AFTER, WORKERS, Events
from memory import Record
from processes import PATIENCE
from servers import KINDS, Build, Server

RATE = {True: 20.0, False: 10.0}  # requests a second: of one that changes, and of a steady one
FAULTS = ["double", "missed", "leak", "lost", "seed"]
KEPT = 20  # of each server's faults


class Run:
    """One server, what is asked of it, and what is done to it."""

    def __init__(self, server: Server, every: checks.Everything, pace: float, share: float, seed: str) -> None:
        self.server = server
        self.checks = checks.Server(every)
        self.faults: "Counter[str]" = Counter()
        self.said: List[str] = []
        self.client = load.Client(server.port, RATE[server.changing], share, f"{seed} {server.mode} asks", self.take)
        self.events = Events(server, self.client, pace, f"{seed} {server.mode} {server.changing}")

    def take(self, answer: Dict[str, Any]) -> None:
        self.events.answered(answer["pid"])
        if not self.server.library:
            return
        try:
            found = self.checks.check(answer)
        except (KeyError, TypeError) as error:
            found = [f"error: not an answer: {error!r} in {answer}"]
        for fault in found:
            self.faults[fault.split(":")[0].split()[0]] += 1
            if len(self.said) < KEPT:
                self.said.append(f"{fault}; process {answer['pid']}, {answer['lineage']}")

    async def ready(self) -> None:
        """When all workers have answered; Puma with fork_worker starts its first one anew meanwhile."""
        window = self.client.window("start")
        end = time.monotonic() + PATIENCE
        why = ""
        while len(self.events.workers) < WORKERS:
            try:
                self.take(await load.ask(self.server.port, "/"))
                await self.client.burst()
            except (OSError, ValueError) as error:  # it has not begun to listen
                why = repr(error)
            if time.monotonic() > end or processes.birth(self.server.master) is None:
                raise RuntimeError(f"{self.server.name} does not serve: {why}\n{self.server.log()}")
            await asyncio.sleep(0.05)
        await asyncio.sleep(AFTER)
        window.close()

    async def run(self, until: float) -> None:
        await asyncio.gather(self.client.run(), self.events.watch(), self.change(until))

    async def change(self, until: float) -> None:
        """Events that have begun come to their end under load."""
        await self.events.run(until)
        self.client.stopped = True

    def result(self) -> Dict[str, Any]:
        return {
            "name": self.server.name,
            "kind": self.server.mode,
            "changing": self.server.changing,
            "library": self.server.library,
            "asked": self.client.asked,
            "answered": self.client.answered,
            "lost": [list(lost) for lost in self.client.lost],
            "dropped": self.client.dropped,
            "costly": sum(window.costly for window in self.client.windows),
            "events": self.events.happened,
            "failed": self.events.failed,
            "processes": len(self.checks.processes),
            "faults": self.faults,
            "said": self.said,
        }


class Soak:
    def __init__(self, options: argparse.Namespace, work: pathlib.Path) -> None:
        self.options = options
        self.seconds = options.minutes * 60
        self.record = Record()
        self.began = self.lasted = 0.0
        every = checks.Everything()
        build = Build(options.build.resolve(), options.hosts.resolve())
        self.runs: List[Run] = []
        for kind in options.servers:
            for changing, library in self.manners():
                server = Server(kind, changing, library, build, work, options.fault)
                if server.is_here():
                    self.runs.append(Run(server, every, self.pace(), options.work, options.seed))
                else:
                    print(f"{server.name} is not here", flush=True)

    def manners(self) -> List[Tuple[bool, bool]]:
        """With the library, changing and steady; and changing without, at the same time, to compare with."""
        if self.options.without:
            return [(True, False), (False, False)]
        compared = [] if self.options.fault else [(True, False)]
        return [(True, True), (False, True), *compared]

    def pace(self) -> float:
        """Seconds from one event to the next: each kind of event happens, in a short run as well."""
        return float(min(40.0, max(1.0, self.seconds / 12)))

    async def go(self) -> None:
        for run in self.runs:
            run.server.start()
        await asyncio.gather(*(run.ready() for run in self.runs))
        print(f"serving: {len(self.runs)} servers", flush=True)
        self.began = time.monotonic()
        until = self.began + self.seconds
        tasks = [self.reap(), self.sample(), self.tell(until)]
        tasks += [run.run(until) for run in self.runs]
        reaper, *others = [asyncio.create_task(task) for task in tasks]
        try:
            await asyncio.gather(*others)
        finally:
            reaper.cancel()
            self.lasted = time.monotonic() - self.began

    async def reap(self) -> None:
        while True:
            processes.reap()
            await asyncio.sleep(0.05)

    async def sample(self) -> None:
        """No more often than each second, nor less than each 10."""
        pause = min(10.0, max(1.0, self.seconds / 200))
        while not all(run.client.stopped for run in self.runs):
            for run in self.runs:
                now = time.monotonic() - self.began
                self.record.take(now, run.server.name, "master", run.server.master)
                for pid in run.events.living():
                    self.record.take(now, run.server.name, "worker", pid)
                await asyncio.sleep(0)
            await asyncio.sleep(pause)

    async def tell(self, until: float) -> None:
        while time.monotonic() + 60 < until:
            await asyncio.sleep(60)
            minutes = (time.monotonic() - self.began) / 60
            print(f"{minutes:4.0f} min: {report.progress([run.result() for run in self.runs])}", flush=True)

    def result(self) -> Dict[str, Any]:
        return {
            "seconds": self.lasted,
            "seed": self.options.seed,
            "servers": [run.result() for run in self.runs],
            "memory": self.record.as_data(),
        }


async def until_told(soak: Soak) -> bool:
    """False where a signal has ended it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await soak.go()
    except asyncio.CancelledError:
        return False
    return True


def soak(options: argparse.Namespace) -> Dict[str, Any]:
    """What there was to see; it is not whole where a signal has ended it."""
    processes.adopt_orphans()
    processes.use_small_pages()
    with tempfile.TemporaryDirectory() as work:
        it = Soak(options, pathlib.Path(work))
        try:
            whole = asyncio.run(until_told(it))
        finally:
            masters = {run.server.master: run.server.kind.end for run in it.runs if run.server.master != 0}
            killed = processes.end_all(masters)
        result = it.result()
        result["killed"], result["whole"] = len(killed), whole
        used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        result["cpu"] = sum(each.ru_utime + each.ru_stime for each in used)
        if options.logs:
            options.logs.mkdir(parents=True, exist_ok=True)
            for run in it.runs:
                (options.logs / f"{run.server.name}.log").write_text(run.server.log())
    return result


def parse(words: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("minutes", type=float, nargs="?", default=1.0)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--hosts", type=pathlib.Path, required=True)
    parser.add_argument("--results", type=pathlib.Path, help="where to write what was measured")
    parser.add_argument("--plot", type=pathlib.Path, help="where to draw it")
    parser.add_argument("--page", type=pathlib.Path, help="a Markdown file whose figures are written anew")
    parser.add_argument("--drawn-only", action="store_true", help="draw the results that there are")
    parser.add_argument("--logs", type=pathlib.Path, help="where to write the servers' logs")
    parser.add_argument("--servers", type=lambda text: text.split(","), default=list(KINDS))
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(2**32)))
    parser.add_argument("--work", type=float, default=0.08, help="the share of requests that fork, or the like")
    parser.add_argument("--without", action="store_true", help="all servers without the library")
    parser.add_argument("--fault", choices=FAULTS, default="", help="break a hook, to see that it is found")
    return parser.parse_args(words)


def main(words: List[str]) -> int:
    options = parse(words)
    if options.drawn_only:
        result = json.loads(options.results.read_text())
    else:
        print(f"seed {options.seed}", flush=True)
        result = soak(options)
        if options.results:
            options.results.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    if options.plot and result["whole"]:
        options.plot.write_text(picture.draw(result), encoding="utf-8")
    if options.page and result["whole"]:
        page.write(options.page, result)
    status = report.tell(result)
    return status if result["whole"] else 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
