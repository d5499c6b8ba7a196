# SPDX-License-Identifier: MIT
"""The scenarios that the tests of every language have."""
from __future__ import annotations

import asyncio
import ctypes
import errno
import functools
import gc
import inspect
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import threading
import weakref
from typing import Any, Iterator, List

import atfork
from tap import WAYS, ForkTest, Scenario, bypasses, run_python, run_tests, scenario


class Once(ForkTest):
    """Promise 3: once."""

    def check_once(self, way: str) -> None:
        ran: List[int] = []
        atfork.register_after_fork(lambda: ran.append(1))

        def body() -> None:
            if bypasses(way):
                self.assertEqual(0, len(ran))
                self.assertEqual(1, atfork.poll())
            self.assertEqual(1, len(ran))
            self.assertEqual(0, atfork.poll())
            self.assertEqual(1, atfork.generation())

        for _ in range(3):
            self.in_child(body, way)
        self.assertEqual(0, len(ran))

    @scenario("three-generations")
    def test_three_deep_in_all_ways(self) -> None:
        ran: List[int] = []
        atfork.register_after_fork(lambda: ran.append(1))

        def descend(ways: Any, depth: int) -> None:
            if bypasses(ways[depth - 1]):
                atfork.poll()
            self.assertEqual((depth, depth), (len(ran), atfork.generation()), ways)
            if depth < 3:
                self.in_child(lambda: descend(ways, depth + 1), ways[depth])

        for ways in itertools.product(WAYS, WAYS, WAYS):
            self.in_child(lambda: descend(ways, 1), ways[0])

    @scenario("own-hook-not-for-own-fork")
    def test_a_new_process_own_hook_does_not_run_for_its_fork(self) -> None:
        def body() -> None:
            ran: List[int] = []
            atfork.register_after_fork(lambda: ran.append(1))
            self.assertEqual(0, atfork.poll())
            self.assertEqual([], ran)

        for way in WAYS:
            self.in_child(body, way)

    @scenario("missed-before-next-fork")
    def test_missed_ones_run_before_the_next_fork(self) -> None:
        ran: List[str] = []
        atfork.register_after_fork(lambda: ran.append(atfork.lineage()))

        def body() -> None:
            self.in_child(lambda: self.assertEqual(2, len(ran)))
            self.assertEqual([atfork.lineage()], ran)

        self.in_child(body, "_Fork")

    @scenario("fork-in-threads")
    def test_forks_in_threads(self) -> None:
        ran: List[int] = []
        atfork.register_after_fork(lambda: ran.append(1))

        def fork_five() -> None:
            for _ in range(5):
                pid = os.fork()
                if pid == 0:
                    with self.finish():
                        self.assertEqual([1], ran)
                pids.append(pid)

        pids: List[int] = []
        threads = [threading.Thread(target=fork_five) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(20, len(pids))
        for pid in pids:
            self.passed(pid)
        self.assertEqual([], ran)

    @scenario("fork-in-c-thread")
    def test_fork_in_a_thread_of_c(self) -> None:
        ran: List[int] = []
        atfork.register_after_fork(lambda: ran.append(1))
        for way in ("fork", "_Fork"):
            self.assertEqual(42, Scenario.fork_in_thread(way))
        self.assertEqual([], ran)
        self.in_child(lambda: self.assertEqual([1], ran))

    @scenario("fork-in-child-callback")
    def test_fork_in_a_child_callback(self) -> None:
        early: List[int] = []
        late: List[int] = []

        def fork_once() -> None:
            if atfork.generation() == 1:
                pid = os.fork()
                if pid != 0:
                    self.passed(pid)

        def body() -> None:
            self.assertEqual((atfork.generation(), 1), (len(early), len(late)))
            self.assertEqual([], self.unraisable)

        atfork.register_after_fork(lambda: early.append(1))
        atfork.register_after_fork(fork_once)
        atfork.register_after_fork(lambda: late.append(1))
        self.in_child(body)


for _way in WAYS:
    _case = scenario("once-by-each-way")(lambda self, way=_way: self.check_once(way))
    setattr(Once, f"test_child_runs_once_by_{_way}", _case)


class Order(ForkTest):
    """Promises 1 and 2: order and pairing."""

    def setUp(self) -> None:
        super().setUp()
        self.trace = {"prepare": "", "parent": "", "child": ""}

    def add(self, letter: str, priority: int = 0) -> None:
        def note(phase: str) -> None:
            self.trace[phase] += letter

        atfork.register(
            name=letter,
            priority=priority,
            prepare=lambda: note("prepare"),
            parent=lambda: note("parent"),
            child=lambda: note("child"),
        )

    @scenario("order")
    def test_by_priority_then_registration(self) -> None:
        for letter, priority in (("a", 5), ("b", 0), ("c", -32768), ("d", 5), ("e", 32767)):
            self.add(letter, priority)
        self.in_child(lambda: self.assertEqual({"prepare": "edabc", "parent": "", "child": "cbade"}, self.trace))
        self.assertEqual({"prepare": "edabc", "parent": "cbade", "child": ""}, self.trace)

    @scenario("unregister-in-prepare")
    def test_unregistered_in_prepare_gets_the_rest(self) -> None:
        trace: List[str] = []

        def prepare() -> None:
            trace.append("prepare")
            self.assertTrue(hook.unregister())
            self.assertFalse(hook.unregister())

        hook = atfork.register(
            prepare=prepare, parent=lambda: trace.append("parent"), child=lambda: trace.append("child")
        )
        self.in_child(lambda: self.assertEqual(["prepare", "child"], trace))
        self.assertEqual(["prepare", "parent"], trace)
        self.in_child(lambda: self.assertEqual(["prepare", "parent"], trace))
        self.assertEqual([], self.unraisable)

    @scenario("register-in-callback")
    def test_registered_in_a_callback_joins_the_next_fork(self) -> None:
        ran: List[int] = []
        late: List[object] = []

        def prepare() -> None:
            if not late:
                late.append(atfork.register_after_fork(lambda: ran.append(1)))

        atfork.register(prepare=prepare)
        self.in_child(lambda: self.assertEqual([], ran))
        self.in_child(lambda: self.assertEqual([1], ran))

    @scenario("fork-in-prepare")
    def test_fork_in_prepare(self) -> None:
        inner: List[int] = []

        def prepare() -> None:
            if inner:
                return
            inner.append(1)
            self.in_child(lambda: self.assertEqual("a", self.trace["child"]))
            self.assertEqual("a", self.trace["parent"])

        self.add("a")
        atfork.register(prepare=prepare)
        self.in_child(lambda: self.assertEqual("a", self.trace["child"]))
        self.assertEqual(("aa", []), (self.trace["parent"], self.unraisable))

    @scenario("fork-in-each-phase")
    def test_fork_in_each_phase(self) -> None:
        self.add("a", -1)
        for phase in ("prepare", "parent", "child"):
            self.trace = dict.fromkeys(self.trace, "")
            forked: List[int] = []

            def fork_once() -> None:
                if not forked:
                    forked.append(1)
                    before = self.trace["child"]
                    self.in_child(lambda: self.assertEqual(before + "a", self.trace["child"]))

            hook = atfork.register(**{phase: fork_once})  # type: ignore[arg-type]
            self.in_child(lambda: self.assertEqual(("a", []), (self.trace["child"], self.unraisable)))
            self.assertEqual("a" if phase == "child" else "aa", self.trace["parent"])
            hook.unregister()
        self.assertEqual([], self.unraisable)

    @scenario("change-in-each-phase")
    def test_change_in_each_phase(self) -> None:
        ran: List[str] = []

        def change() -> None:
            atfork.register_after_fork(lambda: ran.append("never")).unregister()
            atfork.register_after_fork(lambda: ran.append("later"))

        def body() -> None:
            self.assertEqual([], ran)
            hook.unregister()
            self.in_child(lambda: self.assertEqual(["later"] * 2, ran))

        hook = atfork.register(prepare=change, parent=change, child=change)
        self.in_child(body)
        hook.unregister()
        self.in_child(lambda: self.assertEqual(["later"] * 2, ran))

    @scenario("unregister-all-in-child")
    def test_unregister_all_in_child(self) -> None:
        ran: List[int] = []
        hooks: List[Any] = []

        def end() -> None:
            for hook in hooks:
                hook.unregister()
            ran.append(1)

        def body() -> None:
            self.assertEqual(([1] * 3, []), (ran, atfork.hooks()))
            self.in_child(lambda: self.assertEqual([1] * 3, ran))

        hooks += [atfork.register_after_fork(end) for _ in range(3)]
        self.in_child(body)
        self.assertEqual([True] * 3, [hook.unregister() for hook in hooks])

    def test_c_fork_in_prepare(self) -> None:
        inner: List[int] = []

        def prepare() -> None:
            if not inner:
                inner.append(1)
                self.in_child(lambda: self.assertEqual("a", self.trace["child"]), "fork")

        self.add("a")
        atfork.register(prepare=prepare)
        self.in_child(lambda: self.assertEqual("a", self.trace["child"]))
        self.assertEqual([], self.unraisable)

    def test_c_fork_after_the_fork(self) -> None:
        """In callbacks of both sides: the fork that they belong to is over, so that is another."""

        def fork_once() -> None:
            if atfork.generation() < 2 and not forked:
                forked.append(1)
                pid = Scenario.fork("fork")
                if pid == 0:
                    with self.finish():
                        seen.append(self.trace["child"])
                        self.assertEqual(["a" * atfork.generation()], seen)
                self.passed(pid)

        forked: List[int] = []
        seen: List[str] = []
        self.add("a")
        atfork.register(parent=fork_once)
        atfork.register_after_fork(fork_once)
        self.in_child(lambda: self.assertEqual(([1], []), (forked, self.unraisable)))
        self.assertEqual(([1], []), (forked, self.unraisable))

    @scenario("hooks-in-order")
    def test_hooks_are_in_run_order(self) -> None:
        self.add("a", 2)
        self.add("b", 1)
        infos = atfork.hooks()
        self.assertEqual(["b", "a"], [info.name for info in infos])
        self.assertEqual([1, 2], [info.priority for info in infos])
        self.assertEqual((0, True, True, True), infos[0][3:])


class Hooks(ForkTest):
    """Hooks as objects, and memory."""

    @scenario("hook-fields")
    def test_fields(self) -> None:
        hook = atfork.register(name="fields", priority=-7, parent=lambda: None)
        self.assertEqual(("fields", -7, atfork.hooks()[0].id), (hook.name, hook.priority, hook.id))
        self.assertRegex(repr(hook), "fields.*-7")

    @scenario("hook-read-only")
    def test_fields_are_read_only(self) -> None:
        """Another id would be another hook's, to be unregistered in its place."""
        for hook in (atfork.register(name="fields", child=print), atfork.register_after_fork(print)):
            before = (hook.id, hook.name, hook.priority)
            for field in ("id", "name", "priority"):
                with self.assertRaises(AttributeError):
                    setattr(hook, field, getattr(hook, field))
                with self.assertRaises(AttributeError):
                    delattr(hook, field)
            self.assertEqual(before, (hook.id, hook.name, hook.priority))

    @scenario("unregister-ends")
    def test_unregister(self) -> None:
        ran: List[int] = []
        hook = atfork.register_after_fork(lambda: ran.append(1))
        self.assertTrue(hook.unregister())
        self.assertFalse(hook.unregister())
        self.in_child(lambda: self.assertEqual([], ran))

    @scenario("hook-with-scope")
    def test_context_manager(self) -> None:
        ran: List[int] = []
        with self.assertRaises(ZeroDivisionError):
            with atfork.register(name="block", child=lambda: ran.append(1)) as hook:
                self.assertEqual("block", hook.name)
                self.in_child(lambda: self.assertEqual([1], ran))
                raise ZeroDivisionError
        self.assertFalse(hook.unregister())
        self.in_child(lambda: self.assertEqual([], ran))

    def test_decorator(self) -> None:
        ran: List[int] = []

        @atfork.register_after_fork
        def reseed(base: int = 7) -> int:
            """Reseeds."""
            ran.append(base)
            return base

        self.assertEqual((7, 8, 9), (reseed(), reseed(8), reseed(base=9)))
        self.in_child(lambda: self.assertEqual([7, 8, 9, 7], ran))
        self.assertTrue(reseed.unregister())
        self.assertEqual(7, reseed())
        self.in_child(lambda: self.assertEqual([7, 8, 9, 7], ran))
        with self.assertRaises(TypeError):
            reseed(1, 2)

    def test_a_decorated_function_shows_as_itself(self) -> None:
        def reseed(base: int = 7) -> int:
            """Reseeds."""
            return base

        hook = atfork.register_after_fork(reseed)
        for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
            self.assertEqual(getattr(reseed, attribute), getattr(hook, attribute), attribute)
        # Since 3.14 they are made when asked for, and only functions and classes have them as an attribute.
        annotations_of = getattr(inspect, "get_annotations", lambda function: function.__annotations__)
        self.assertEqual(annotations_of(reseed), annotations_of(hook))
        self.assertIs(reseed, hook.__wrapped__)
        self.assertEqual(inspect.signature(reseed), inspect.signature(hook))

    def test_decorated_callables_without_a_name(self) -> None:
        hook = atfork.register_after_fork(functools.partial(int, "3"))
        self.assertEqual(3, hook())
        self.assertFalse(hasattr(hook, "__name__"))
        with self.assertRaisesRegex(TypeError, "^this is a C function, which Python cannot call$"):
            atfork.register_after_fork(atfork.symbol(None, "abort"))()

    def test_attributes_of_the_function_hide_none_of_the_hook(self) -> None:
        def reseed() -> None:
            pass

        reseed.unregister = reseed.id = None  # type: ignore[attr-defined]
        hook = atfork.register_after_fork(reseed)
        self.assertGreater(hook.id, 0)
        self.assertTrue(hook.unregister())

    @scenario("callables-let-go")
    def test_callables_are_kept_and_let_go(self) -> None:
        def make() -> Any:
            class Callable:
                def __call__(self) -> None:
                    pass

            return Callable()

        rows: List[Any] = [
            (lambda function: atfork.register(child=function), False),
            (atfork.register_after_fork, True),  # by the hook itself, which can be called as the function
        ]
        for register, kept_by_hook in rows:
            callable_ = make()
            weak = weakref.ref(callable_)
            hook = register(callable_)
            del callable_
            gc.collect()
            self.assertIsNotNone(weak())
            self.in_child(lambda: None)
            self.assertTrue(hook.unregister())
            self.assertEqual(kept_by_hook, weak() is not None)
            del hook
            self.assertIsNone(weak())

    @scenario("hook-outlives-object")
    def test_a_hook_stays_without_its_object(self) -> None:
        ran: List[int] = []
        atfork.register_after_fork(lambda: ran.append(1))
        gc.collect()
        self.in_child(lambda: self.assertEqual([1], ran))


class Process(ForkTest):
    """Who this process is."""

    @scenario("place-and-seed")
    def test_generation_lineage_seed(self) -> None:
        self.assertEqual((0, "0"), (atfork.generation(), atfork.lineage()))
        mine = atfork.seed(1)
        self.assertEqual(mine, atfork.seed(1))
        self.assertNotEqual(mine, atfork.seed(2))
        self.assertEqual(atfork.seed(2**64 - 1), atfork.seed(-1))

        def body() -> None:
            self.assertRegex(atfork.lineage(), r"\A0\.\d+\Z")
            self.assertNotEqual(mine, atfork.seed(1))
            self.assertIn(atfork.seed(1), range(2**64))

        self.in_child(body)

    @scenario("seed-bases")
    def test_seeds_of_64_bits(self) -> None:
        bases = [0, 1, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]
        self.assertEqual(len(bases), len({atfork.seed(base) for base in bases}))
        for base in (-1, -2, -(2**63)):
            self.assertEqual(atfork.seed(base), atfork.seed(base + 2**64))
        with self.assertRaisesRegex(ValueError, "^base must be from -9223372036854775808 to 18446744073709551615$"):
            atfork.seed(2**64)

    @scenario("seed-vector")
    def test_seeds_are_those_of_other_languages(self) -> None:
        self.assertEqual("0", atfork.lineage())
        self.assertEqual(0xAAA155968A8F3305, atfork.seed(42))
        expected = "1ae109f3259e4c9d3ea74a9e64212d238f85245bc7289f05c56ebc865f02786b"
        self.assertEqual(expected, atfork.seed_bytes(42, 32).hex())

    @scenario("seed-bits")
    def test_seeds_of_any_width(self) -> None:
        wide = atfork.seed(7, bits=64)
        self.assertEqual(wide, atfork.seed(7))
        for bits in (1, 31, 63):
            self.assertEqual(wide & ((1 << bits) - 1), atfork.seed(7, bits), bits)
        wide = atfork.seed(7, bits=256)
        for bits in (72, 128, 200):
            self.assertEqual(wide & ((1 << bits) - 1), atfork.seed(7, bits), bits)
        words = {wide >> shift & 0xFFFF_FFFF for shift in range(0, 256, 32)}
        self.assertEqual(8, len(words))

        def body() -> None:
            others = {atfork.seed(7, 256) >> shift & 0xFFFF_FFFF for shift in range(0, 256, 32)}
            self.assertEqual(16, len(words | others))

        self.in_child(body)
        for bits in (0, -1, 65537):
            with self.assertRaisesRegex(ValueError, "^bits must be from 1 to 65536$"):
                atfork.seed(7, bits)
        with self.assertRaisesRegex(ValueError, "^bits must be a multiple of 8 beyond 64$"):
            atfork.seed(1, 65)

    def test_seeds_of_what_is_an_index(self) -> None:
        class Seven:
            def __index__(self) -> int:
                return 7

        self.assertEqual(atfork.seed(7), atfork.seed(Seven()))
        self.assertEqual(atfork.seed(1), atfork.seed(True))
        with self.assertRaisesRegex(TypeError, "^base must be int, not float$"):
            atfork.seed(1.0)  # type: ignore[arg-type]

    @scenario("version")
    def test_version(self) -> None:
        self.assertRegex(atfork.version(), r"\A\d+\.\d+\.\d+\Z")


MUTE = """
import atfork, os
class Mute(Exception):
    def __str__(self): raise ValueError("no words")
def breaks(): raise Mute
atfork.register_after_fork(breaks)
atfork.register_after_fork(lambda: print("the other hook", flush=True))
pid = os.fork()
if pid == 0: os._exit(0)
os.waitpid(pid, 0)
"""


class Errors(ForkTest):
    """Errors in callbacks."""

    @scenario("errors-isolated")
    def test_are_isolated_and_reported(self) -> None:
        ran: List[int] = []

        def breaks() -> None:
            raise ValueError("a broken callback")

        atfork.register_after_fork(breaks)
        atfork.register_after_fork(lambda: ran.append(1))

        def body() -> None:
            self.assertEqual([1], ran)
            self.assertEqual([(ValueError, "a broken callback", breaks)], self.unraisable)

        self.in_child(body)
        self.assertEqual([], self.unraisable)

    @scenario("errors-in-each-phase")
    def test_in_each_phase(self) -> None:
        def fail() -> None:
            raise KeyError("oops")

        atfork.register(prepare=fail, parent=fail, child=fail)
        self.in_child(lambda: self.assertEqual(2, len(self.unraisable)))
        self.assertEqual([KeyError, KeyError], [kind for kind, _, _ in self.unraisable])

    @scenario("exit-in-callback")
    def test_exits_too(self) -> None:
        ran: List[int] = []
        atfork.register_after_fork(lambda: sys.exit(7))
        atfork.register_after_fork(lambda: ran.append(1))

        def body() -> None:
            self.assertEqual([1], ran)
            self.assertEqual(SystemExit, self.unraisable[0][0])

        self.in_child(body)

    @scenario("error-that-cannot-be-shown")
    def test_that_cannot_be_shown(self) -> None:
        run = run_python(MUTE)
        self.assertEqual(("the other hook\n", 0), (run.stdout, run.returncode))
        self.assertIn("Mute: <exception str() failed>", run.stderr)
        self.assertIn("in breaks", run.stderr)

    def test_a_function_that_takes_an_argument(self) -> None:
        atfork.register_after_fork(lambda argument: None)  # type: ignore[arg-type,misc]
        self.in_child(lambda: self.assertEqual(TypeError, self.unraisable[0][0]))

    @scenario("on-error", "on-error-fails")
    def test_on_error(self) -> None:
        """Gets the error, the hook and the phase; and None restores the default."""
        got: List[Any] = []

        def handle(error: BaseException, hook: Any, phase: str) -> None:
            got.append((str(error), hook, phase, error.__traceback__ is not None))
            if phase == "parent":
                raise RuntimeError("a broken handler")

        def fail() -> None:
            raise ValueError("oops")

        hook = atfork.register(prepare=fail, parent=fail, child=fail)
        atfork.on_error = handle
        self.addCleanup(setattr, atfork, "on_error", None)

        def body() -> None:
            expected = [("oops", hook, "prepare", True), ("oops", hook, "child", True)]
            self.assertEqual((expected, []), (got, self.unraisable))
            atfork.on_error = None

        self.in_child(body)
        self.assertEqual([("oops", hook, "prepare", True), ("oops", hook, "parent", True)], got)
        self.assertEqual([(RuntimeError, "a broken handler", handle), (ValueError, "oops", fail)], self.unraisable)

    @scenario("on-error-refused")
    def test_an_on_error_that_cannot_be_called(self) -> None:
        """A plain attribute of the module takes it; it must not lose the other hooks, nor be silent."""

        def fail() -> None:
            raise ValueError("oops")

        atfork.on_error = 3  # type: ignore[assignment]
        self.addCleanup(setattr, atfork, "on_error", None)
        ran: List[int] = []
        atfork.register_after_fork(fail)
        atfork.register_after_fork(lambda: ran.append(1))
        kinds = [TypeError, ValueError]
        self.in_child(lambda: self.assertEqual(([1], kinds), (ran, [kind for kind, _, _ in self.unraisable])))

    @scenario("errors-after-c-fork")
    def test_in_a_pending_call(self) -> None:
        def fail() -> None:
            raise KeyError("oops")

        atfork.register_after_fork(fail)
        self.in_child(lambda: self.assertEqual([KeyError], [kind for kind, _, _ in self.unraisable]), "fork")


class BytesPath:
    def __fspath__(self) -> bytes:
        return os.fsencode(Scenario.path)


class Symbols(ForkTest):
    """C-side hooks."""

    def counted(self) -> int:
        return int(Scenario.held.scenario_counted())

    def check_counts(self, callback: Any) -> None:
        hook = atfork.register_after_fork(callback)
        before = self.counted()
        self.in_child(lambda: self.assertEqual(before + 1, self.counted()))

        def bypassed() -> None:
            self.assertEqual(1, atfork.poll())
            self.assertEqual(before + 1, self.counted())

        self.in_child(bypassed, "_Fork")
        self.assertEqual(before, self.counted())
        self.assertTrue(hook.unregister())

    @scenario("symbol")
    def test_symbol(self) -> None:
        symbol = atfork.symbol(Scenario.path, "scenario_count")
        self.assertIn("scenario_count", repr(symbol))
        self.check_counts(symbol)

    @scenario("symbol-never-waits")
    def test_runs_while_python_is_busy(self) -> None:
        count = atfork.symbol(Scenario.path, "scenario_count")
        atfork.register(prepare=count, parent=count)
        self.assertEqual(2, Scenario.held.scenario_counted_by_fork())

    @scenario("ffi-library-stays")
    def test_its_library_stays(self) -> None:
        """Whoever has loaded it may let go of it."""
        code = "import _ctypes, ctypes, os, atfork\nlibrary = ctypes.CDLL(os.environ['SCENARIO_LIBRARY'])\n"
        code += "atfork.register_after_fork(library.scenario_count)\n_ctypes.dlclose(library._handle)\ndel library\n"
        code += "if os.fork() == 0:\n os._exit(0)\nprint(os.wait()[1])\n"
        run = run_python(code)
        self.assertEqual(("0\n", ""), (run.stdout, run.stderr))

    def test_a_path(self) -> None:
        symbol = atfork.symbol(pathlib.Path(Scenario.path), "scenario_count")
        self.assertEqual(Scenario.path, symbol.library)
        self.check_counts(symbol)

    @scenario("ffi-function")
    def test_ctypes(self) -> None:
        self.check_counts(Scenario.released.scenario_count)

    def test_ctypes_pointer(self) -> None:
        address = ctypes.cast(Scenario.released.scenario_count, ctypes.c_void_p).value
        self.check_counts(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address or 0))

    @scenario("symbol-mixed")
    def test_mixed(self) -> None:
        ran: List[int] = []
        atfork.register(prepare=lambda: ran.append(1), child=atfork.symbol(Scenario.path, "scenario_count"))
        before = self.counted()
        self.in_child(lambda: self.assertEqual(([1], before + 1), (ran, self.counted())))

    def test_unregistered_in_prepare_gets_the_rest(self) -> None:
        hook = atfork.register_after_fork(atfork.symbol(Scenario.path, "scenario_count"))
        before = self.counted()
        atfork.register(prepare=hook.unregister)
        self.in_child(lambda: self.assertEqual(before + 1, self.counted()))
        self.in_child(lambda: self.assertEqual(before, self.counted()))

    def noted_in_a_child(self, **callbacks: Any) -> int:
        """The number that scenario_note_number() was called with there."""
        hook = atfork.register(**callbacks)
        reader, writer = os.pipe()
        self.in_child(lambda: os.write(writer, str(Scenario.held.scenario_noted()).encode()))
        hook.unregister()
        os.close(writer)
        with open(reader) as file:
            return int(file.read())

    @scenario("symbol-data", "symbol-without-data")
    def test_data(self) -> None:
        number = ctypes.c_int(42)
        array = (ctypes.c_int * 2)(7, 8)

        class Pair(ctypes.Structure):
            _fields_ = [("first", ctypes.c_int), ("second", ctypes.c_int)]

        rows: List[Any] = [
            (None, 0),
            (ctypes.addressof(number), 42),
            (number, 42),
            (ctypes.byref(number), 42),
            (ctypes.pointer(number), 42),
            (ctypes.cast(ctypes.pointer(number), ctypes.c_void_p), 42),
            (array, 7),
            (ctypes.byref(array, ctypes.sizeof(ctypes.c_int)), 8),
            (Pair(5, 6), 5),
            (ctypes.c_void_p(None), 0),
        ]
        for data, expected in rows:
            symbol = atfork.symbol(Scenario.path, "scenario_note_number", data)
            self.assertEqual(expected, self.noted_in_a_child(child=symbol), data)
        self.assertIs(array, atfork.symbol(None, "abort", array).data)

    @scenario("symbol-data-each-phase")
    def test_data_of_each_callback(self) -> None:
        """One hook, and two functions with data of their own."""
        one, two = ctypes.c_int(1), ctypes.c_int(2)
        prepare = atfork.symbol(Scenario.path, "scenario_note_number", one)
        child = atfork.symbol(Scenario.path, "scenario_note_number", two)
        self.assertEqual(1, self.noted_in_a_child(prepare=prepare))
        self.assertEqual(2, self.noted_in_a_child(prepare=prepare, child=child))
        self.assertEqual(1, Scenario.held.scenario_noted())  # what prepare was called with, here

    @scenario("symbol-data-kept")
    def test_data_is_kept_as_long_as_the_hook(self) -> None:
        class Number(ctypes.Structure):
            _fields_ = [("value", ctypes.c_int)]

        weak: List[Any] = []

        def register() -> Any:
            number = Number(9)
            weak.append(weakref.ref(number))
            return atfork.register(child=atfork.symbol(Scenario.path, "scenario_note_number", number))

        hook = register()
        gc.collect()
        self.assertIsNotNone(weak[0]())
        self.in_child(lambda: self.assertEqual(9, Scenario.held.scenario_noted()))
        # In a callback, where it gets the rest of the fork; and then it goes.
        atfork.register(key="once", prepare=hook.unregister)
        self.in_child(lambda: self.assertEqual(9, Scenario.held.scenario_noted()))
        self.in_child(lambda: None)
        self.assertIsNone(weak[0]())

    @scenario("symbol-data-refused")
    def test_data_that_is_none(self) -> None:
        bad: Any
        for bad, error in ((1.5, TypeError), ("x", TypeError), (b"x", TypeError), (2**64, ValueError), ([], TypeError)):
            with self.assertRaisesRegex(error, "^data must be "):
                atfork.symbol(None, "abort", bad)

    @scenario("symbol-of-process")
    def test_the_process_itself(self) -> None:
        self.assertIsInstance(atfork.symbol(None, "abort"), atfork.Symbol)

    @scenario("symbol-refused")
    def test_what_is_none(self) -> None:
        rows: List[Any] = [
            ("libnothing-of-the-kind.so", "x", ValueError),
            (Scenario.path, "no_such_symbol", ValueError),
            (Scenario.path, "scenario_data", ValueError),
            (Scenario.path, None, TypeError),
            (3, "x", TypeError),
            (b"x", "x", TypeError),
            (BytesPath(), "x", TypeError),
            ("a\0b", "x", ValueError),
            (None, "a\0b", ValueError),
        ]
        for library, name, error in rows:
            with self.subTest(library=library, name=name), self.assertRaises(error) as raised:
                atfork.symbol(library, name)
            if error is TypeError:
                self.assertRegex(str(raised.exception), "^(library|name) must be str")

    @scenario("ffi-closure-refused")
    def test_a_callback_of_python_in_the_clothes_of_c(self) -> None:
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        callback = kind(lambda data: None)
        with self.assertRaises(TypeError):
            atfork.register_after_fork(callback)
        with self.assertRaisesRegex(ValueError, "^not a function of a library"):
            atfork.register_after_fork(kind(ctypes.cast(callback, ctypes.c_void_p).value or 0))


