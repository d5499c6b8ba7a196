# SPDX-License-Identifier: MIT
"""Values that belong to the process that made them."""
from __future__ import annotations

import _thread
import atexit
import functools
import sys
import types

from . import _native
from ._generic import Of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, TypeVar

    T = TypeVar("T")

# From _thread, to avoid the cost of importing threading; getattr, as type checkers know only threading.RLock.
RLock = getattr(_thread, "RLock")


class PerProcess(Of["T"]):
    """A value that is made once in each process; see per_process()."""

    # No annotations here: on an instance they would hide the function's.
    __slots__ = ("_made", "_locks", "_discard", "__dict__", "__weakref__")

    def __init__(self, make: Callable[[], T], discard: Optional[Callable[[T], object]]) -> None:
        self.__name__: str
        self.__qualname__: str
        self.__wrapped__: Callable[[], T]
        functools.update_wrapper(self, make, updated=())
        self._made: Any = None
        self._locks: dict[int, Any] = {}
        self._discard = discard

    def __call__(self) -> T:
        """The value of this process, made at the first call.  If that raises, the next call tries again."""
        made = self._made
        if made is not None and made.generation == _native.generation():
            value: T = made.value
            return value
        return self._make()

    def reset(self) -> None:
        """Forgets the value; the next call makes another.  Does nothing to a value that a parent made."""
        made = self._made
        if made is not None and not made.inherited:
            self._made = None

    def __reduce__(self) -> str:
        """Pickled by name, as functions are: each process makes its own value."""
        if "__qualname__" in self.__dict__:
            return self.__qualname__
        kind = type(self.__wrapped__).__name__
        raise TypeError(f"cannot pickle or copy a PerProcess of a {kind}, which has no name: decorate a function")

    def __repr__(self) -> str:
        """Does not show the value, which may be a secret."""
        return f"<atfork.PerProcess {self.__dict__.get('__qualname__', type(self.__wrapped__).__name__)}>"

    def _make(self) -> T:
        """Uses a lock of this process: a lock that a thread of the parent held would never be released."""
        now = _native.generation()
        lock = self._locks.setdefault(now, RLock())
        with lock:
            made = self._made
            if made is not None and made.generation == now:
                known: T = made.value
                return known
            self._locks = {now: lock}
            self._let_go(made)
            value = self.__wrapped__()
            self._made = _native.keep(value)
            _spare_at_exit()
            return value

    def _let_go(self, made: Any) -> None:
        """Called once for a value that a parent has made: without a discard it is kept for good."""
        self._made = None
        if made is None or not made.inherited or self._discard is None:
            return
        try:
            self._discard(made.value)
        except BaseException as error:
            _native.report(error, self._discard, "discard")
        else:
            made.release()


def per_process(make: Callable[[], T], discard: Optional[Callable[[T], object]] = None) -> PerProcess[T]:
    """A callable with one value for each process: what `make()` returned at the first call there.  Also a decorator.

    A child neither closes nor finalises its parent's value.  With `discard`, the child calls `discard(value)` once with
    the parent's value, before it makes its own, and then releases the parent's value.

    It decorates functions, not methods.  For a value of each object, pass a bound method to it in __init__().
    """
    if not callable(make):
        raise TypeError(f"make must be callable, not {type(make).__name__}")
    if discard is not None and not callable(discard):
        raise TypeError(f"discard must be callable or None, not {type(discard).__name__}")
    _check_needs_nothing(make)
    return PerProcess(make, discard)


def _check_needs_nothing(make: Callable[..., object]) -> None:
    """Raises here rather than at the first call.  Only for plain functions: others may hide what they need."""
    if not isinstance(make, types.FunctionType):
        return
    needed = make.__code__.co_varnames[: make.__code__.co_argcount - len(make.__defaults__ or ())]
    if not needed:
        return
    hint = ""
    if needed[0] in ("self", "cls"):
        hint = f"; for a value of each object: self.value = atfork.per_process(self.{make.__name__}), in __init__()"
    raise TypeError(f"make must need no arguments, but {make.__qualname__}() needs {', '.join(needed)}{hint}")


# At the exit of every process, also of a child, weakref.finalize calls what is registered for objects that are alive.


def _spare_at_exit() -> None:
    """Makes _spare() run before these finalizers: the last one registered runs first."""
    if "weakref" in sys.modules:
        atexit.unregister(_spare)
        atexit.register(_spare)


def _spare() -> None:
    """Called at the end of a child: values that its parents have made are not finalised here."""
    import weakref

    registered = list(getattr(weakref.finalize, "_registry"))
    pending = {id(target): each for each in registered for target in (each.peek() or ())[:1]}
    inherited = _native.inherited() if pending else []
    for each in _reachable(inherited) if inherited else ():
        if id(each) in pending:
            pending[id(each)].atexit = False


def _reachable(objects: list[Any]) -> list[Any]:
    """These objects and all that they refer to, except through modules, classes and functions, which are shared."""
    import gc

    shared = (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType)
    seen = {id(each) for each in objects}
    for each in objects:
        for held in gc.get_referents(each):
            if id(held) not in seen and not isinstance(held, shared):
                seen.add(id(held))
                objects.append(held)
    return objects
