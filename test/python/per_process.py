# SPDX-License-Identifier: MIT
"""A value belongs to the process that made it: no child closes or finalises it, nor does a child's end."""
from __future__ import annotations

import gc
import os
import tempfile
import unittest
import weakref
from typing import Any, List

import atfork
from tap import ForkTest, Scenario, run_python, run_tests, scenario

# Children of children, which ask for a value of their own or do not, and end as programs do.
END = """
import os, sys
import atfork
def children(depth):
    for asks in (False, True):
        pid = os.fork()
        if pid == 0:
            if asks: value()
            if depth > 1: children(depth - 1)
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
"""

DIRECTORY = """
import tempfile
class Holder:
    def __init__(self): self.inside = [tempfile.TemporaryDirectory()]
value = atfork.per_process({make})
path = {path}
children(2)
print(os.path.isdir(path), flush=True)
"""

FILE = """
import io
value = atfork.per_process(lambda: open(sys.argv[1] + atfork.lineage(), "w"))
value().write("once")
children(2)
value().close()
print(open(sys.argv[1] + "0").read(), flush=True)
"""

SQLITE = """
import sqlite3
value = atfork.per_process(lambda: sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None))
value().execute("PRAGMA cache_size = 5")
value().execute("CREATE TABLE t (x)")
value().execute("BEGIN IMMEDIATE")
for number in range(2000):
    value().execute("INSERT INTO t VALUES (?)", ("x" * 500,))
    if number % 1000 == 500: children(1)
value().execute("COMMIT")
rows = value().execute("SELECT count(*) FROM t").fetchone()
print(*rows, *value().execute("PRAGMA integrity_check").fetchone(), flush=True)
"""

FINALISERS = """
class Value:
    def __init__(self, client): self.client = client
    def __del__(self, write=os.write): write(1, b"finalised in " + self.client.made.encode() + b"\\n")
class Client:
    def __init__(self):
        self.made = atfork.lineage()
        self.value = atfork.per_process(self.connect)
    def connect(self): return Value(self)
client = Client()
value = client.value
value()
pid = os.fork()
if pid == 0:
    import gc
    if sys.argv[1] == "asks": value()
    if sys.argv[1] == "collects":
        del client, value
        gc.collect()
    sys.exit(0)
os.waitpid(pid, 0)
print("parent", flush=True)
"""


