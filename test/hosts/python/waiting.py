# SPDX-License-Identifier: MIT
"""What tests with real servers have in common."""
from __future__ import annotations

import socket
import time
from typing import Any, Callable

from tap import PATIENCE


def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives, when that is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        got = condition()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError("it took too long")


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])
