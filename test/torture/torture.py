# SPDX-License-Identifier: MIT
"""Fault injection: each call is made once for each request for memory that it makes, by Python or by the module, in a
process in which that request is refused; and again with the next two refused, too.  Python does not bear more: it needs
memory to show an error, and a fork that has none is fatal to it.

ATFORK_TEST_TORTURE=K: 2, ..., K requests in a row, and no request is left out."""
from __future__ import annotations

import ctypes
import errno
import gc
import importlib.machinery
import importlib.util
import os
import re
import sys
import threading
import traceback
import types
from typing import Any, Callable, Optional

PASSED, PASSED_ALL = 42, 43
THOROUGH = int(os.environ.get("ATFORK_TEST_TORTURE", "0"))


def load(name: str) -> types.ModuleType:
    """A module of the shared object in which ours is linked with what stands between it and the C library."""
    loader = importlib.machinery.ExtensionFileLoader(name, os.environ["TORTURE_MODULE"])
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


fault = load("fault")
scenario_fork = ctypes.PyDLL(os.environ["SCENARIO_LIBRARY"]).scenario_fork
sys.unraisablehook = lambda unraisable: None  # it tells of memory that is wanted

atfork: Any = None
runs = {"prepare": 0, "parent": 0, "child": 0}
hooks = 0


def count_prepare() -> None:
    runs["prepare"] += 1


def count_parent() -> None:
    runs["parent"] += 1


def count_child() -> None:
    runs["child"] += 1


def nothing() -> None:
    pass


def add_base() -> None:
    """Hooks that are to run in each fork, whatever else happens."""
    global atfork, hooks
    sys.modules["atfork._native"] = load("atfork._native")
    import atfork as package

    atfork = package
    for priority in (-1, 0, 1):
        atfork.register(priority=priority, prepare=count_prepare, parent=count_parent, child=count_child)
    hooks = len(atfork.hooks())


def equal(got: object, wanted: object, what: str) -> None:
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def in_child(body: Callable[[], None]) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = PASSED
        finally:
            os._exit(status)
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), PASSED, "exit status")


def expect_child() -> None:
    equal(runs, {"prepare": 3, "parent": 0, "child": 3}, "runs in the child")
    equal(len(atfork.hooks()), hooks, "hooks in the child")
    equal(atfork.poll(), 0, "what was left to run")


def expect_unharmed() -> None:
    """Nothing is lost, and nothing is there twice."""
    equal(len(atfork.hooks()), hooks, "hooks")
    runs.update(prepare=0, parent=0, child=0)
    in_child(expect_child)
    equal(runs, {"prepare": 3, "parent": 3, "child": 0}, "runs")


class Scenario:
    def __init__(
        self,
        call: Callable[[], Any],
        undo: Optional[Callable[[Any], Any]] = None,
        adds: int = 0,
        step: int = 1,
        native: bool = False,
        arrange: Callable[[], None] = nothing,
        check: Callable[[Any], None] = lambda result: None,
    ) -> None:
        self.call, self.undo, self.adds, self.step = call, undo, adds, 1 if THOROUGH else step
        self.native, self.arrange, self.check = native, arrange, check

    def call_with_faults(self, first: int, many: int) -> tuple[bool, Any, int]:
        done, result = False, None
        try:
            fault.arm(first, many)
            result = self.call()
            done = True
        except MemoryError:
            pass
        except RuntimeError as error:
            if "allocate lock" not in str(error):  # what Python says instead
                raise
        return done, result, fault.disarm()

    def expect_no_leak(self, first: int, many: int) -> None:
        """As often as one likes, and what Python holds does not grow.

        Of calls that run no Python code: Python itself leaks a call's arguments where a closure's cell finds no memory.
        """
        assert self.undo is not None
        held = 0
        for _ in range(3):
            for _ in range(60):
                done, result, _ = self.call_with_faults(first, many)
                if done:
                    self.undo(result)
            del result
            gc.collect()
            held, before = sys.getallocatedblocks(), held
        if held > before + 3:  # an int of this function's own is one
            raise AssertionError(f"Python holds {held} blocks, and held {before}")

    def take_turn(self, first: int, many: int) -> int:
        global hooks
        self.arrange()
        done, result, requests = self.call_with_faults(first, many)
        if not done:
            expect_unharmed()
            result = self.call()
        hooks += self.adds
        expect_unharmed()
        self.check(result)
        if self.undo is not None:
            self.undo(result)
            hooks -= self.adds
            if self.native:
                self.expect_no_leak(first, many)
                expect_unharmed()
        return PASSED if requests >= first else PASSED_ALL

    def in_turn(self, many: int) -> None:
        first, status = 0, PASSED
        while status == PASSED:
            first += self.step
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    status = self.take_turn(first, many)
                except BaseException as error:
                    print(f"# request {first}, and {many - 1}: {error!r}", file=sys.stderr, flush=True)
                finally:
                    os._exit(status)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        equal(status, PASSED_ALL, f"exit status where request {first} is refused")

    def __call__(self) -> None:
        for many in range(1, THOROUGH + 1) if THOROUGH else (1, 3):
            self.in_turn(many)


def unregister(hook: Any) -> None:
    assert hook.unregister()


def register_plain() -> Any:
    return atfork.register(prepare=nothing, parent=nothing, child=nothing)


class Owner:
    def run(self) -> None:
        pass


fault_owner = Owner()
replaced = 0


def run_replaced() -> None:
    global replaced
    replaced += 1


