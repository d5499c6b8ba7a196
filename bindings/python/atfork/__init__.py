# SPDX-License-Identifier: MIT
"""Puts a process right after fork: callbacks that run before it, after it in the parent, and in the child.

    @atfork.register_after_fork
    def reseed() -> None:
        random.seed(atfork.seed(42))

Each runs exactly once in every new process: one made by os.fork(), by os.forkpty(), by multiprocessing with any of
its start methods, or by C code.  Hooks are ordered by priority, then registration: `parent` and `child` run in that
order, `prepare` in the reverse.  An error in a callback goes to sys.unraisablehook, and every other hook still runs.
"""
from __future__ import annotations

import atexit
import collections
import functools
import operator
import os
import sys
import types

from . import _native, _workers
from ._imports import when_imported
from ._lock import register_lock
from ._native import Hook, register
from ._per_process import PerProcess, per_process
from ._symbol import Symbol, check_callback, symbol

# Not imported, as that takes longer than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Generic, NamedTuple, NoReturn, Optional, SupportsIndex, TypeVar, Union

    T = TypeVar("T")

    class Of(Generic[T]):
        pass

    class Info(NamedTuple):
        """What hooks() lists: any hook of the process, of whatever language."""

        id: int
        name: str
        priority: int
        generation: int
        prepare: bool
        parent: bool
        child: bool

else:
    from ._per_process import Of

    Info = collections.namedtuple("Info", "id name priority generation prepare parent child", module=__name__)
    Info.__doc__ = "What hooks() lists: any hook of the process, of whatever language."

__all__ = [
    "Hook",
    "Info",
    "PerProcess",
    "RegisteredFunction",
    "Symbol",
    "environment",
    "generation",
    "hooks",
    "lineage",
    "on_error",
    "per_process",
    "poll",
    "prepared",
    "register",
    "register_after_fork",
    "register_lock",
    "seed",
    "spawned",
    "symbol",
    "token",
    "version",
]

BASE_MIN = -(2**63)
BASE_MAX = 2**64 - 1
WORD = 0xFFFF_FFFF_FFFF_FFFF
GOLDEN = 0x9E37_79B9_7F4A_7C15

# Called with an error in a callback, its hook, and the phase: "prepare", "parent" or "child"; and with one in a discard,
# None, and "discard".  If this is None, such errors go to sys.unraisablehook.
on_error: Optional[Callable[[BaseException, Optional[Hook], str], object]] = None


class RegisteredFunction(Hook, Of["T"]):
    """What register_after_fork() returns: a hook that can be called as the function, so that it can decorate one.

    It holds the function itself: what is decorated can be called after unregister(), too.  A bound method it holds
    weakly, as the hook goes with the method's object.
    """

    # No annotations here: on an instance they would hide the function's.
    __slots__ = ("__dict__",)

    def __init__(self, function: Union[Callable[[], T], Symbol]) -> None:
        self.__name__: str
        self.__qualname__: str
        self.__wrapped__: Callable[..., T]
        if not callable(function) and not isinstance(function, Symbol):
            raise TypeError(f"func must be callable, or an atfork.Symbol, not {type(function).__name__}")
        if callable(function):
            functools.update_wrapper(self, function, updated=())
        if isinstance(function, types.MethodType):
            self._hold_weakly(function)
        _native.attach(self, function)

    def _hold_weakly(self, method: types.MethodType) -> None:
        import weakref

        try:
            self.__dict__["_method"] = weakref.WeakMethod(method)
        except TypeError:  # its object allows no weak reference
            return
        del self.__wrapped__

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__" and "_method" in self.__dict__:
            method = self.__dict__["_method"]()
            if method is None:
                raise ReferenceError("the method's object is gone")
            return method
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        if not self.__dict__.keys() & {"__wrapped__", "_method"}:
            raise TypeError("a C function that Python cannot call")
        return self.__wrapped__(*args, **kwargs)

    def __reduce__(self) -> Any:
        """By name, as a function is pickled.  A function without a name makes a hook that cannot be."""
        return self.__qualname__ if "__qualname__" in self.__dict__ else super().__reduce__()