class OtherForks(ForkTest):
    """Promises 7 and 8: forks that fail, and what is no fork."""

    @scenario("fork-fails")
    def test_a_fork_that_fails(self) -> None:
        def body() -> None:
            trace: List[str] = []
            atfork.register(
                prepare=lambda: trace.append("prepare"),
                parent=lambda: trace.append("parent"),
                child=lambda: trace.append("child"),
            )
            self.assertEqual(0, Scenario.held.scenario_forbid_forks(errno.EAGAIN))
            with self.assertRaises(BlockingIOError):
                os.fork()
            self.assertEqual((["prepare", "parent"], 1), (trace, atfork.generation()))

        self.in_child(body)

    @scenario("spawns-are-no-forks")
    def test_spawns_are_no_forks(self) -> None:
        ran: List[int] = []
        run = lambda: ran.append(1)  # noqa: E731
        atfork.register(prepare=run, parent=run, child=run)
        self.assertEqual(0, Scenario.released.scenario_spawn())
        self.assertEqual(0, os.system("true"))
        self.assertEqual(b"x\n", subprocess.check_output(["echo", "x"]))
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1]))
        self.assertEqual(([], 0), (ran, atfork.generation()))

    @scenario("parent-after-c-fork")
    def test_parent_of_a_fork_in_c(self) -> None:
        parents: List[str] = []
        atfork.register(parent=lambda: parents.append("alone"))
        atfork.register(prepare=lambda: None, parent=lambda: parents.append("without its prepare"))
        self.in_child(lambda: None, "fork")
        self.assertEqual(["alone"], parents)


