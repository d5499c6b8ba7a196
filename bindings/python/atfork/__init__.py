# SPDX-License-Identifier: MIT
"""Repairs a process after fork: callbacks that run before a fork, after it in the parent, and in the child.

    @atfork.register_after_fork
    def reseed() -> None:
        random.seed(atfork.seed(42))

Each child callback runs exactly once in every new process: one made by os.fork(), by os.forkpty(), by multiprocessing
with any start method, or by C code.  Hooks are ordered by priority, then by registration: `parent` and `child` run in
this order, `prepare` in the reverse.  An error in a callback goes to sys.unraisablehook, and all other hooks still run.
"""
from __future__ import annotations

import atexit
import collections
import functools
import os
import sys

try:
    from . import _native
except ImportError as error:
    if "subinterpreters" not in str(error):
        raise
    raise ImportError(
        "atfork cannot be imported in an isolated sub-interpreter, which may not fork: import it in the main interpreter, "
        "or create this one with the main interpreter's GIL, by the configuration 'legacy' (not in a free-threaded Python)"
    ) from error

from . import _workers
from ._hook import RegisteredFunction
from ._hook import register as _register_any
from ._imports import when_imported
from ._lock import NotNow as _NotNow
from ._lock import register_lock
from ._native import Hook, register
from ._per_process import PerProcess, per_process
from ._places import adopt, child_token, environment, place, run, seed, seed_bytes, spawned, token
from ._symbol import Symbol, symbol

# typing is not imported, as this would take longer than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, NamedTuple, Optional, TypeVar, Union

    T = TypeVar("T")

    class Info(NamedTuple):
        """A hook of any language, as hooks() lists it."""

        id: int
        name: str
        priority: int
        generation: int
        prepare: bool
        parent: bool
        child: bool

else:
    Info = collections.namedtuple("Info", "id name priority generation prepare parent child", module=__name__)
    Info.__doc__ = "A hook of any language, as hooks() lists it."

__all__ = [
    "Hook",
    "Info",
    "PerProcess",
    "RegisteredFunction",
    "Symbol",
    "adopt",
    "child_token",
    "environment",
    "generation",
    "hooks",
    "lineage",
    "on_error",
    "per_process",
    "place",
    "poll",
    "prepared",
    "register",
    "register_after_fork",
    "register_lock",
    "run",
    "seed",
    "seed_bytes",
    "spawned",
    "symbol",
    "token",
    "version",
]

# Called with the error of a callback, its hook, and the phase: "prepare", "parent" or "child".  For an error in a
# discard the hook is None, and the phase "discard".  If on_error is None, errors go to sys.unraisablehook.
on_error: Optional[Callable[[BaseException, Optional[Hook], str], object]] = None


def register_after_fork(func: Union[Callable[[], T], Symbol]) -> RegisteredFunction[T]:
    """Runs `func()` in each new process.  Returns a Hook that can be called as the function: usable as a decorator."""
    return RegisteredFunction(func)


def prepared() -> bool:
    """Inside a parent or child callback: whether this hook's own prepare ran for this fork, and returned.

    False: its prepare raised, or it has none, or C code forked and no prepare ran.  RuntimeError outside of callbacks.
    """
    return _native.prepared()


def generation() -> int:
    """How many forks deep this process is: 0 at the root.  Correct at once after any fork; costs almost nothing."""
    return _native.generation()


def lineage() -> str:
    """Which child of which child this process is: "0", "0.1", "0.2.1"."""
    return _native.lineage()


def poll() -> int:
    """Runs the child callbacks that this process missed, if a fork without handlers made it.  Returns how many."""
    return _native.poll()


def hooks() -> list[Info]:
    """All hooks of the process in run order, also those of other languages."""
    return [Info(*fields) for fields in _native.hooks()]


def version() -> str:
    """The version of the library that runs: "0.1.0"."""
    return _native.version()


def _place_in_order(_: object = None) -> None:
    """Makes our callbacks run after those of a module that was just imported and has registered its own."""
    number = _native.step_in()
    phases = {
        "before": _native.before,
        "after_in_parent": _native.after_in_parent,
        "after_in_child": _native.after_in_child,
    }
    os.register_at_fork(**{name: functools.partial(function, number) for name, function in phases.items()})


def _require_gil() -> None:
    """The free-threaded Python enables its GIL for this module, unless an option forbids it."""
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    if is_enabled is not None and not is_enabled():
        raise ImportError("atfork needs the GIL: run Python without PYTHON_GIL=0, and without -X gil=0")


def _open() -> None:
    """Called once in an interpreter.  threading, logging's locks, and `random` are repaired before our callbacks."""
    _require_gil()
    registry = _native.open(sys.modules[__name__], Hook, _NotNow, _register_any)
    if registry is None:  # imported again: the registry has the classes of the first import, which are used
        sys.modules[__name__] = _native.package()
        return
    # So that the interpreter's end clears it.
    setattr(_native, "registry", registry)
    atexit.register(_native.close)
    _place_in_order()
    for name in ("threading", "logging", "random"):
        if name not in sys.modules:
            when_imported(name, _place_in_order)
    _workers.install()


_open()
