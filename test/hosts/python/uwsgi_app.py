# SPDX-License-Identifier: MIT
"""What server.py has served: who answers, and which child hooks have run there.  At /meet/PORT it says so there too, and
answers when it is let go."""
from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any, Callable, Iterable, List

import atfork

ran: List[int] = []
connection = atfork.per_process(lambda: f"a connection of {os.getpid()}")


@atfork.register_after_fork
def note() -> None:
    ran.append(os.getpid())


if "ADOPT" in os.environ:
    import uwsgi

    atfork.adopt(uwsgi.worker_id())


def meet(port: int) -> None:
    """Over when the other side ends it, or is gone already."""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as meeting:
        meeting.sendall(b"%d\n" % os.getpid())
        meeting.recv(1)


def application(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
    answer = {
        "pid": os.getpid(),
        "ran": ran,
        "lineage": atfork.lineage(),
        "run": atfork.run(),
        "place": atfork.place(),
        "generation": atfork.generation(),
        "seed": atfork.seed(42),
        "connection": connection(),
    }
    if environ["PATH_INFO"].startswith("/meet/"):
        meet(int(environ["PATH_INFO"].rpartition("/")[2]))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
