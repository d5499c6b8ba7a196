# SPDX-License-Identifier: MIT
"""In step with os.register_at_fork(): order, whoever forks, and what Python's own modules do at a fork.

CPython's own tests of register_at_fork() (test_posix, test_logging, test_random) have their likes here and in
arguments.py.
"""
from __future__ import annotations

import contextvars
import ctypes
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import unittest
from concurrent.futures import ProcessPoolExecutor
from typing import Any, List

import atfork
from tap import ForkTest, Scenario, run_python, run_tests, scenario

ORDER = """
import os
trace = []
def note(letter): return lambda: trace.append(letter)
def builtin(letter): os.register_at_fork(before=note(letter), after_in_parent=note(letter), after_in_child=note(letter))
builtin("1")
import atfork
builtin("2")
for letter in "AB": atfork.register(prepare=note(letter), parent=note(letter), child=note(letter))
builtin("3")
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, "".join(trace).encode())
    os._exit(0)
os.wait()
print("".join(trace), os.read(reader, 99).decode())
"""

CHILD_ONLY_WORKS = sys.version_info < (3, 13)
TELLS_WHEN = sys.version_info >= (3, 11)
CHILD_ONLY = """
import ctypes, os, sys
pid = ctypes.PyDLL(sys.argv[2]).scenario_fork(sys.argv[1].encode())
if pid == 0:
    ctypes.pythonapi.PyOS_AfterFork_Child()
    os._exit(0)
print("atfork" in sys.modules, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

CHILD_ONLY_HOOK = """
import ctypes, os, random, sys, threading
import atfork
@atfork.register_after_fork
def hook():
    global names, thread
    names = [each.name for each in threading.enumerate()]
    random.seed(1)
    thread = threading.Thread(target=go.wait)
    thread.start()
