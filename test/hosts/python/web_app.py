# SPDX-License-Identifier: MIT
"""What gunicorn and uvicorn serve for web.py: the worker's place, what it drew first, and which hooks have run."""
from __future__ import annotations

import json
import os
import random
from typing import Any, Callable, Dict, Iterable, List

import atfork

BASE = 42
ran: List[str] = []
first: List[float] = []


@atfork.per_process
def generator() -> random.Random:
    """One that nobody else seeds."""
    return random.Random(atfork.seed(BASE, bits=256))


def describe() -> bytes:
    answer: Dict[str, Any] = {
        "pid": os.getpid(),
        "lineage": atfork.lineage(),
        "ran": ran,
        "first": first[0] if first else None,
        "expected": random.Random(atfork.seed(BASE, bits=256)).random(),
        "own": generator().random(),
    }
    return json.dumps(answer).encode()


def wsgi(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = describe()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope: Dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": describe()})