def have_key() -> None:
    global hooks
    atfork.register(key="k", child=run_replaced)
    hooks += 1


def expect_replaced(hook: Any) -> None:
    in_child(lambda: equal(replaced, 1, "runs of the one with the key"))
    unregister(hook)
    equal(len(atfork.hooks()), hooks - 1, "hooks")


registered: list[Any] = []


def have_one() -> None:
    global hooks
    registered.append(atfork.register(name="n", key="n", prepare=nothing, child=nothing))
    hooks += 1


def have_one_that_asks() -> None:
    """Its errors are told by another hook's function, too."""
    global hooks
    atfork.register(child=lambda: equal(atfork.prepared(), False, "prepared"))
    atfork.on_error = lambda *_: None
    hooks += 1


def expect_all() -> None:
    """A function that no scenario calls would be left out."""
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    functions = [name for name in atfork.__all__ if not isinstance(getattr(atfork, name), type)]
    left_out = [name for name in functions if not re.search(rf"\batfork\.(_native\.)?{name}\b", text)]
    equal(left_out, [], "functions without a scenario")


def let_go_without_memory() -> None:
    """A registered lock is let go, though its hook is refused all that it asks for after the fork."""
    lock = threading.Lock()

    def refuse() -> None:
        fault.arm(1, 1000)

    def expect_free() -> None:
        equal(lock.locked(), False, "locked")

    first = atfork.register(priority=5, parent=refuse, child=refuse)
    with first, atfork.register_lock(lock, 6), atfork.register(priority=7, parent=fault.disarm, child=fault.disarm):
        in_child(expect_free)
    expect_free()


def bypass_and_poll() -> bool:
    """Where there is no memory to run what was missed, the next poll runs it."""
    runs.update(prepare=0, parent=0, child=0)
    pid = scenario_fork(b"syscall")
    if pid == 0:
        status = 1
        try:
            try:
                atfork.poll()
            except MemoryError:
                pass
            fault.disarm()
            atfork.poll()
            equal(runs["child"], 3, "runs in the child")
            status = PASSED
        except BaseException as error:
            print(f"# {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    fault.disarm()
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), PASSED, "exit status")
    return True


add_base()
key = object()
SCENARIOS: dict[str, Callable[[], None]] = {
    "register": Scenario(register_plain, unregister, 1, native=True),
    "register_after_fork": Scenario(lambda: atfork.register_after_fork(nothing), unregister, 1),
    "register a method": Scenario(lambda: atfork.register(child=fault_owner.run), unregister, 1),
    "register with an owner": Scenario(lambda: atfork.register(child=nothing, owner=fault_owner), unregister, 1),
    "register with a new key": Scenario(lambda: atfork.register(child=nothing, key=key), unregister, 1),
    "register with a known key": Scenario(
        lambda: atfork.register(child=run_replaced, key="k"), arrange=have_key, check=expect_replaced
    ),
    "register a C function": Scenario(
        lambda: atfork.register(child=atfork.symbol(None, "free"), parent=nothing), unregister, 1, step=3
    ),
    "register a lock": Scenario(lambda: atfork.register_lock(threading.Lock(), priority=7), unregister, 1, step=3),
    "unregister": Scenario(lambda: unregister(registered[0]), adds=-1, arrange=have_one),
    "a hook's fields": Scenario(
        lambda: (registered[0].id, registered[0].name, registered[0].priority, registered[0].key, repr(registered[0])),
        lambda fields: None,
        arrange=have_one,
    ),
    "values": Scenario(
        lambda: (atfork.generation(), atfork.lineage(), atfork.seed(), atfork.seed(7, bits=256),
                 atfork.seed_bytes(7, 9), atfork.poll(), atfork.run(), atfork.place(), atfork.version()),
        lambda values: None,
    ),
    "tokens": Scenario(
        lambda: (atfork.child_token(atfork.token(), 7), atfork.environment()), lambda tokens: None, step=3
    ),
    # A forked process has a place.  Without memory Python raises no error that says so.
    "spawned": Scenario(lambda: equal(atfork._native.spawned("7"), errno.EALREADY, "errno"), lambda error: None),
    "adopt": Scenario(lambda: equal(atfork._native.adopt("3"), errno.EALREADY, "errno"), lambda error: None),
    "hooks": Scenario(lambda: equal(len(atfork.hooks()), hooks, "hooks"), lambda hooks: None),
    "per_process": Scenario(lambda: equal(atfork.per_process(lambda: 7)(), 7, "value"), lambda value: None),
    "let go of a lock": let_go_without_memory,
    "poll after a bypassing fork": Scenario(bypass_and_poll, arrange=have_one_that_asks),
    "each function has one": expect_all,
}

# If Python 3.13 has no memory for a function, it gives the function's code back once too often, and crashes later.
MAKES_FUNCTIONS = {name for name in SCENARIOS if name.startswith("register ") or name in ("register_after_fork", "per_process")}

print(f"1..{len(SCENARIOS)}")
well = True
for number, (name, scenario) in enumerate(SCENARIOS.items(), 1):
    if sys.version_info >= (3, 13) and name in MAKES_FUNCTIONS:
        print(f"ok {number} - {name} # SKIP Python 3.13 does not bear to have no memory for a function", flush=True)
        continue
    verdict = "ok"
    try:
        scenario()
    except Exception:
        print("# " + traceback.format_exc().rstrip().replace("\n", "\n# "))
        verdict, well = "not ok", False
    print(f"{verdict} {number} - {name}", flush=True)
sys.exit(0 if well else 1)
