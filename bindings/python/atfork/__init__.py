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
import functools
import operator
import os
import sys
import threading
import types
from typing import Any, Callable, Generic, NamedTuple, NoReturn, Optional, SupportsIndex, Tuple, TypeVar, Union, cast

# Theirs are run before ours in a child: so threads, locks of logging, and `random` are right in callbacks.
import logging
import random

from . import _native

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
    "per_process",
    "poll",
    "register",
    "register_after_fork",
    "seed",
    "spawned",
    "symbol",
    "token",
    "version",
]

T = TypeVar("T")

PRIORITY_MIN = -32768
PRIORITY_MAX = 32767
BASE_MIN = -(2**63)
BASE_MAX = 2**64 - 1


class Symbol:
    """A C function, `void function(void *data)`, that may stand wherever a callable may; see symbol()."""

    __slots__ = ("library", "name", "address")

    def __init__(self, library: Optional[str], name: str, address: int) -> None:
        self.library = library
        self.name = name
        self.address = address

    def __reduce__(self) -> Tuple[Callable[[Optional[str], str], Symbol], Tuple[Optional[str], str]]:
        """By library and name: the address is this process's own."""
        return symbol, (self.library, self.name)

    def __repr__(self) -> str:
        return f"<atfork.Symbol {self.name} at {self.address:#x}>"


Callback = Union[Callable[[], object], Symbol]


class Hook:
    """What register() returns.  As a context manager it is taken back at the end of the block."""

    __slots__ = ("_id", "_name", "_priority", "__weakref__")

    def __init__(self, name: str, priority: int, callbacks: Tuple[Union[Callable[[], object], int, None], ...]) -> None:
        self._name = name
        self._priority = priority
        self._id = _native.register(name, priority, callbacks)

    @property
    def id(self) -> int:
        """As hooks() lists it; never given again to another hook."""
        return self._id

    @property
    def name(self) -> str:
        """For people."""
        return self._name

    @property
    def priority(self) -> int:
        """From -32768 to 32767."""
        return self._priority

    def unregister(self) -> bool:
        """Takes the hook back: True, or False if that was done before.

        Afterwards none of its callbacks is running or will run: it waits for forks under way in other threads.  Inside
        a callback it does not wait, and the hook still gets the rest of the fork that is under way.
        """
        return _native.unregister(self._id)

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *error: object) -> None:
        self.unregister()

    def __reduce__(self) -> str:
        """Refuses: in another process the id names another hook, and here a copy could take this hook back."""
        raise TypeError(
            f"cannot pickle or copy {type(self).__name__} objects: a hook is this process's own; register another there"
        )

    def __repr__(self) -> str:
        return f"<atfork.Hook {self.name!r} priority={self.priority} id={self.id:#x}>"


def _show_as(wrapper: object, function: Callable[..., object]) -> None:
    """Gives it the function's name and the like; attributes of the function's own could hide the wrapper's."""
    functools.update_wrapper(cast("Callable[..., object]", wrapper), function, updated=())


class RegisteredFunction(Hook, Generic[T]):
    """What register_after_fork() returns: a hook that can be called as the function, so that it can decorate one.

    It holds the function itself: what is decorated can be called after unregister(), too.
    """

    # No annotations here: on an instance they would hide the function's.
    __slots__ = ("__dict__",)

    def __init__(self, function: Union[Callable[[], T], Symbol]) -> None:
        self.__name__: str
        self.__qualname__: str
        self.__wrapped__: Callable[..., T]
        target = _callback("func", function)
        if callable(function):
            _show_as(self, function)
        super().__init__("", 0, (None, None, target))

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        if "__wrapped__" not in self.__dict__:
            raise TypeError("a C function that Python cannot call")
        return self.__wrapped__(*args, **kwargs)

    def __reduce__(self) -> str:
        """By name, as a function is pickled.  A function without a name makes a hook that cannot be."""
        return self.__qualname__ if "__qualname__" in self.__dict__ else super().__reduce__()


class Info(NamedTuple):
    """What hooks() lists: any hook of the process, of whatever language."""

    id: int
    name: str
    priority: int
    generation: int
    prepare: bool
    parent: bool
    child: bool


class PerProcess(Generic[T]):
    """A value that is made once in each process; see per_process()."""

    # No annotations here: on an instance they would hide the function's.
    __slots__ = ("_made", "_locks", "__dict__", "__weakref__")

    def __init__(self, init: Callable[[], T]) -> None:
        self.__name__: str
        self.__qualname__: str
        self.__wrapped__: Callable[[], T]
        _show_as(self, init)
        self._made: Optional[Tuple[int, T]] = None
        self._locks: dict[int, threading.RLock] = {}

    def __call__(self) -> T:
        """The value of this process, made when it is first asked for.  An error is not remembered."""
        made = self._made
        if made is not None and made[0] == _native.generation():
            return made[1]
        return self._make()

    def reset(self) -> None:
        """Forgets the value; the next call makes another."""
        self._made = None

    def __reduce__(self) -> str:
        """By name, as a function is pickled: each process makes a value of its own."""
        if "__qualname__" in self.__dict__:
            return self.__qualname__
        kind = type(self.__wrapped__).__name__
        raise TypeError(f"cannot pickle or copy a PerProcess of a {kind}, which has no name: decorate a function")

    def __repr__(self) -> str:
        """Without the value, which may be a secret."""
        return f"<atfork.PerProcess {self.__dict__.get('__qualname__', type(self.__wrapped__).__name__)}>"

    def _make(self) -> T:
        """Under a lock of this process's own: one that a thread of the parent held is never let go of."""
        now = _native.generation()
        lock = self._locks.setdefault(now, threading.RLock())
        with lock:
            made = self._made
            if made is not None and made[0] == now:
                return made[1]
            self._locks = {now: lock}
            value = self.__wrapped__()
            self._made = (now, value)
            return value