class Places(ForkTest):
    """Where a process may be as it forks."""

    def register(self) -> List[str]:
        trace: List[str] = []
        atfork.register(
            prepare=lambda: trace.append("prepare"),
            parent=lambda: trace.append("parent"),
            child=lambda: trace.append("child"),
        )
        return trace

    @scenario("in-signal-handler")
    def test_in_a_signal_handler(self) -> None:
        trace = self.register()
        forked: List[int] = []

        def handle(number: int, frame: Any) -> None:
            atfork.register_after_fork(lambda: None).unregister()
            self.in_child(lambda: self.assertEqual(["prepare", "child"], trace))
            forked.append(1)

        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, handle))
        signal.raise_signal(signal.SIGUSR1)
        self.assertEqual(([1], ["prepare", "parent"]), (forked, trace))

    @scenario("in-coroutine")
    def test_in_a_generator_and_in_a_coroutine(self) -> None:
        trace = self.register()

        def fork() -> None:
            self.in_child(lambda: self.assertEqual("child", trace[-1]))

        def generator() -> Iterator[None]:
            fork()
            yield
            fork()

        async def coroutine() -> None:
            fork()
            await asyncio.sleep(0)
            fork()

        self.assertEqual([None], list(generator()))
        asyncio.run(coroutine())
        self.assertEqual(["prepare", "parent"] * 4, trace)


