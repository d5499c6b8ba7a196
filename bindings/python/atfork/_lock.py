# SPDX-License-Identifier: MIT
"""Locks that are held across forks, so that each child finds them free, and what they guard whole."""
from __future__ import annotations

import sys

from . import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, SupportsIndex

    from ._native import Hook

PATIENCE = 0.1  # s

# The locks that forks have taken, by the ticket of the fork: one that is registered twice is taken once.
_held: set[tuple[int, int]] = set()


class NotNow:
    """What a prepare returns whose lock another thread has, perhaps one that waits for a lock prepared already.

    All that was prepared is then undone, wait() is called until it returns True, as it has taken the lock, and the
    others are prepared after that.
    """

    __slots__ = ("wait",)

    def __init__(self, wait: Callable[[], bool]) -> None:
        self.wait = wait


def register_lock(lock: Any, priority: SupportsIndex = 0) -> Hook:
    """Holds the lock across forks: takes it before, lets go of it afterwards in both processes.

    A lock that another thread has is waited for with no other one held that this took: so threads may take such locks
    in any order.  Of what it did not take it does not let go.  Where no prepare ran, as C code has forked, the child
    makes an RLock free whose thread is gone; a Lock does not know whose it is, and stays as it was.

    lock: Lock, RLock, Condition, Semaphore, those of gevent, and what else has their acquire(blocking, timeout) and
    release()
    """
    for name in ("acquire", "release"):
        if not callable(getattr(lock, name, None)):
            raise TypeError(f"lock must have acquire() and release(), but {type(lock).__name__} does not")
    taken: set[int] = set()  # by which forks

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
    """A Lock does not know whose it is; when there is no other thread, it is this one's, and waited for in vain."""
    # By its name, as gevent puts its own in the place of the type.
    kind = type(lock)
    return (kind.__module__, kind.__name__) == ("_thread", "lock") and len(sys._current_frames()) == 1


def _make_usable(lock: Any) -> None:
    """In a child, of a lock that was not taken: another thread may have had it, which is gone."""
    inner = getattr(lock, "_lock", lock)  # a Condition's
    reinit = getattr(lock, "_at_fork_reinit", None)
    if reinit is None or not hasattr(inner, "_is_owned"):
        return
    if lock.acquire(blocking=False):
        lock.release()
    else:
        reinit()