def _address(value: object) -> Optional[int]:
    """Where a C function is, or None for what is none."""
    if isinstance(value, Symbol):
        return value.address
    ctypes = sys.modules.get("ctypes")
    if ctypes is None or not isinstance(value, ctypes._CFuncPtr):
        return None
    # A callback of Python's in C's clothes would enter the interpreter inside fork().
    if any(type(kept).__name__ == "CThunkObject" for kept in (value._objects or {}).values()):
        raise TypeError("a ctypes callback of a Python function: register that function itself")
    address = ctypes.cast(value, ctypes.c_void_p).value
    if address is None:
        raise ValueError("a ctypes function at NULL")
    return int(address)


def _callback(what: str, value: object) -> Any:
    address = _address(value)
    if address is not None:
        return address
    if not callable(value):
        raise TypeError(f"{what} must be callable, or an atfork.Symbol, not {type(value).__name__}")
    return value


def _check_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"name must be str, not {type(name).__name__}")
    if "\0" in name:
        raise ValueError("name contains a null character")
    return name


def _check_integer(what: str, value: SupportsIndex, least: int, most: int) -> int:
    try:
        number = int(operator.index(value))
    except TypeError:
        raise TypeError(f"{what} must be int, not {type(value).__name__}") from None
    if not least <= number <= most:
        raise ValueError(f"{what} must be from {least} to {most}")
    return number


def _check_base(what: str, value: SupportsIndex) -> int:
    return _check_integer(what, value, BASE_MIN, BASE_MAX)


def _check_needs_nothing(init: Callable[..., object]) -> None:
    """Raises where the value is made, not at its first call.  Only a plain function says for sure what it needs."""
    if not isinstance(init, types.FunctionType):
        return
    needed = init.__code__.co_varnames[: init.__code__.co_argcount - len(init.__defaults__ or ())]
    if not needed:
        return
    hint = ""
    if needed[0] in ("self", "cls"):
        hint = f"; for a value of each object: self.value = atfork.per_process(self.{init.__name__}), in __init__()"
    raise TypeError(f"init must need no arguments, but {init.__qualname__}() needs {', '.join(needed)}{hint}")


def register(
    *,
    name: str = "",
    priority: SupportsIndex = 0,
    prepare: Optional[Callback] = None,
    parent: Optional[Callback] = None,
    child: Optional[Callback] = None,
) -> Hook:
    """Registers up to three callbacks: before a fork, after it in the parent, and after it in the child.

    A low priority is nearer the base: prepared last, put right first.  Callables are kept until unregister().
    """
    _check_name(name)
    callbacks = tuple(
        None if value is None else _callback(phase, value)
        for phase, value in (("prepare", prepare), ("parent", parent), ("child", child))
    )
    if callbacks == (None, None, None):
        raise TypeError("at least one of prepare, parent and child is required")
    return Hook(name, _check_integer("priority", priority, PRIORITY_MIN, PRIORITY_MAX), callbacks)


def register_after_fork(func: Union[Callable[[], T], Symbol]) -> RegisteredFunction[T]:
    """Runs `func()` in each new process.  Returns a Hook; usable as a decorator, as that can be called as well."""
    return RegisteredFunction(func)


def symbol(library: Union[str, os.PathLike[str], None], name: str) -> Symbol:
    """A C function, `void function(void *data)`, of a shared library, which stays loaded; None: of the process itself.

    It runs directly inside fork(2), so it never waits for the interpreter.
    """
    path = os.fspath(library) if isinstance(library, os.PathLike) else library
    if path is not None and not isinstance(path, str):
        raise TypeError(f"library must be str, os.PathLike[str] or None, not {type(library).__name__}")
    if not isinstance(name, str):
        raise TypeError(f"name must be str, not {type(name).__name__}")
    if "\0" in name or "\0" in (path or ""):
        raise ValueError("a null character")
    return Symbol(path, name, _native.symbol(path, name))


def generation() -> int:
    """How many forks deep this process is: 0 at the root.  Right at once after any fork; costs next to nothing."""
    return _native.generation()


def lineage() -> str:
    """Which child of which child this process is: "0", "0.1", "0.2.1"."""
    return _native.lineage()


def seed(base: SupportsIndex) -> int:
    """An integer of 64 bits: distinct for each base and process, and the same from run to run.

    base: from -2**63 to 2**64 - 1; a negative one in two's complement, so that -1 is 2**64 - 1.
    """
    return _native.seed(_check_base("base", base) & 0xFFFF_FFFF_FFFF_FFFF)


def poll() -> int:
    """Runs the child callbacks that this process missed, as a fork made it that runs no handlers.  Returns how many."""
    return _native.poll()


def hooks() -> list[Info]:
    """All hooks of the process in run order, of whatever language."""
    return [Info(*fields) for fields in _native.hooks()]


def per_process(init: Callable[[], T]) -> PerProcess[T]:
    """A callable that returns what `init()` returned when it was first called in this process; also a decorator.

    It decorates functions, not methods: for a value of each object, pass a bound method to it in __init__().
    """
    if not callable(init):
        raise TypeError(f"init must be callable, not {type(init).__name__}")
    _check_needs_nothing(init)
    return PerProcess(init)


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


if _native.open():
    os.register_at_fork(
        before=_native.before,
        after_in_parent=_native.after_in_parent,
        after_in_child=_native.after_in_child,
    )
    atexit.register(_native.close)
    from . import _workers

    _workers.install()
