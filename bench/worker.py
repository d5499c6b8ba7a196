# SPDX-License-Identifier: MIT
"""A worker (worker.h): worker.py KIND HOOKS FORKS, KIND being atfork or register_at_fork.

Answers with ns: for a child hook, to register one, and for a child hook that is a C function.
"""
from __future__ import annotations

import gc
import os
import struct
import sys
import time
from typing import Any, Callable, List, Tuple

KIND = sys.argv[1]
HOOKS = int(sys.argv[2])
FORKS = int(sys.argv[3])


def make(i: int) -> Callable[[], int]:
    return lambda: i


# One for each, as programs have.
FUNCTIONS = [make(i) for i in range(HOOKS)]


def fork_ns() -> int:
    """From fork to the child's first own instruction."""
    reader, writer = os.pipe()
    start = time.monotonic_ns()
    pid = os.fork()
    if pid == 0:
        os.write(writer, struct.pack("q", time.monotonic_ns()))
        os._exit(0)
    os.close(writer)
    started: int = struct.unpack("q", os.read(reader, 8))[0]
    os.close(reader)
    os.waitpid(pid, 0)
    return started - start


def least_fork() -> int:
    """What else the machine does can only add to it."""
    return min(fork_ns() for _ in range(FORKS))


def dispatch(register: Callable[[Any], Any], callbacks: List[Any]) -> Tuple[float, float]:
    """What running them in a child, and registering them, takes for each."""
    gc.collect()
    empty = least_fork()
    start = time.monotonic_ns()
    kept = [register(callback) for callback in callbacks]
    registering = time.monotonic_ns() - start
    full = least_fork()
    return (full - empty) / len(kept), registering / len(kept)


def apart(measure: Callable[[], Tuple[float, float]]) -> Tuple[float, float]:
    """In a child of its own, as what os.register_at_fork() has registered cannot be taken back."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, struct.pack("dd", *measure()))
        os._exit(0)
    child, registering = struct.unpack("dd", os.read(reader, 16))
    os.close(reader)
    os.close(writer)
    os.waitpid(pid, 0)
    return child, registering


def answer_atfork() -> Tuple[float, float, float]:
    import atfork

    c_function = atfork.symbol(os.environ["BENCH_LIBRARY"], "bench_nothing")
    child, registering = apart(lambda: dispatch(lambda callback: atfork.register(child=callback), FUNCTIONS))
    c_child, _ = apart(lambda: dispatch(atfork.register_after_fork, [c_function] * HOOKS))
    return child, registering, c_child


def answer_register_at_fork() -> Tuple[float, float, float]:
    child, registering = apart(
        lambda: dispatch(lambda callback: os.register_at_fork(after_in_child=callback), FUNCTIONS)
    )
    return child, registering, float("nan")


answer = {"atfork": answer_atfork, "register_at_fork": answer_register_at_fork}[KIND]
for line in sys.stdin:
    if line != "go\n":
        break
    print(*answer(), flush=True)
