# SPDX-License-Identifier: MIT
"""What tests with real servers have in common."""
from __future__ import annotations

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
