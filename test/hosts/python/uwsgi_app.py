# SPDX-License-Identifier: MIT
"""What server.py has served: who answers, and which child hooks have run there."""
from __future__ import annotations

import json
import os
from typing import Any, Callable, Iterable, List

import atfork

ran: List[int] = []
connection = atfork.per_process(lambda: f"a connection of {os.getpid()}")


@atfork.register_after_fork
def note() -> None:
    ran.append(os.getpid())


def application(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
    answer = {
        "pid": os.getpid(),
        "ran": ran,
        "lineage": atfork.lineage(),
        "generation": atfork.generation(),
        "seed": atfork.seed(42),
        "connection": connection(),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
