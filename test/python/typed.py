# SPDX-License-Identifier: MIT
"""The package's types: mypy --strict has nothing to say about it, nor about good uses, and finds bad ones."""
from __future__ import annotations

import importlib.util
import inspect
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import atfork
from tap import run_tests, scenario

PACKAGE = os.environ["PACKAGE_SOURCE"]
CACHE = tempfile.TemporaryDirectory()

GOOD = """
import ctypes
import pathlib
import subprocess
import threading
from typing import List, Optional
import atfork

@atfork.register_after_fork
def reseed(base: int = 42) -> int:
    return atfork.seed(base)

number: int = reseed() + reseed(43) + reseed.__wrapped__()
shown: str = reseed.__name__ + reseed.__qualname__ + reseed.__module__
gone: bool = reseed.unregister()
log: List[str] = []
with atfork.register(name="log", priority=5, prepare=log.clear, child=lambda: log.append(atfork.lineage())) as hook:
    identity: int = hook.id
    name: str = hook.name
atfork.register(child=atfork.symbol(None, "abort"), parent=ctypes.CDLL(None).abort)
library: Optional[str] = atfork.symbol(pathlib.Path("/usr/lib/libfoo.so.1"), "foo_after_fork").library

@atfork.per_process
def connection() -> "subprocess.Popen[str]":
    return subprocess.Popen(["true"], env=atfork.environment(), text=True)

text: "subprocess.Popen[str]" = connection()
other: "subprocess.Popen[str]" = connection.__wrapped__()
called: str = connection.__name__ + connection.__qualname__ + connection.__module__
names: List[str] = [info.name for info in atfork.hooks() if info.child]
atfork.spawned(atfork.token())
ran: int = atfork.poll() + atfork.generation()

def report(error: BaseException, hook: Optional[atfork.Hook], phase: str) -> None: ...
atfork.on_error = report
atfork.register(key=("config", 1), owner=hook, child=log.clear).unregister()
held: atfork.Hook = atfork.register_lock(threading.RLock(), priority=3)
wide: int = atfork.seed(42, bits=128)
paired: bool = atfork.prepared()
atfork.register_after_fork(atfork.symbol("libuv.so.1", "uv_loop_fork", data=ctypes.byref(ctypes.c_int())))
with_discard: atfork.PerProcess[List[str]] = atfork.per_process(lambda: ["x"], discard=lambda value: value.clear())
"""

BAD = """
import atfork
def takes_one(x: int) -> None: ...
atfork.register_after_fork(takes_one)  # bad
atfork.register_after_fork(3)  # bad
atfork.register(takes_one)  # bad
atfork.register(child="x")  # bad
atfork.register(child=print, priority="high")  # bad
atfork.register(child=print, nmae="x")  # bad
atfork.seed("x")  # bad
text: str = atfork.generation()  # bad
@atfork.per_process
def number() -> int: return 3
word: str = number()  # bad
class Holder:
    @atfork.per_process  # bad
    def number(self) -> int: return 3
atfork.hooks()[0].nmae  # bad
atfork.spawned(3)  # bad
atfork.symbol(b"libfoo.so.1", "foo_after_fork")  # bad
atfork.register(child=print).name = "x"  # bad
atfork.on_error = 3  # bad
atfork.register(child=print, key=[])  # bad
atfork.seed(1, bits="x")  # bad
atfork.per_process(number.__wrapped__, discard=takes_one).upper()  # bad
"""


def mypy(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", CACHE.name, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": PACKAGE},
    )


@unittest.skipUnless(importlib.util.find_spec("mypy"), "there is no mypy")
class Types(unittest.TestCase):
    def check(self, text: str) -> "subprocess.CompletedProcess[str]":
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(text)
            file.flush()
            return mypy(file.name)

    def test_the_package(self) -> None:
        run = mypy("-p", "atfork")
        self.assertEqual(0, run.returncode, run.stdout + run.stderr)

    def test_the_package_for_the_oldest_python(self) -> None:
        run = mypy("-p", "atfork", "--python-version", "3.9")
        oldest = re.search(r"Python 3\.9 is not supported \(must be (3\.\d+) or higher\)", run.stderr)
        if oldest:
            run = mypy("-p", "atfork", "--python-version", oldest[1])
        self.assertEqual(0, run.returncode, run.stdout + run.stderr)

    def test_good_uses(self) -> None:
        run = self.check(GOOD)
        self.assertEqual(0, run.returncode, run.stdout)

    def test_bad_uses(self) -> None:
        run = self.check(BAD)
        found = {int(line) for line in re.findall(r"\.py:(\d+): error", run.stdout)}
        expected = {number for number, line in enumerate(BAD.splitlines(), 1) if line.endswith("# bad")}
        self.assertEqual(expected, found, run.stdout)

    @scenario("declared")
    def test_the_stub_is_what_the_extension_has(self) -> None:
        environment = {**os.environ, "MYPYPATH": PACKAGE}
        stubtest = [sys.executable, "-m", "mypy.stubtest"]
        # Newer ones want a mark at classes of C code (PEP 800), which older ones do not know.
        unmarked = "--ignore-disjoint-bases"
        helped = subprocess.run([*stubtest, "--help"], capture_output=True, text=True, check=True)
        if unmarked in helped.stdout:
            stubtest.append(unmarked)
        run = subprocess.run([*stubtest, "atfork._native"], capture_output=True, text=True, env=environment)
        self.assertEqual(0, run.returncode, run.stdout + run.stderr)


class Documented(unittest.TestCase):
    def test_each_name_has_a_docstring(self) -> None:
        without = [name for name in atfork.__all__ if name != "on_error" and not getattr(atfork, name).__doc__]
        self.assertEqual([], without)

    def test_the_guide_has_each_signature(self) -> None:
        guide = (pathlib.Path(PACKAGE) / "../../doc/python.md").read_text()
        rows = dict(re.findall(r"^\| \[`atfork\.(\w+)(\(.*?\))`\]", guide, re.MULTILINE))
        self.assertGreater(len(rows), 10)
        rows.update(re.findall(r"^atfork\.(\w+)(\(\*, .*\))$", guide, re.MULTILINE))  # too long for the table
        for name, shown in rows.items():
            signature = inspect.signature(getattr(atfork, name))
            bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
            expected = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
            self.assertEqual(expected, shown.replace('"', "'"), name)

    def test_is_marked_as_typed(self) -> None:
        self.assertTrue(pathlib.Path(atfork.__file__).with_name("py.typed").exists())


if __name__ == "__main__":
    run_tests(CACHE.cleanup)
