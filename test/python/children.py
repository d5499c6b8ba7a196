# SPDX-License-Identifier: MIT
"""How children of a program with hooks end, and what they can do: what CPython's own tests check of fork()."""
from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import threading
import unittest
import weakref
from typing import Any, List

import atfork
from tap import ForkTest, run_python, run_tests, scenario

HOOKS = """
import atexit, os, signal, sys, threading
import atfork
trace = []
for phase in ("prepare", "parent", "child"): atfork.register(**{phase: lambda phase=phase: trace.append(phase)})
"""

ENDINGS = HOOKS + """
def fall_through(): pass
def leave(): sys.exit(3)
def leave_at_once(): os._exit(4)
def fail(): raise ValueError("in the child")
def be_killed(): os.kill(os.getpid(), signal.SIGKILL)
def leave_in_a_thread():
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
for end in (fall_through, leave, leave_at_once, fail, be_killed, leave_in_a_thread):
    pid = os.fork()
    if pid == 0:
        sys.stderr = open(os.devnull, "w")
        atexit.register(lambda: os.write(1, f"{end.__name__} {trace}\\n".encode()))
        trace.clear()
        end()
        sys.exit(0)
    print(end.__name__, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), trace, flush=True)
    trace.clear()
"""

FORK_IN_A_THREAD = HOOKS + """
main = threading.main_thread()
def fork():
    pid = os.fork()
    if pid == 0:
        joiner = threading.Thread(target=main.join)
        joiner.start()
        joiner.join()
        print(main.is_alive(), threading.main_thread() is threading.current_thread(), trace, flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    trace.clear()
thread = threading.Thread(target=fork)
thread.start()
thread.join()
"""

FORK_IN_AN_IMPORT = HOOKS + """
import _imp
def import_there():
    import wave
    trace.append(wave.__name__)
atfork.register_after_fork(import_there)
sys.path.insert(0, sys.argv[1])
import outer
if outer.pid != 0: os.waitpid(outer.pid, 0)
print(sorted(name for name in vars(outer) if not name.startswith("_")), _imp.lock_held(), trace, flush=True)
if outer.pid == 0: os._exit(0)
"""


class Children(ForkTest):
    @scenario("exit-status")
    def test_end_as_the_program_says(self) -> None:
        run = run_python(ENDINGS)
        phases = "['prepare', 'parent']"
        self.assertEqual(
            [
                "fall_through []",
                f"fall_through 0 {phases}",
                "leave []",
                f"leave 3 {phases}",
                f"leave_at_once 4 {phases}",
                "fail []",
                f"fail 1 {phases}",
                f"be_killed -9 {phases}",
                "leave_in_a_thread []",
                f"leave_in_a_thread 0 {phases}",
            ],
            run.stdout.splitlines(),
            run.stderr,
        )

    def test_join_the_first_thread(self) -> None:
        """It is gone, and the thread that forked is the first one."""
        run = run_python(FORK_IN_A_THREAD)
        self.assertEqual(("False True ['prepare', 'child']\n", ""), (run.stdout, run.stderr))

    def test_go_on_with_an_import(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            for name, text in (("outer", "import os\npid = os.fork()\nimport inner\n"), ("inner", "value = 1\n")):
                with open(os.path.join(directory, name + ".py"), "w") as file:
                    file.write(text)
            run = run_python(FORK_IN_AN_IMPORT, directory)
        names = "['inner', 'os', 'pid']"
        lines = [f"{names} False ['prepare', 'child', 'wave']", f"{names} False ['prepare', 'parent']"]
        self.assertEqual((lines, ""), (run.stdout.splitlines(), run.stderr))

    def test_import_beside_a_thread(self) -> None:
        """A fork waits for the import that another thread is in, when all prepare callbacks have run."""
        import _imp

        held, prepared = threading.Event(), threading.Event()
        seen: List[Any] = []

        def hold() -> None:
            _imp.acquire_lock()
            held.set()
            prepared.wait()
            _imp.release_lock()

        def import_there() -> None:
            sys.modules.pop("colorsys", None)
            import colorsys

            seen.append((colorsys.__name__, _imp.lock_held()))

        atfork.register(prepare=prepared.set, child=import_there)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        self.in_child(lambda: self.assertEqual([("colorsys", False)], seen))
        thread.join()

    # The parent is a process of its own, as a thread may take a signal when the last child has ended.
    @scenario("signals-meanwhile")
    def test_tell_their_parent_by_signals(self) -> None:
        self.in_child(self.make_children_that_signal)

    def make_children_that_signal(self) -> None:
        counts = {"prepare": 0, "parent": 0, "signal": 0}

        def count(what: str) -> Any:
            def counted(*_: object) -> None:
                counts[what] += 1

            return counted

        atfork.register(prepare=count("prepare"), parent=count("parent"))
        signal.signal(signal.SIGUSR1, count("signal"))
        parent = os.getpid()
        pids = []
        for _ in range(100):
            pid = os.fork()
            if pid == 0:
                with self.finish():
                    os.kill(parent, signal.SIGUSR1)
            pids.append(pid)
        for pid in pids:
            self.passed(pid)
        self.assertEqual((100, 100), (counts["prepare"], counts["parent"]))
        self.assertGreater(counts["signal"], 0)

    @scenario("cycle-let-go")
    def test_a_callback_that_refers_to_its_hook(self) -> None:
        class Client:
            def __init__(self) -> None:
                self.hook = atfork.register(child=lambda: self.hook.id)

        client = Client()
        weak = weakref.ref(client)
        hook = client.hook
        del client
        gc.collect()
        self.assertIsNotNone(weak())
        self.in_child(lambda: None)
        self.assertTrue(hook.unregister())
        del hook
        gc.collect()
        self.assertIsNone(weak())


if __name__ == "__main__":
    run_tests()