class TheEnd(ForkTest):
    """Of children that end as programs do."""

    def check(self, expected: str, code: str, *arguments: str) -> None:
        # A debug build warns of each value that is left to its end.
        run = run_python(END + code, *arguments, env={**os.environ, "PYTHONWARNINGS": "ignore::ResourceWarning"})
        self.assertEqual((expected, ""), (run.stdout, run.stderr))

    @scenario("value-untouched", "value-of-grandparent")
    def test_a_temporary_directory(self) -> None:
        rows = [("tempfile.TemporaryDirectory", "value().name"), ("Holder", "value().inside[0].name")]
        for make, path in rows:
            with self.subTest(make=make):
                self.check("True\n", DIRECTORY.format(make=make, path=path))

    def test_a_file(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            self.check("once\n", FILE, directory + "/file")

    @scenario("value-transaction")
    def test_a_transaction(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            self.check("2000 ok\n", SQLITE, directory + "/db")

    @scenario("value-untouched")
    def test_finalisers(self) -> None:
        """A cycle of the value, its owner and the function that makes it."""
        for argument in ("ends", "asks", "collects"):
            self.check("parent\nfinalised in 0\n", FINALISERS, argument)

    @scenario("value-of-its-own")
    def test_of_this_process_is_finalised_as_ever(self) -> None:
        gone: List[str] = []

        class Client:
            def __init__(self) -> None:
                self.value = atfork.per_process(self.connect)

            def connect(self) -> List[object]:
                return [self]

        client = Client()
        weakref.finalize(client, gone.append, "gone")
        client.value()
        del client
        gc.collect()
        self.assertEqual(["gone"], gone)

    @scenario("token-per-process")
    def test_before_a_spawned_process_takes_its_place_it_is_its_own(self) -> None:
        code = "import atfork, sys\nclass Value:\n def __del__(self): print('gone')\n"
        code += "value = atfork.per_process(Value)\nvalue()\natfork.spawned(sys.argv[1])\nvalue()\nprint('made again')\nvalue.reset()"
        run = run_python(code, atfork.token())
        self.assertEqual(("gone\nmade again\ngone\n", ""), (run.stdout, run.stderr))


class Value:
    """Notes its end."""

    def __init__(self, log: List[str]) -> None:
        self.log = log
        self.made = atfork.lineage()

    def __del__(self) -> None:
        self.log.append(f"end of {self.made}")


class Discard(ForkTest):
    def setUp(self) -> None:
        super().setUp()
        self.log: List[str] = []

    def tearDown(self) -> None:
        atfork.on_error = None
        super().tearDown()

    def make(self) -> Value:
        self.log.append("make")
        return Value(self.log)

    def discard(self, value: Value) -> None:
        self.log.append(f"discard {value.made}")

    @scenario("discard-once")
    def test_once_before_a_new_value_is_made(self) -> None:
        value = atfork.per_process(self.make, self.discard)

        def body() -> None:
            self.assertEqual(["make"], self.log)
            mine = value()
            self.assertIs(mine, value())
            self.assertEqual(["make", "discard 0", "end of 0", "make"], self.log)

        value()
        for way in ("python", "fork", "_Fork"):
            self.in_child(body, way)
        self.assertEqual(["make"], self.log)

    @scenario("discard-each-generation")
    def test_in_each_child_that_asks(self) -> None:
        value = atfork.per_process(self.make, discard=self.discard)

        def grandchild() -> None:
            value()
            self.assertEqual(["make", "discard 0", "end of 0", "make"], self.log)

        def body() -> None:
            self.in_child(grandchild)
            value()
            self.assertEqual(["make", "discard 0", "end of 0", "make"], self.log)
            own = f"discard {atfork.lineage()}"
            self.in_child(lambda: self.assertEqual(own, (value(), self.log)[1][4]))

        value()
        self.in_child(body)

    @scenario("discard-not-ones-own")
    def test_never_of_this_process_own(self) -> None:
        value = atfork.per_process(self.make, self.discard)
        value()
        value.reset()
        value()
        self.assertEqual(["make", "end of 0", "make"], self.log)

    @scenario("discard-after-reset")
    def test_reset_leaves_the_parent_s(self) -> None:
        value = atfork.per_process(self.make, self.discard)

        def body() -> None:
            value.reset()
            value.reset()
            self.assertEqual(["make"], self.log)
            value()
            self.assertEqual(["make", "discard 0", "end of 0", "make"], self.log)

        value()
        self.in_child(body)

    @scenario("discard-error")
    def test_an_error_is_reported_and_the_new_value_made(self) -> None:
        errors: List[Any] = []

        def fail(value: Value) -> None:
            raise KeyError("oops")

        value = atfork.per_process(self.make, fail)

        def reported() -> None:
            value()
            self.assertEqual(["make", "make"], self.log)  # the parent's stays
            self.assertEqual([(KeyError, "'oops'", fail)], self.unraisable)

        def handled() -> None:
            atfork.on_error = lambda error, hook, phase: errors.append((type(error), hook, phase))
            value()
            value()
            self.assertEqual([(KeyError, None, "discard")], errors)
            self.assertEqual([], self.unraisable)

        value()
        self.in_child(reported)
        self.in_child(handled)

    def test_what_is_none(self) -> None:
        with self.assertRaisesRegex(TypeError, "^discard must be callable or None, not int$"):
            atfork.per_process(list, 3)  # type: ignore[arg-type]


if __name__ == "__main__":
    run_tests()
