# SPDX-License-Identifier: MIT
"""The place of this process in the tree of processes, and its seeds."""
from __future__ import annotations

import operator
import os
import sys

from . import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, Optional, SupportsIndex, Union

WORD = 0xFFFF_FFFF_FFFF_FFFF
BITS_MAX = 65536


def integer(what: str, value: SupportsIndex, least: int, most: int) -> int:
    try:
        number = int(operator.index(value))
    except TypeError:
        raise TypeError(f"{what} must be int, not {type(value).__name__}") from None
    if not least <= number <= most:
        raise ValueError(f"{what} must be from {least} to {most}")
    return number


def place() -> str:
    """How this process has got its place: "root", "forked", "spawned", "adopted" or "unknown".

    "unknown": atfork was imported after a fork by a process that runs the same program.  There are likely to be more
    such processes, which all take themselves for the root, and have the same seeds.
    """
    return _native.place()


def run() -> int:
    """A number for this run of the whole tree of processes: another one in each run, unless ATFORK_RUN repeats one."""
    return _native.run()


def check_base(base: SupportsIndex, what: str = "base") -> int:
    return integer(what, base, -(2**63), 2**64 - 1) & WORD


def _base(base: Optional[SupportsIndex]) -> int:
    if _native.place_is_to_be_warned_of():
        _warn()
    return _native.run() if base is None else check_base(base)


def _warn() -> None:
    """Warns at the line that asked for the seed."""
    import warnings

    depth, frame = 3, sys._getframe(2)
    while frame is not None and frame.f_globals.get("__package__") == __package__:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    message = (
        "this process does not know its place in the tree of processes, as atfork was imported after the fork: "
        "its seeds may be those of other processes.  Import atfork before the fork, or call atfork.adopt() with this "
        "worker's number"
    )
    warnings.warn(message, RuntimeWarning, stacklevel=depth)


def seed(base: Optional[SupportsIndex] = None, bits: SupportsIndex = 64) -> int:
    """An integer of so many bits.  It differs for each base and process, and is the same from run to run.

    base: from -2**63 to 2**64 - 1; a negative base in two's complement, so -1 is 2**64 - 1.  None means run(): then the
    seed differs from run to run, too.
    bits: from 1 to 64, or a multiple of 8 up to 65536.  Generators take 128 and more.  Of 100,000 seeds with 32 bits,
    two are probably the same.
    """
    number = _base(base)
    count = integer("bits", bits, 1, BITS_MAX)
    if count <= 64:
        return _native.seed(number) & ((1 << count) - 1)
    if count % 8 != 0:
        raise ValueError("bits must be a multiple of 8 beyond 64")
    return int.from_bytes(_native.seed_bytes(number, count // 8), "little")


def seed_bytes(base: Optional[SupportsIndex] = None, n: SupportsIndex = 32) -> bytes:
    """So many bytes of seed; 256 bits of them depend on base and process.  base: as for seed()."""
    number = _base(base)
    return _native.seed_bytes(number, integer("n", n, 0, 2**37))


def token() -> str:
    """A token for the next worker that this process spawns, for its spawned().  multiprocessing's workers need none."""
    return _native.token()


def child_token(token: str, n: SupportsIndex) -> str:
    """The token for the n-th child, from 1, of the process that `token` is for: for launchers that number workers."""
    _check_text("token", token)
    number = integer("n", n, 1, WORD)
    try:
        return _native.child_token(token, number)
    except OSError:
        raise ValueError("the token was not made by atfork") from None


def environment() -> dict[str, str]:
    """A copy of os.environ with a token in it, for one worker: subprocess.Popen(…, env=atfork.environment())."""
    return {**os.environ, "ATFORK_TOKEN": token()}


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be str, not {type(value).__name__}")
    if not value.isascii() or "\0" in value:
        raise ValueError(f"the {what} was not made by atfork")


def spawned(token: Optional[str] = None) -> None:
    """In a worker that was spawned: takes its place in the tree, and runs the child callbacks registered so far.

    token: None reads ATFORK_TOKEN.  ValueError: there is no token, or it was not made by atfork.  RuntimeError: this
    process was forked by a process that had atfork, or has taken a place before.
    """
    if token is not None:
        _check_text("token", token)
    error = _native.spawned(token)
    if error != 0:
        missing = token is None and "ATFORK_TOKEN" not in os.environ
        _refuse(error, "there is no token: ATFORK_TOKEN is not set" if missing else "the token was not made by atfork")
    if token is None:
        os.environ.pop("ATFORK_TOKEN", None)
    _native.arrived()


def adopt(rank: Union[SupportsIndex, str, None] = None) -> None:
    """In a worker that its launcher has numbered: takes the place "0.r3" for 3, and runs the child callbacks.

    rank: from 0, as a number or as decimal digits; None reads the launcher's variables (Slurm, PMIx, Open MPI, MPICH,
    Flux, torchrun, Kubernetes …).  ValueError: it is not a number, there is none, or two launchers give different
    numbers.  RuntimeError: this process was forked by a process that had atfork, or has taken a place before.
    """
    text = rank if rank is None or isinstance(rank, str) else str(integer("rank", rank, 0, WORD))
    wrong = f"rank must be a decimal number below 2^64 without leading zeros, not {rank!r}"
    if text is not None and (not text.isascii() or "\0" in text):
        raise ValueError(wrong)
    error = _native.adopt(text)
    if error != 0:
        launcher = _native.launcher()
        if rank is None:
            wrong = "no launcher has numbered this process: give its rank"
        if rank is None and launcher:
            wrong = f"launchers give different ranks, or no number: {launcher}"
        _refuse(error, wrong)
    _native.arrived()


def _refuse(error: int, wrong: str) -> NoReturn:
    import errno

    if error == errno.EALREADY:
        raise RuntimeError("this process was forked by a process that had atfork, or has taken a place before")
    raise ValueError(wrong)
