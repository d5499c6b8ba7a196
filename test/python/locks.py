# SPDX-License-Identifier: MIT
"""Locks across forks: nobody lets go of what he did not take; and whether a hook's own prepare has run."""
from __future__ import annotations

import _thread
import os
import signal
import threading
from typing import Any, Callable, List

import atfork
from tap import ForkTest, Scenario, run_python, run_tests


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

    def test_that_returned(self) -> None:
        self.assertEqual(["[True]", "[True]"], self.seen_in("python", prepare=lambda: None))

    def test_that_raised(self) -> None:
        def fail() -> None:
            raise ValueError("not today")

        self.assertEqual(["[False]", "[False]"], self.seen_in("python", prepare=fail))

    def test_that_is_not_there(self) -> None:
        self.assertEqual(["[False]", "[False]"], self.seen_in("python"))

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

    def test_after_a_fork_inside_the_callback(self) -> None:
        seen: List[Any] = []

        def parent() -> None:
            hook.unregister()
            self.in_child(lambda: None)
            seen.append(atfork.prepared())

        hook = atfork.register(prepare=lambda: None, parent=parent)
        self.in_child(lambda: None)
        self.assertEqual([True], seen)

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
        self.assertEqual(["prepared() is for parent and child callbacks, while they run"] * 4, errors)


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

    def test_a_fork_waits_for_it(self) -> None:
        for lock in kinds():
            hook = atfork.register_lock(lock)
            let_go = self.held_by_a_thread(lock)
            atfork.register(key="go", prepare=let_go, priority=1)
            self.in_child(lambda: self.assertTrue(is_free(lock)))
            hook.unregister()

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

    def test_where_no_prepare_ran_and_its_owner_is_gone(self) -> None:
        for lock in (threading.RLock(), threading.Condition()):
            atfork.register_lock(lock)
            for way in ("fork", "_Fork"):
                let_go = self.held_by_a_thread(lock)
                self.in_child(lambda: (atfork.poll(), self.assertTrue(is_free(lock)))[1], way)
                let_go()

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

    def test_what_is_no_lock(self) -> None:
        for value in (None, 3, [], object()):
            with self.assertRaisesRegex(TypeError, r"^lock must have acquire\(\) and release\(\), and"):
                atfork.register_lock(value)


def is_held(lock: Any) -> bool:
    """By this thread, where the lock knows."""
    return bool(lock._is_owned()) if hasattr(lock, "_is_owned") else not is_free(lock)


if __name__ == "__main__":
    run_tests()
