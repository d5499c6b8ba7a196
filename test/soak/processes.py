# SPDX-License-Identifier: MIT
"""Processes of this machine, by /proc; and programs of ours, of which none is left behind."""
from __future__ import annotations

import ctypes
import os
import pathlib
import signal
import sys
import time
from typing import Dict, List, NamedTuple, Optional, Set

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=wrong-import-position

PATIENCE: int = tap.PATIENCE
PR_SET_CHILD_SUBREAPER, PR_SET_THP_DISABLE = 36, 41


class Memory(NamedTuple):
    """In KiB.  What a process has of its own, and its share, change when another ends with which it shared pages; what
    is anonymous (heap and stacks, shared with a parent or not) changes when the process itself takes more."""

    anonymous: int
    own: int
    share: int


def prctl(option: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def adopt_orphans() -> None:
    """A server that executes itself in a child (unicorn), and workers whose parent is killed, become our children."""
    prctl(PR_SET_CHILD_SUBREAPER)


def use_small_pages() -> None:
    """The kernel makes 2 MiB of a page where it likes: the memory of what we start does not jump by that."""
    prctl(PR_SET_THP_DISABLE)


def reap() -> None:
    """All that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def start(command: List[str], directory: pathlib.Path, environment: Dict[str, str]) -> int:
    """A program in a process group of its own, so that Ctrl-C comes to us alone."""
    log = str(directory / "log")
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    command = ["env", "-C", str(directory), *command]
    return os.posix_spawnp("env", command, environment, file_actions=actions, setpgroup=0)


def children(pid: int) -> List[int]:
    """Those of each of its threads."""
    found: List[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # it has ended, or a thread of it
    return found


def descendants(pid: int) -> List[int]:
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def birth(pid: int) -> Optional[int]:
    """When it began, in ticks: with the pid it names a process for good.  None if there is none, or it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if not fields or fields[0] in "ZX" else int(fields[19])


def memory(pid: int) -> Optional[Memory]:
    sizes: Dict[str, int] = {}
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file.readlines()[1:]:
                name, size = line.split()[:2]
                sizes[name] = int(size)
    except OSError:
        return None
    if "Anonymous:" not in sizes:
        return None
    return Memory(sizes["Anonymous:"], sizes["Private_Clean:"] + sizes["Private_Dirty:"], sizes["Pss:"])


def send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_for_none(pids: Set[int], seconds: float) -> Set[int]:
    """Which are left."""
    deadline = time.monotonic() + seconds
    while True:
        reap()
        pids = {pid for pid in pids if birth(pid) is not None}
        if not pids or time.monotonic() > deadline:
            return pids
        time.sleep(0.05)


def end_all(masters: Dict[int, int]) -> List[int]:
    """Ends each master by its own signal, and then whatever else descends from us.  Who had to be killed."""
    for pid, number in masters.items():
        send(pid, number)
    wait_for_none(set(masters), PATIENCE)
    left = wait_for_none(set(descendants(os.getpid())), 1)
    for pid in left:
        send(pid, signal.SIGKILL)
    # What a process forks while it is killed.
    while wait_for_none(set(descendants(os.getpid())), 1):
        for pid in descendants(os.getpid()):
            send(pid, signal.SIGKILL)
    return sorted(left)
