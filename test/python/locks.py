# SPDX-License-Identifier: MIT
"""Locks across forks: a fork releases only locks that it has taken; and whether a hook's own prepare has run."""
from __future__ import annotations

import _thread
import contextlib
import errno
import os
import signal
import sys
import threading
from typing import Any, Callable, List

import atfork
from tap import PASSED, ForkTest, Scenario, run_python, run_tests, scenario


# A thread has `first`, and then wants what the fork has taken or is about to: a lock, or a hook's end.
OTHER_ORDER = """
import faulthandler, os, sys, threading
import atfork
faulthandler.dump_traceback_later(20, exit=True)
first, second = threading.Lock(), threading.RLock()
inside, go, log = threading.Event(), threading.Event(), []
def fail():
    log.append("fail")
    raise ValueError
def prepare():
    log.append("prepare")
    go.set()
atfork.on_error = lambda *error: None
atfork.register_lock(first)
atfork.register(prepare=prepare, parent=lambda: log.append(atfork.prepared()), child=lambda: log.append("child"))
atfork.register(prepare=fail, parent=lambda: log.append(atfork.prepared()))
hook = atfork.register_lock(second)
def work():
    with first:
        inside.set()
        go.wait()
        if sys.argv[1] == "unregister": hook.unregister()
        else:
            with second: log.append("both")
thread = threading.Thread(target=work)
thread.start()
inside.wait()
pid = os.fork()
free = first.acquire(False) and second.acquire(False)
if pid == 0: os._exit(42 if free and log[-1] == "child" else 1)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), free, log)
"""


class Prepared(ForkTest):
    def seen_in(self, way: str, **callbacks: Any) -> List[Any]:
        """What prepared() gives in the parent, and what it must give in the child."""
        seen: List[Any] = []

        def note() -> None:
            seen.append(atfork.prepared())

        hook = atfork.register(parent=note, child=note, **callbacks)
        reader, writer = os.pipe()

        def body() -> None:
            if way == "_Fork":
                atfork.poll()
            os.write(writer, repr(seen).encode())

        self.in_child(body, way)
        atfork.poll()
        hook.unregister()
        text = os.read(reader, 99).decode()
        os.close(reader)
        os.close(writer)
        return [repr(seen), text]

    @scenario("prepared-returned")
    def test_that_returned(self) -> None:
        self.assertEqual(["[True]", "[True]"], self.seen_in("python", prepare=lambda: None))

    @scenario("prepared-raised")
    def test_that_raised(self) -> None:
        def fail() -> None:
            raise ValueError("not today")

        self.assertEqual(["[False]", "[False]"], self.seen_in("python", prepare=fail))

    @scenario("prepared-absent")
    def test_that_is_not_there(self) -> None:
        self.assertEqual(["[False]", "[False]"], self.seen_in("python"))

    @scenario("prepared-after-c-fork")
    def test_of_a_fork_by_c(self) -> None:
        self.assertEqual(["[]", "[False]"], self.seen_in("fork", prepare=lambda: None))
        self.assertEqual(["[False]", "[False]"], self.seen_in("fork"))
        self.assertEqual(["[]", "[False]"], self.seen_in("_Fork", prepare=lambda: None))

    def test_of_the_right_hook(self) -> None:
        seen: List[Any] = []

        def add(number: int, prepare: Any) -> None:
            note: Callable[[], None] = lambda: seen.append((number, atfork.prepared()))  # noqa: E731
            atfork.register(prepare=prepare, parent=note, child=note)

        def fail() -> None:
            raise ValueError

        for number, prepare in enumerate((None, fail, lambda: None, fail, None, lambda: None)):
            add(number, prepare)
        expected = [(0, False), (1, False), (2, True), (3, False), (4, False), (5, True)]
        self.in_child(lambda: self.assertEqual(expected, seen))
        self.assertEqual(expected, seen)

    @scenario("prepared-nested")
    def test_after_a_fork_inside_the_callback(self) -> None:
        seen: List[Any] = []

        def parent() -> None:
            hook.unregister()
            self.in_child(lambda: None)
            seen.append(atfork.prepared())

        hook = atfork.register(prepare=lambda: None, parent=parent)
        self.in_child(lambda: None)
        self.assertEqual([True], seen)

    @scenario("prepared-in-c")
    def test_of_a_prepare_in_c(self) -> None:
        """It runs whoever forks, but for a bypassing fork."""
        count = atfork.symbol(Scenario.path, "scenario_count")
        self.assertEqual(["[True]", "[True]"], self.seen_in("python", prepare=count))
        self.assertEqual(["[True]", "[True]"], self.seen_in("fork", prepare=count))

        def bypassed() -> None:
            self.assertEqual(["[]", "[False]"], self.seen_in("_Fork", prepare=count))

        bypassed()
        for way in ("python", "fork"):
            self.in_child(bypassed, way)

    @scenario("outer-fork-goes-on")
    def test_an_inner_fork_s_child_goes_on_with_the_outer_fork(self) -> None:
        """There are four processes."""
        seen: List[bool] = []
        prepares: List[int] = []
        inner: List[int] = []

        def prepare() -> None:
            prepares.append(1)
            if len(prepares) == 1:
                raise ValueError("not now")

        def fork_once() -> None:
            if not inner:
                inner.append(-1)
                inner[0] = os.fork()

        def note() -> None:
            seen.append(atfork.prepared())

        atfork.register(prepare=prepare, parent=note, child=note)
        atfork.register(prepare=fork_once, priority=-1)
        outer = os.fork()
        if outer == 0:
            with self.finish():
                self.assertEqual([True, False], seen)
        self.passed(outer)
        if inner == [0]:
            with self.finish():
                self.assertEqual([True, False], seen)
        self.passed(inner[0])
        self.assertEqual([True, False], seen)

    @scenario("prepared-elsewhere")
    def test_elsewhere(self) -> None:
        errors: List[str] = []

        def ask() -> None:
            try:
                atfork.prepared()
            except RuntimeError as error:
                errors.append(str(error))

        def ask_in_a_thread() -> None:
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()

        ask()
        atfork.register(prepare=ask, parent=ask_in_a_thread)
        self.in_child(lambda: None)
        ask()
        self.assertEqual(["prepared() may be called only in a parent or child callback"] * 4, errors)


