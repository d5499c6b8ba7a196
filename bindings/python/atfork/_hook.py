# SPDX-License-Identifier: MIT
"""Hooks that call functions, methods and C functions, with owners and keys."""
from __future__ import annotations

import functools
import types
from _weakref import ref

from . import _native
from ._generic import Of
from ._places import integer
from ._symbol import Symbol, c_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Hashable, Optional, SupportsIndex, TypeVar, Union

    T = TypeVar("T")

PRIORITY_MIN = -32768
PRIORITY_MAX = 32767

if TYPE_CHECKING:
    from ._native import Hook
else:
    Hook = _native.Hook = _native.make_hook_type()


def method(function: Any) -> Any:
    """The class is native, and is not subclassed here: the garbage collector would track the subclass's objects."""
    function.__qualname__ = f"Hook.{function.__name__}"
    setattr(Hook, function.__name__, function)
    return function


@method
def __init__(self: Hook) -> None:
    raise TypeError("use register() to make a hook")


@method
def unregister(self: Hook) -> bool:
    """Unregisters the hook; False if it was unregistered before.  Waits for forks under way in other threads.

    Inside a callback it does not wait, and the hook still gets the rest of the fork that is under way.
    """
    if not isinstance(self, Hook):
        raise TypeError(f"unregister() is a method of hooks, not of {type(self).__name__}")
    return _native.unregister(self)


@method
def __enter__(self: Hook) -> Hook:
    return self


@method
def __exit__(self: Hook, *error: object) -> None:
    """Unregisters the hook."""
    self.unregister()


@method
def __repr__(self: Hook) -> str:
    return f"<atfork.Hook {self.name!r} priority={self.priority} id={self.id:#x}>"


@method
def __reduce__(self: Hook) -> Any:
    """Refuses: in another process the id means another hook, and in this one a copy could unregister the hook."""
    kind = type(self).__name__
    raise TypeError(f"cannot pickle or copy {kind} objects: a hook belongs to its process; register another one there")


class RegisteredFunction(Hook, Of["T"]):
    """What register_after_fork() returns: a hook that can be called as the function, so it is usable as a decorator.

    It has a reference to the function, so it can also be called after unregister().  Of a bound method it has a weak
    reference: the hook ends when the method's object is collected.
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
        enter(self, child=function)

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
                raise ReferenceError("the method's object has been collected")
            return method
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        if not self.__dict__.keys() & {"__wrapped__", "_method"}:
            raise TypeError("this is a C function, which Python cannot call")
        return self.__wrapped__(*args, **kwargs)

    def __reduce__(self) -> Any:
        """Pickled by name, as functions are.  A hook of a function without a name cannot be pickled."""
        return self.__qualname__ if "__qualname__" in self.__dict__ else super().__reduce__()


def register(
    *,
    name: str = "",
    priority: SupportsIndex = 0,
    prepare: Any = None,
    parent: Any = None,
    child: Any = None,
    key: Optional[Hashable] = None,
    owner: Optional[object] = None,
) -> Hook:
    """The native register() calls this if its arguments are not plain functions, name and priority."""
    return enter(Hook.__new__(Hook), name, priority, prepare, parent, child, key, owner)


def enter(
    hook: Hook,
    name: str = "",
    priority: SupportsIndex = 0,
    prepare: Any = None,
    parent: Any = None,
    child: Any = None,
    key: Optional[Hashable] = None,
    owner: Optional[object] = None,
) -> Hook:
    """Checks all arguments before anything changes."""
    _check_name(name)
    owners = Owners(hook, owner)
    given = {"prepare": prepare, "parent": parent, "child": child}
    callbacks = tuple(None if value is None else _callback(phase, value, owners) for phase, value in given.items())
    if not any(callback is not None for callback in callbacks):
        raise TypeError("at least one of prepare, parent and child is required")
    number = integer("priority", priority, PRIORITY_MIN, PRIORITY_MAX)
    _native.enter(hook, name, number, key, owners.references or None, callbacks)
    return hook


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be str, not {type(name).__name__}")
    if str.__contains__(name, "\0"):  # whatever a subclass says
        raise ValueError("name contains a null character")
    str.encode(name)


class Owners:
    """Weak references to the objects whose end ends the hook."""

    def __init__(self, hook: Hook, owner: Optional[object]) -> None:
        self.owner = owner
        self.references: list[Any] = []
        self._gone = functools.partial(_native.forget, hook)
        if owner is not None:
            try:
                self.reference(owner)
            except TypeError:
                kind = type(owner).__name__
                raise TypeError(f"owner must allow weak references, but {kind} does not") from None

    def reference(self, target: object) -> Any:
        for known in self.references:
            if known() is target:
                return known
        self.references.append(ref(target, self._gone))
        return self.references[-1]


def _callback(phase: str, value: Any, owners: Owners) -> Any:
    """In the form of the native part: a callable; a method as (weak reference, function); or a C function."""
    if not isinstance(value, types.MethodType):
        return c_function(phase, value)
    if owners.owner is not None and owners.owner is not value.__self__:
        return value
    try:
        return owners.reference(value.__self__), value.__func__
    except TypeError:  # its object allows no weak reference
        return value