def _check_base(what: str, value: SupportsIndex, least: int = BASE_MIN, most: int = BASE_MAX) -> int:
    try:
        number = int(operator.index(value))
    except TypeError:
        raise TypeError(f"{what} must be int, not {type(value).__name__}") from None
    if not least <= number <= most:
        raise ValueError(f"{what} must be from {least} to {most}")
    return number


def register_after_fork(func: Union[Callable[[], T], Symbol]) -> RegisteredFunction[T]:
    """Runs `func()` in each new process.  Returns a Hook; usable as a decorator, as that can be called as well."""
    return RegisteredFunction(func)


def prepared() -> bool:
    """Inside a parent or child callback: whether this hook's own prepare ran for this fork, and returned.

    False: it raised, or it has none, or no prepare ran, as C code has forked.  RuntimeError outside of such callbacks.
    """
    return _native.prepared()


def generation() -> int:
    """How many forks deep this process is: 0 at the root.  Right at once after any fork; costs next to nothing."""
    return _native.generation()


def lineage() -> str:
    """Which child of which child this process is: "0", "0.1", "0.2.1"."""
    return _native.lineage()


def _mix(word: int) -> int:
    """SplitMix64's."""
    word = ((word ^ word >> 30) * 0xBF58_476D_1CE4_E5B9) & WORD
    word = ((word ^ word >> 27) * 0x94D0_49BB_1331_11EB) & WORD
    return word ^ word >> 31


def seed(base: SupportsIndex, bits: SupportsIndex = 64) -> int:
    """An integer of so many bits: distinct for each base and process, and the same from run to run.

    base: from -2**63 to 2**64 - 1; a negative one in two's complement, so that -1 is 2**64 - 1.
    bits: from 1 to 65536.  Generators take 128 and more.  Of 100,000 seeds of 32 bits two are most likely the same.
    """
    number = _check_base("base", base) & WORD
    count = _check_base("bits", bits, 1, 65536)
    # Words of 64 bits, the low one first, each the seed of a base of its own: SplitMix64's sequence from the base.
    bases = [number] + [_mix((number + i * GOLDEN) & WORD) for i in range(1, (count + 63) // 64)]
    words = (_native.seed(of_word) << (64 * i) for i, of_word in enumerate(bases))
    return sum(words) & ((1 << count) - 1)


def poll() -> int:
    """Runs the child callbacks that this process missed, as a fork made it that runs no handlers.  Returns how many."""
    return _native.poll()


def hooks() -> list[Info]:
    """All hooks of the process in run order, of whatever language."""
    return [Info(*fields) for fields in _native.hooks()]


def version() -> str:
    """Of the library that runs: "0.1.0"."""
    return _native.version()


def token() -> str:
    """Names the next worker that this process spawns, for its spawned().  Workers of multiprocessing need none."""
    return _native.token()


def environment() -> dict[str, str]:
    """A copy of os.environ with a token in it, for one worker: subprocess.Popen(…, env=atfork.environment())."""
    return {**os.environ, "ATFORK_TOKEN": token()}


def spawned(token: Optional[str] = None) -> None:
    """In a worker that was spawned: takes its place in the tree, and runs the child callbacks registered so far.

    token: None takes it from the environment.  ValueError: there is none, or it is not one of atfork's.  RuntimeError:
    the place of this process is known, as it was forked, or has done this before.
    """
    if token is not None and not isinstance(token, str):
        raise TypeError(f"token must be str or None, not {type(token).__name__}")
    if token is not None and "\0" in token:
        raise ValueError("the token is not one of atfork's")
    error = _native.spawned(token)
    if error != 0:
        _raise_spawned(error, token is None and "ATFORK_TOKEN" not in os.environ)
    if token is None:
        os.environ.pop("ATFORK_TOKEN", None)


def _raise_spawned(error: int, missing: bool) -> NoReturn:
    import errno

    if error == errno.EALREADY:
        raise RuntimeError("the place of this process is known: it was forked, or has done this before")
    if missing:
        raise ValueError("there is no token: ATFORK_TOKEN is not set")
    raise ValueError("the token is not one of atfork's")


def _place_in_order(_: object = None) -> None:
    """Has our callbacks run after those of what has just been imported, and registered its own."""
    _native.step_in(os.register_at_fork)


def _open() -> None:
    """Once in an interpreter.  In a child, threading, the locks of logging, and `random` are right in callbacks."""
    registry = _native.open(Hook, check_callback)
    if registry is None:
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