def kinds() -> List[Any]:
    return [threading.Lock(), threading.RLock(), threading.Condition(), threading.Semaphore()]


def is_free(lock: Any) -> bool:
    if not lock.acquire(blocking=False):
        return False
    lock.release()
    return True


class RegisterLock(ForkTest):
    def held_by_a_thread(self, lock: Any) -> Callable[[], None]:
        """Returns what has the thread let go."""
        held, go = threading.Event(), threading.Event()

        def hold() -> None:
            with lock:
                held.set()
                go.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        return lambda: (go.set(), thread.join())[1]

    @scenario("lock-held-across-fork")
    def test_is_held_across_forks(self) -> None:
        for lock in kinds():
            seen: List[bool] = []

            def look() -> None:
                """Another thread's look, as an RLock may be taken again by this one."""
                thread = threading.Thread(target=lambda: seen.append(is_free(lock)))
                thread.start()
                thread.join()

            hook = atfork.register_lock(lock, priority=5)
            inner = atfork.register(prepare=look)
            self.assertEqual(("lock", 5), (hook.name, hook.priority))
            self.in_child(lambda: self.assertTrue(is_free(lock)))
            self.assertEqual(([False], True), (seen, is_free(lock)))
            hook.unregister()
            inner.unregister()

    @scenario("lock-waited-for")
    def test_a_fork_waits_for_it(self) -> None:
        for lock in kinds():
            hook = atfork.register_lock(lock)
            let_go = self.held_by_a_thread(lock)
            atfork.register(key="go", prepare=let_go, priority=1)
            self.in_child(lambda: self.assertTrue(is_free(lock)))
            hook.unregister()

    @scenario("lock-fork-inside")
    def test_a_fork_inside_the_section(self) -> None:
        """Of a signal handler, say: the section is whole in both processes."""
        for lock in kinds()[:3]:
            hook = atfork.register_lock(lock)

            def forks(number: int, frame: Any) -> None:
                self.in_child(lambda: self.assertTrue(is_held(lock)))

            before = signal.signal(signal.SIGUSR1, forks)
            with lock:
                signal.raise_signal(signal.SIGUSR1)
                self.assertTrue(is_held(lock))
            signal.signal(signal.SIGUSR1, before)
            self.assertTrue(is_free(lock))
            hook.unregister()
        self.assertEqual([], self.unraisable)

    @scenario("lock-without-prepare")
    def test_where_no_prepare_ran_the_section_stays_locked(self) -> None:
        for lock in kinds()[:3]:
            hook = atfork.register_lock(lock)
            for way in ("fork", "_Fork"):

                def body() -> None:
                    atfork.poll()
                    self.assertTrue(is_held(lock))
                    self.assertEqual([], self.unraisable)

                with lock:
                    self.in_child(body, way)
                self.in_child(lambda: (atfork.poll(), self.assertTrue(is_free(lock)))[1], way)
            hook.unregister()

    @scenario("lock-of-lost-thread")
    def test_where_no_prepare_ran_and_its_owner_is_gone(self) -> None:
        for lock in (threading.RLock(), threading.Condition()):
            atfork.register_lock(lock)
            for way in ("fork", "_Fork"):
                let_go = self.held_by_a_thread(lock)
                self.in_child(lambda: (atfork.poll(), self.assertTrue(is_free(lock)))[1], way)
                let_go()

    def test_a_thread_takes_them_in_another_order(self) -> None:
        """What the fork has prepared is undone by its parent callback, and what raised is not run again."""
        run = run_python(OTHER_ORDER, "lock")
        log = ["fail", "prepare", True, "both", "prepare", True, False]
        self.assertEqual((f"42 True {log}\n", ""), (run.stdout, run.stderr))

    def test_a_thread_that_has_one_takes_a_hook_back(self) -> None:
        """It waits for the fork, which waits for its lock: the fork begins anew, without that hook."""
        run = run_python(OTHER_ORDER, "unregister")
        self.assertEqual("", run.stderr)
        # It may still have the lock as the fork has begun anew.
        once = r"'prepare', True, "
        self.assertRegex(run.stdout, rf"\A42 True \['fail', {once}'fail', {once}({once})*False\]\n\Z")

    @scenario("lock-nested-forks")
    def test_nested_forks(self) -> None:
        for lock in kinds():
            hook = atfork.register_lock(lock)
            depth: List[int] = []

            def fork_once() -> None:
                if not depth:
                    depth.append(1)
                    self.in_child(lambda: self.assertTrue(is_free(lock)))

            atfork.register(key="nested", priority=1, prepare=fork_once, parent=fork_once, child=fork_once)
            self.in_child(lambda: self.assertTrue(is_free(lock)))
            self.assertTrue(is_free(lock))
            hook.unregister()
        self.assertEqual([], self.unraisable)

    @scenario("lock-twice")
    def test_registered_twice(self) -> None:
        """Also beside another thread."""
        go = threading.Event()
        bystander = threading.Thread(target=go.wait)
        bystander.start()
        for lock in kinds():
            hooks = [atfork.register_lock(lock) for _ in range(2)]
            self.in_child(lambda: self.assertTrue(is_free(lock)))
            self.assertEqual((True, [True, True]), (is_free(lock), [hook.unregister() for hook in hooks]))
        go.set()
        bystander.join()

    def test_an_exception_at_any_place(self) -> None:
        """Of a signal handler, say: for each place in a fork where Python code can be interrupted."""
        atfork.on_error = lambda *_: None
        lock = threading.Lock()
        atfork.register_lock(lock)
        here, left, places = os.getpid(), 1, 0

        def interrupt(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise ValueError

        while left <= 0 or places == 0:
            places += 1
            left = places
            try:
                sys.setprofile(interrupt)
                os.fork()
                sys.setprofile(None)
            except ValueError:
                pass
            if os.getpid() != here:
                Scenario.exit(PASSED if is_free(lock) else 1)
            self.assertTrue(is_free(lock), f"in the parent, by an exception at place {places}")
            with contextlib.suppress(ChildProcessError):  # where no child was made
                status = os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1])
                self.assertEqual(PASSED, status, f"exit status of the child, by an exception at place {places}")
        self.assertGreater(places, 5)

    @scenario("lock-fork-fails")
    def test_a_fork_that_fails(self) -> None:
        def body() -> None:
            self.assertEqual(0, Scenario.held.scenario_forbid_forks(errno.EAGAIN))
            for lock in kinds():
                hook = atfork.register_lock(lock)
                with self.assertRaises(BlockingIOError):
                    os.fork()
                self.assertTrue(is_free(lock))
                hook.unregister()

        self.in_child(body)

    @scenario("lock-refused")
    def test_what_is_no_lock(self) -> None:
        for value in (None, 3, [], object()):
            with self.assertRaisesRegex(TypeError, r"^lock must have acquire\(\) and release\(\), but"):
                atfork.register_lock(value)


def is_held(lock: Any) -> bool:
    """By this thread, where the lock knows."""
    return bool(lock._is_owned()) if hasattr(lock, "_is_owned") else not is_free(lock)


if __name__ == "__main__":
    run_tests()