go = threading.Event()
gone = threading.Thread(target=go.wait, name="gone")
gone.start()
pid = ctypes.PyDLL(sys.argv[2]).scenario_fork_and_tell(sys.argv[1].encode(), ctypes.pythonapi.PyOS_AfterFork_Child)
if pid == 0:
    print(names, random.random() == random.Random(1).random(), thread.is_alive(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
go.set()
"""

LEFT_PENDING = """
import ctypes, functools, os, random, sys, threading
import atfork
@atfork.register_after_fork
def hook():
    global names
    names = [each.name for each in threading.enumerate()]
    random.seed(1)
go = threading.Event()
threading.Thread(target=go.wait, name="gone").start()
# A fork in C, and no code of Python's until after the other fork.
os.register_at_fork(before=functools.partial(ctypes.PyDLL(sys.argv[1]).scenario_fork_in_thread, b"fork"))
pid = os.fork()
if pid == 0:
    print(names, random.random() == random.Random(1).random(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
go.set()
"""

LOGGING = """
import atfork, os, threading
@atfork.register_after_fork
def log():
    logging.getLogger("x").warning("in the child")
import logging
handler = logging.StreamHandler(open(os.devnull, "w"))
logging.getLogger("x").addHandler(handler)
held, go = threading.Event(), threading.Event()
def hold():
    with handler.lock:
        held.set()
        go.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
pid = os.fork()
if pid == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
go.set()
thread.join()
"""


class Order(ForkTest):
    @scenario("in-step")
    def test_posix_test_register_at_fork(self) -> None:
        """test_posix.PosixTester.test_register_at_fork, with the same letters."""
        reader, writer = os.pipe()
        end_reader, end_writer = os.pipe()

        def note(letter: bytes) -> Any:
            return lambda: os.write(writer, letter)

        atfork.register(prepare=note(b"A"))
        atfork.register(parent=note(b"C"))
        atfork.register_after_fork(note(b"E"))
        atfork.register(prepare=note(b"B"), parent=note(b"D"), child=note(b"F"))
        pid = os.fork()
        if pid == 0:
            with self.finish():
                os.close(writer)
                os.read(end_reader, 1)
        os.close(writer)
        with open(reader, "rb") as file:
            data = file.read()
        os.write(end_writer, b"!")
        self.passed(pid)
        self.assertEqual(6, len(data), data)
        self.assertEqual(b"BA", data[:2])
        self.assertEqual(list(b"CDEF"), sorted(data[2:]))
        self.assertLess(data.index(b"C"), data.index(b"D"))
        self.assertLess(data.index(b"E"), data.index(b"F"))

    def test_all_of_ours_at_the_place_of_the_import(self) -> None:
        """before: 3 2 (B A) 1; after: 1 (A B) 2 3."""
        run = run_python(ORDER)
        self.assertEqual(("32BA11AB23 32BA11AB23\n", ""), (run.stdout, run.stderr))

    def test_the_core_s_hooks_come_later_in_prepare_and_earlier_in_the_child(self) -> None:
        counts: List[int] = []
        count = Scenario.held.scenario_counted
        symbol = atfork.symbol(Scenario.path, "scenario_count")
        atfork.register(
            priority=-5,
            prepare=lambda: counts.append(count()),
            parent=lambda: counts.append(count()),
            child=lambda: counts.append(count()),
        )
        atfork.register(prepare=symbol, parent=symbol, child=symbol)
        start = count()
        self.in_child(lambda: self.assertEqual([start, start + 2], counts))
        self.assertEqual([start, start + 2], counts)


class WhoeverForks(ForkTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace: List[str] = []
        atfork.register(
            prepare=lambda: self.trace.append("prepare"),
            parent=lambda: self.trace.append("parent"),
            child=lambda: self.trace.append("child"),
        )

    @scenario("own-fork-calls")
    def test_forkpty(self) -> None:
        pid, terminal = os.forkpty()
        if pid == 0:
            with self.finish():
                self.assertEqual(["prepare", "child"], self.trace)
        self.passed(pid)
        os.close(terminal)
        self.assertEqual(["prepare", "parent"], self.trace)

    @scenario("own-fork-calls")
    def test_multiprocessing(self) -> None:
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=lambda: sender.send((self.trace, atfork.lineage())))
        process.start()
        process.join()
        trace, lineage = receiver.recv()
        self.assertEqual(["prepare", "child"], trace)
        self.assertRegex(lineage, r"^0\.\d+$")
        self.assertEqual(["prepare", "parent"], self.trace)

    def test_process_pool_executor(self) -> None:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            generations = set(pool.map(generation_of, range(8)))
        self.assertEqual({1}, generations)

    @scenario("own-fork-calls")
    def test_preexec_fn(self) -> None:
        reader, writer = os.pipe()
        subprocess.check_call(["true"], preexec_fn=lambda: os.write(writer, ",".join(self.trace).encode()))
        self.assertEqual(b"prepare,child", os.read(reader, 99))
        self.assertEqual(["prepare", "parent"], self.trace)

    def test_c_code_that_tells_python(self) -> None:
        """As the C API asks for: PyOS_BeforeFork(), PyOS_AfterFork_Parent(), PyOS_AfterFork_Child()."""
        for way in ("fork", "_Fork"):
            del self.trace[:]
            ctypes.pythonapi.PyOS_BeforeFork()
            pid = Scenario.fork(way)
            if pid == 0:
                with self.finish():
                    ctypes.pythonapi.PyOS_AfterFork_Child()
                    self.assertEqual(["prepare", "child"], self.trace)
            ctypes.pythonapi.PyOS_AfterFork_Parent()
            self.passed(pid)
            self.assertEqual(["prepare", "parent"], self.trace)

    def test_c_code_that_comes_back_with_another_context(self) -> None:
        """As with a thread state that it makes for each of the calls."""
        seen: List[bool] = []
        hook = atfork.register(prepare=lambda: None, parent=lambda: seen.append(atfork.prepared()))
        contextvars.Context().run(ctypes.pythonapi.PyOS_BeforeFork)
        pid = Scenario.fork("fork")
        if pid == 0:
            with self.finish():
                contextvars.Context().run(ctypes.pythonapi.PyOS_AfterFork_Child)
                self.assertEqual(["prepare", "child"], self.trace)
        contextvars.Context().run(ctypes.pythonapi.PyOS_AfterFork_Parent)
        self.passed(pid)
        self.assertEqual((["prepare", "parent"], [True]), (self.trace, seen))
        self.assertTrue(hook.unregister())
        self.in_child(lambda: None, "fork")
        self.assertEqual(["prepare", "parent"], self.trace)

    @unittest.skipUnless(CHILD_ONLY_WORKS and TELLS_WHEN, "before 3.11 nobody knows when, since 3.13 it ends")
    def test_c_code_that_tells_python_in_the_child_only_finds_pythons_own_right(self) -> None:
        """PyOS_AfterFork_Child() runs code before our turn in it, in which no pending call runs the hooks."""
        for way in ("fork", "_Fork"):
            run = run_python(CHILD_ONLY_HOOK, way, Scenario.path)
            self.assertEqual(("['MainThread'] True True\n", ""), (run.stdout, run.stderr), way)

    @unittest.skipUnless(CHILD_ONLY_WORKS, "since 3.13 Python itself ends such a child")
    def test_c_code_that_tells_python_in_the_child_only(self) -> None:
        for way in ("fork", "_Fork"):
            del self.trace[:]
            # No bytecode between the two.
            pid = Scenario.fork(way)
            if pid == 0:
                with self.finish():
                    ctypes.pythonapi.PyOS_AfterFork_Child()
                    self.assertEqual(["child"], self.trace)
            self.passed(pid)

    def test_c_code_that_tells_python_in_the_child_only_without_atfork(self) -> None:
        """The reason to skip the case above: since 3.13 PyOS_AfterFork_Child() unlocks what PyOS_BeforeFork() locks."""
        for way in ("fork", "_Fork"):
            run = run_python(CHILD_ONLY, way, Scenario.path)
            fatal = "Fatal Python error: PyMutex_Unlock: unlocking mutex that is not locked"
            if CHILD_ONLY_WORKS:
                self.assertEqual(("False 0\n", ""), (run.stdout, run.stderr))
            else:
                self.assertEqual((f"False {-signal.SIGABRT}\n", fatal), (run.stdout, run.stderr.partition("\n")[0]))

    def test_c_code_without_the_gil(self) -> None:
        pid = Scenario.fork("fork", gil=False)
        if pid == 0:
            with self.finish():
                self.assertEqual(["child"], self.trace)
        self.passed(pid)

    def test_c_code_in_another_thread(self) -> None:
        """Pending calls are for the main thread, which is gone in the child."""
        statuses: List[int] = []

        def fork() -> None:
            pid = Scenario.fork("fork")
            if pid == 0:
                with self.finish():
                    self.assertEqual([], self.trace)
                    self.assertEqual(1, atfork.poll())
                    self.assertEqual(["child"], self.trace)
            statuses.append(Scenario.wait(pid))

        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        self.assertEqual([42], statuses)

    @scenario("parent-not-childs")
    def test_what_waits_for_the_parent_s_main_thread_is_not_the_child_s(self) -> None:
        parents: List[int] = []
        statuses: List[int] = []
        go = threading.Event()
        reader, writer = os.pipe()
        atfork.register(parent=lambda: parents.append(1))

        def fork() -> None:
            go.wait()
            pid = Scenario.fork("fork")
            if pid == 0:
                Scenario.exit(42)
            statuses.append(Scenario.wait(pid))
            pid = Scenario.fork("_Fork")
            if pid == 0:
                with self.finish():
                    atfork.poll()
                    atfork.poll()
                    self.assertEqual([], parents)
            statuses.append(Scenario.wait(pid))
            os.write(writer, b"!")

        thread = threading.Thread(target=fork)
        thread.start()
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1000)  # this thread goes on until it waits for the pipe
        go.set()
        os.read(reader, 1)
        sys.setswitchinterval(interval)
        thread.join()
        self.assertEqual(([42, 42], [1]), (statuses, parents))

    def test_many_forks_of_c_in_turn(self) -> None:
        parents: List[int] = []
        atfork.register(parent=lambda: parents.append(1))
        for _ in range(100):
            self.in_child(lambda: self.assertEqual(["child"], self.trace), "fork")
        self.assertEqual(100, len(parents))


    def test_what_the_parent_left_to_a_pending_call_comes_no_earlier(self) -> None:
        """The child of os.fork() finds that call in its queue, and code runs there before our turn."""
        run = run_python(LEFT_PENDING, Scenario.path)
        self.assertEqual(("['MainThread'] True\n", ""), (run.stdout, run.stderr))


def generation_of(_: int) -> int:
    return atfork.generation()


class Unregister(ForkTest):
    """Promise 5: when it returns, no callback is running or will run."""

    @scenario("unregister-waits")
    def test_waits_for_the_fork_of_another_thread(self) -> None:
        inside, go, trace = threading.Event(), threading.Event(), []

        def prepare() -> None:
            inside.set()
            go.wait()

        def fork() -> None:
            pid = os.fork()
            if pid == 0:
                with self.finish():
                    pass
            self.passed(pid)

        def unregister() -> None:
            started.set()
            hook.unregister()
            trace.append("unregistered")

        started = threading.Event()
        hook = atfork.register(parent=lambda: trace.append("parent"))
        atfork.register(prepare=prepare)
        threads = [threading.Thread(target=fork), threading.Thread(target=unregister)]
        threads[0].start()
        inside.wait()
        threads[1].start()
        started.wait()
        go.set()
        for thread in threads:
            thread.join()
        self.assertEqual(["parent", "unregistered"], trace)

    @scenario("unregister-waits-for-its-own")
    def test_waits_for_no_fork_that_began_before_the_hook(self) -> None:
        """So a callback may wait for a thread that unregisters one."""
        trace: List[str] = []

        def come_and_go() -> None:
            with atfork.register(name="short", parent=lambda: trace.append("short")):
                trace.append("come")
            trace.append("gone")

        def prepare() -> None:
            thread = threading.Thread(target=come_and_go)
            thread.start()
            thread.join()

        atfork.register(prepare=prepare)
        self.in_child(lambda: self.assertEqual(["come", "gone"], trace))
        self.assertEqual(["come", "gone"], trace)

    @scenario("unregister-in-child")
    def test_a_child_waits_for_nobody(self) -> None:
        """A thread that was inside a fork is gone in the child that another thread makes."""
        inside, go = threading.Event(), threading.Event()

        def prepare() -> None:
            if threading.current_thread() is not threading.main_thread():
                inside.set()
                go.wait()

        def fork() -> None:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)

        hook = atfork.register(parent=lambda: None)
        atfork.register(prepare=prepare)
        thread = threading.Thread(target=fork)
        thread.start()
        inside.wait()
        self.in_child(lambda: self.assertTrue(hook.unregister()))
        self.in_child(lambda: self.assertTrue(hook.unregister()), "fork")
        go.set()
        thread.join()


class PythonsOwn(ForkTest):
    """threading, logging and random are right in callbacks, whenever they were imported."""

    @scenario("lost-threads")
    def test_threading(self) -> None:
        seen: List[Any] = []

        def start() -> None:
            thread = threading.Thread(target=lambda: seen.append(threading.active_count()))
            thread.start()
            thread.join()
            seen.append(threading.current_thread() is threading.main_thread())

        def fork() -> None:
            pid = os.fork()
            if pid == 0:
                with self.finish():
                    self.assertEqual([2, True], seen)
            self.passed(pid)

        atfork.register_after_fork(start)
        fork()
        # From a thread, which is the child's main one.
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()

    def test_logging(self) -> None:
        """test_logging.HandlerTest.test_post_fork_child_no_deadlock: another thread holds a handler's lock."""
        lines: List[str] = []

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                lines.append(record.getMessage())

        log = logging.getLogger("in_step")
        log.propagate = False
        handler = Handler()
        log.addHandler(handler)
        held, go = threading.Event(), threading.Event()

        def hold() -> None:
            assert handler.lock is not None
            with handler.lock:
                held.set()
                go.wait()

        atfork.register_after_fork(lambda: log.warning("in the child"))
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        self.in_child(lambda: self.assertEqual(["in the child"], lines))
        go.set()
        thread.join()
        log.removeHandler(handler)

    def test_random(self) -> None:
        """random reseeds itself in each child, and must not do so after a hook has."""
        drawn: List[float] = []
        atfork.register_after_fork(lambda: random.seed(7))
        self.in_child(lambda: self.assertEqual(random.Random(7).random(), random.random()))
        self.assertEqual([], drawn)

    def test_logging_imported_later(self) -> None:
        run = run_python(LOGGING)
        self.assertEqual(("0\n", ""), (run.stdout, run.stderr))

    def test_random_imported_later(self) -> None:
        code = "import atfork, os\n@atfork.register_after_fork\ndef seed():\n import random; random.seed(7)\n"
        code += "import random, logging\nif os.fork() == 0:\n print(random.random() == random.Random(7).random())\n"
        code += "else:\n os.wait()\n"
        run = run_python(code)
        self.assertEqual(("True\n", ""), (run.stdout, run.stderr))


if __name__ == "__main__":
    run_tests()