class PerProcess(ForkTest):
    @scenario("value-once")
    def test_once_in_each_process(self) -> None:
        made: List[int] = []

        @atfork.per_process
        def lineage() -> str:
            made.append(1)
            return atfork.lineage()

        def body() -> None:
            self.assertEqual([atfork.lineage()] * 2, [lineage(), lineage()])
            self.assertEqual([1, 1], made)

        self.assertEqual("0", lineage())
        for way in WAYS:
            self.in_child(body, way)
        self.assertEqual([1], made)

    @scenario("value-reset", "value-error")
    def test_reset_and_errors(self) -> None:
        tries: List[int] = []

        def init() -> int:
            tries.append(1)
            if len(tries) == 1:
                raise RuntimeError("not yet")
            return len(tries)

        number = atfork.per_process(init)
        with self.assertRaises(RuntimeError):
            number()
        self.assertEqual(2, number())
        number.reset()
        self.assertEqual(3, number())

    @scenario("value-nil")
    def test_none_and_false_are_values(self) -> None:
        for nothing in (None, False, 0):
            made: List[int] = []
            value = atfork.per_process(lambda: (made.append(1), nothing)[1])
            self.assertEqual([nothing, nothing, [1]], [value(), value(), made])

    @scenario("value-forks")
    def test_its_function_forks(self) -> None:
        def make() -> str:
            if atfork.generation() == 0:
                self.in_child(lambda: self.assertEqual(atfork.lineage(), value()))
            return atfork.lineage()

        value = atfork.per_process(make)
        self.assertEqual("0", value())

    @scenario("value-asks-itself")
    def test_its_function_asks_for_it(self) -> None:
        value: Any = atfork.per_process(lambda: value())
        with self.assertRaises(RecursionError):
            value()

    @scenario("value-in-threads")
    def test_threads_make_one(self) -> None:
        made: List[int] = []
        inside, go = threading.Event(), threading.Event()

        def init() -> str:
            made.append(1)
            inside.set()
            go.wait()
            return "it"

        value = atfork.per_process(init)
        got: List[str] = []
        threads = [threading.Thread(target=lambda: got.append(value())) for _ in range(5)]
        for thread in threads:
            thread.start()
        inside.wait()
        # A child is not held up by the thread that is inside, and is gone.
        go.set()
        for thread in threads:
            thread.join()
        self.assertEqual((["it"] * 5, [1]), (got, made))

    @scenario("value-half-made")
    def test_forked_while_a_thread_is_inside(self) -> None:
        inside, go = threading.Event(), threading.Event()

        def init() -> str:
            if atfork.generation() == 0:
                inside.set()
                go.wait()
            return atfork.lineage()

        value = atfork.per_process(init)
        thread = threading.Thread(target=value)
        thread.start()
        inside.wait()
        self.in_child(lambda: self.assertEqual(atfork.lineage(), value()))
        go.set()
        thread.join()


if __name__ == "__main__":
    run_tests()
