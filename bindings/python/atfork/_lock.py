# SPDX-License-Identifier: MIT
"""Locks that are held across forks, so that each child finds them free, and the data that they guard complete."""
from __future__ import annotations

import sys

from . import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, SupportsIndex

    from ._native import Hook

PATIENCE = 0.1  # s

# The locks that forks have taken, by the ticket of the fork: a lock that is registered twice is taken once.
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
    taken: set[int] = set()  # the tickets of forks that have taken the lock

    def note() -> None:
        ticket = _native.ticket()
        taken.add(ticket)
        _held.add((ticket, id(lock)))

    def prepare() -> object:
        if (_native.ticket(), id(lock)) not in _held:
            if not lock.acquire(False):
                return NotNow(wait)
            note()
        return None

    def wait() -> bool:
        if not lock.acquire(True, PATIENCE):
            return _is_own(lock)
        note()
        return True

    def let_go() -> bool:
        ticket = _native.ticket()
        is_ours = ticket in taken
        if is_ours:
            taken.discard(ticket)
            _held.discard((ticket, id(lock)))
            lock.release()
        return is_ours

    def child() -> None:
        if not let_go():
            _make_usable(lock)

    return _native.register(name="lock", priority=priority, prepare=prepare, parent=let_go, child=child)


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
