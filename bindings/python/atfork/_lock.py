# SPDX-License-Identifier: MIT
"""Locks that are held across forks, so that each child finds them free, and the data that they guard complete."""
from __future__ import annotations

import functools
import sys

from . import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, SupportsIndex

    from ._native import Hook

PATIENCE = 0.1  # s

# The locks that forks have taken: a lock that is registered twice is taken once.
_held: set[tuple[int, int]] = set()


class NotNow:
    """A prepare returns this if another thread has its lock.  This thread may wait for a lock that was prepared before.

    All that was prepared is then undone.  wait() is called until it returns True, when it has taken the lock.  The
    other hooks are prepared after that.
    """

    __slots__ = ("wait",)

    def __init__(self, wait: Callable[[], bool]) -> None:
        self.wait = wait


def register_lock(lock: Any, priority: SupportsIndex = 0) -> Hook:
    """Holds the lock across forks: takes it before a fork, and releases it afterwards in both processes.

    If another thread has the lock, the fork waits for it while it holds no other registered lock.  So threads may take
    such locks in any order.  The fork releases only what it has taken.  If C code forks, no prepare runs.  Then the
    child makes an RLock of a lost thread free.  A Lock does not know its owner, and stays as it was.

    lock: Lock, RLock, Condition, Semaphore, those of gevent, and other objects with acquire(blocking, timeout) and
    release()
    """
    for name in ("acquire", "release"):
        if not callable(getattr(lock, name, None)):
            raise TypeError(f"lock must have acquire() and release(), but {type(lock).__name__} does not")
    taken: dict[int, tuple[Any, ...]] = {}

    def prepare() -> object:
        return None if _native.take(lock, (False,), _held, taken) else NotNow(wait)

    def wait() -> bool:
        return _native.take(lock, (True, PATIENCE), _held, taken) or _is_own(lock)

    # No functions of Python's, which a signal handler may end before they begin.
    parent = functools.partial(_native.let_go, lock, _held, taken, None)
    child = functools.partial(_native.let_go, lock, _held, taken, _make_usable)
    return _native.register(name="lock", priority=priority, prepare=prepare, parent=parent, child=child)


def _is_own(lock: Any) -> bool:
    """A Lock does not know its owner.  If there is no other thread, this thread has it, and must not wait for it."""
    # By the name of the type, as gevent replaces the type itself.
    kind = type(lock)
    return (kind.__module__, kind.__name__) == ("_thread", "lock") and len(sys._current_frames()) == 1


def _make_usable(lock: Any) -> None:
    """In a child, for a lock that the fork has not taken: a lost thread may have had it."""
    inner = getattr(lock, "_lock", lock)  # a Condition's
    reinit = getattr(lock, "_at_fork_reinit", None)
    if reinit is None or not hasattr(inner, "_is_owned"):
        return
    if lock.acquire(blocking=False):
        lock.release()
    else:
        reinit()
