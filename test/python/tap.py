# SPDX-License-Identifier: MIT
"""unittest's results in the Test Anything Protocol, and the helpers of its tests."""
from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import subprocess
import sys
import traceback
import unittest
from typing import Any, Callable, Iterator, List, TypeVar

import atfork

Case = TypeVar("Case", bound=Callable[..., object])

# A free-threaded Python says so, in each program.
GIL_TURNED_ON = "ignore:The global interpreter lock:RuntimeWarning"
os.environ.setdefault("PYTHONWARNINGS", GIL_TURNED_ON)

PASSED = 42
# Seconds until a wait is given up; script/test says how many times as long things take here as on an idle machine.
PATIENCE = 60 * int(os.environ.get("ATFORK_TEST_SLOWNESS", "1"))
# Python's own fork; and those of scenario.h, of which the first runs handlers, but tells Python nothing.
WAYS = ("python", "fork", "_Fork", "syscall", "clone")


def bypasses(way: str) -> bool:
    return way not in ("python", "fork")


class Scenario:
    """The functions of scenario.h.  Called with the GIL held, as a C extension would, or without."""

    path = os.environ["SCENARIO_LIBRARY"]
    held = ctypes.PyDLL(path)
    released = ctypes.CDLL(path)

    @classmethod
    def fork(cls, way: str, gil: bool = True) -> int:
        return int((cls.held if gil else cls.released).scenario_fork(way.encode()))

    @classmethod
    def wait(cls, pid: int) -> int:
        return int(cls.released.scenario_wait(pid))

    @classmethod
    def exit(cls, status: int) -> None:
        cls.held.scenario_exit(status)

    @classmethod
    def fork_in_thread(cls, way: str) -> int:
        return int(cls.released.scenario_fork_in_thread(way.encode()))


class TapResult(unittest.TestResult):
    """One line a case, in the order of their runs."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.well = True

    def say(self, verdict: str, test: unittest.TestCase, more: str = "") -> None:
        print(f"{verdict} {self.testsRun} - {name_of(test)}{more}", flush=True)

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.say("ok", test)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.say("ok", test, f" # SKIP {reason}")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.well = False
        self.say("not ok", test)
        text = "".join(traceback.format_exception(*err))
        print("# " + text.rstrip().replace("\n", "\n# "), flush=True)

    addError = addFailure

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.addFailure(subtest, err)


def scenario(*ids: str) -> Callable[[Case], Case]:
    """Which rows of test/scenarios.md the decorated case shows."""

    def mark(case: Case) -> Case:
        case.shows = ids  # type: ignore[attr-defined]
        return case

    return mark


def name_of(test: unittest.TestCase) -> str:
    return test.id().replace("__main__.", "", 1)


def list_cases(suite: unittest.TestSuite, names: bool) -> None:
    """Of all that would run: the names for test/peers, or the scenarios' ids for test/parity."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            list_cases(each, names)
        elif names:
            print(name_of(each))
        else:
            print(*getattr(getattr(each, each._testMethodName), "shows", ()), sep="\n")


def run_tests(clean_up: Callable[[], object] = lambda: None) -> None:
    """Ends the process: what unittest.main() does at the end would happen in each child too."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    if "ATFORK_TEST_LIST" in os.environ:
        list_cases(suite, names=os.environ["ATFORK_TEST_LIST"] == "names")
        sys.stdout.flush()
        clean_up()
        os._exit(0)
    result = TapResult()
    suite.run(result)
    print(f"1..{result.testsRun}", flush=True)
    clean_up()
    os._exit(0 if result.well and result.testsRun else 1)


class ForkTest(unittest.TestCase):
    """What the cases have in common."""

    def setUp(self) -> None:
        self.before = {info.id for info in atfork.hooks()}
        self.unraisable: List[Any] = []
        self.hook_before = sys.unraisablehook
        sys.unraisablehook = lambda args: self.unraisable.append((args.exc_type, str(args.exc_value), args.object))

    def tearDown(self) -> None:
        sys.unraisablehook = self.hook_before
        for hook in gc.get_referents(atfork._native.registry):
            if isinstance(hook, atfork.Hook) and hook.id not in self.before:
                hook.unregister()
        gc.collect()

    def passed(self, pid: int) -> None:
        self.assertEqual(PASSED, Scenario.wait(pid), f"exit status of child {pid}")

    @contextlib.contextmanager
    def finish(self) -> Iterator[None]:
        """In a child: the case's verdict is its exit status."""
        try:
            yield
            sys.stdout.flush()
            Scenario.exit(PASSED)
        except BaseException:
            print("in a child:", traceback.format_exc(), file=sys.stderr, flush=True)
        Scenario.exit(1)

    def in_child(self, body: Callable[[], object], way: str = "python") -> None:
        """Runs the body in a child made by `way`."""
        pid = os.fork() if way == "python" else Scenario.fork(way)
        if pid == 0:
            with self.finish():
                body()
        self.passed(pid)


def run_python(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A program of its own, in the interpreter that runs the tests."""
    # Since 3.12 Python warns of each fork of a process that has threads.
    unwarned = ["-W", "ignore:This process:DeprecationWarning", "-W", GIL_TURNED_ON]
    command = [sys.executable, *unwarned, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)
