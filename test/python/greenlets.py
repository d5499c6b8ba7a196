# SPDX-License-Identifier: MIT
"""Greenlets, of which gevent is made: several forks of one thread are under way at once, and end in any order."""
from __future__ import annotations

import importlib.util
import os
import unittest
from typing import Any, List

import atfork
from tap import ForkTest, Scenario, run_python, run_tests, scenario

HAS_GEVENT = importlib.util.find_spec("gevent") is not None

# As in a server that runs under gevent: a library has a lock, which is gevent's, and holds it across forks.
LOCK = """
from gevent import monkey; monkey.patch_all()
import os, sys, threading
import gevent
import atfork
lock = getattr(threading, sys.argv[2])()
used = [0]
if sys.argv[1] == "callbacks":
    atfork.register(prepare=lock.acquire, parent=lock.release, child=lock.release)
else:
    atfork.register_lock(lock)
def user():
    while not done:
        with lock:
            used[0] += 1
            gevent.sleep(0.15 if used[0] == 3 else 0) # once longer than a fork waits before it looks around
        gevent.sleep(0)
def forker():
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if lock.acquire(blocking=False) else 1)
        statuses.append(gevent.os.waitpid(pid, 0)[1])
        gevent.sleep(0)
done, statuses = [], []
users = [gevent.spawn(user) for _ in range(2)]
forkers = [gevent.spawn(forker) for _ in range(3)]
gevent.joinall(forkers)
before = used[0]
while used[0] == before: gevent.sleep(0)
done.append(1)
gevent.joinall(users)
print(statuses == [0] * 15, [each.exception for each in users + forkers])
"""


@unittest.skipUnless(importlib.util.find_spec("greenlet"), "there is no greenlet")
class Pairing(ForkTest):
    """Two greenlets fork, and the prepare of each switches to the main one."""

    def setUp(self) -> None:
        super().setUp()
        from greenlet import getcurrent, greenlet

        self.greenlet: Any = greenlet
        self.main = getcurrent()
        self.log: List[str] = []

    def name(self) -> str:
        from greenlet import getcurrent

        return getattr(getcurrent(), "name", "main")

    def register(self, phase: str, **more: Any) -> Any:
        def note(phase: str) -> None:
            self.log.append(f"{phase} {self.name()}")

        def switch() -> None:
            note(phase)
            self.main.switch()

        callbacks = {each: (lambda each=each: note(each)) for each in ("prepare", "parent", "child")}
        callbacks[phase] = switch
        return atfork.register(**callbacks, **more)

    def fork(self) -> None:
        pid = os.fork()
        if pid == 0:
            with self.finish():
                expected = f"child {self.name()}"
                self.assertEqual((expected, [expected]), (self.log[-1], [each for each in self.log if "child" in each]))
                self.assertEqual([], self.unraisable)
        self.passed(pid)
        self.log.append(f"forked {self.name()}")

    def two(self, target: Any = None) -> List[Any]:
        greenlets = [self.greenlet(target or self.fork) for _ in range(2)]
        for greenlet, name in zip(greenlets, "ab"):
            greenlet.name = name
        return greenlets

    @scenario("overlapping-forks")
    def test_two_prepares_have_two_parents(self) -> None:
        self.register("prepare")
        a, b = self.two()
        for order in ((a, b, a, b), (a, b, b, a)):
            del self.log[:]
            a, b = self.two()
            for greenlet in [{"a": a, "b": b}[each.name] for each in order]:
                greenlet.switch()
            first, second = order[2].name, order[3].name
            self.assertEqual(
                ["prepare a", "prepare b"]
                + [f"parent {first}", f"forked {first}", f"parent {second}", f"forked {second}"],
                self.log,
            )
            self.assertEqual([], self.unraisable)

    def test_a_parent_that_switches(self) -> None:
        self.register("parent")
        a, b = self.two()
        for greenlet in (a, b, a, b):
            greenlet.switch()
        expected = ["prepare a", "parent a", "prepare b", "parent b", "forked a", "forked b"]
        self.assertEqual(expected, self.log)

    @scenario("overlapping-fork-in-child")
    def test_the_one_left_forks_in_the_child_of_the_other(self) -> None:
        """There it is in the middle of its prepare, too."""
        self.register("prepare")

        def forks() -> None:
            pid = os.fork()
            if pid == 0:
                Scenario.exit(len([each for each in self.log if "child" in each]))
            self.log.append(f"forked {Scenario.wait(pid)}")

        def first() -> None:
            pid = os.fork()
            if pid == 0:
                with self.finish():
                    b.parent = a  # to come back here
                    b.switch()
                    expected = ["prepare a", "prepare b", "child a", "parent b", "forked 2"]
                    self.assertEqual(expected, self.log)
            self.passed(pid)

        a = self.two(first)[0]
        b = self.two(forks)[1]
        a.switch()
        b.switch()
        a.switch()
        b.switch()
        self.assertEqual(["prepare a", "prepare b", "parent a", "parent b", "forked 1"], self.log)

    @scenario("prepared-overlapping")
    def test_prepared_is_of_the_greenlet_s_own_fork(self) -> None:
        seen: List[Any] = []

        def prepare() -> None:
            self.main.switch()
            if self.name() == "a":
                raise ValueError("not a's")

        atfork.register(prepare=prepare, parent=lambda: seen.append((self.name(), atfork.prepared())))

        def forks() -> None:
            pid = os.fork()
            if pid == 0:
                Scenario.exit(42)
            self.passed(pid)

        a, b = self.two(forks)
        for greenlet in (a, b, a, b):
            greenlet.switch()
        self.assertEqual([("a", False), ("b", True)], seen)

    def test_forks_of_c_and_unregister_in_between(self) -> None:
        """No fork of this thread is waited for: it could not go on."""
        hook = self.register("prepare")
        a, b = self.two()
        a.switch()
        self.in_child(lambda: None, "fork")
        self.assertTrue(hook.unregister())
        a.switch()
        self.assertEqual(["prepare a", "parent a", "forked a"], [each for each in self.log if each.endswith("a")])
        self.assertEqual([], self.unraisable)


@unittest.skipUnless(HAS_GEVENT, "there is no gevent")
class Gevent(ForkTest):
    @scenario("lock-overlapping")
    def test_a_lock_across_forks(self) -> None:
        for way in ("callbacks", "register_lock"):
            for kind in ("Lock", "RLock", "Semaphore"):
                with self.subTest(way=way, kind=kind):
                    run = run_python(LOCK, way, kind)
                    self.assertEqual(("True [None, None, None, None, None]\n", ""), (run.stdout, run.stderr))


if __name__ == "__main__":
    run_tests()
