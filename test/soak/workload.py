# SPDX-License-Identifier: MIT
"""What gunicorn and uWSGI serve in the soak: who answers, and which hooks have run there; and the work of a path.

Without SOAK_PROBE in the environment it is a server without the library.
"""
from __future__ import annotations

import gc
import json
import os
import random
from typing import Any, Callable, Dict, Iterable, List

PROBE = os.environ.get("SOAK_PROBE")
SPACE = 8 << 20  # bytes

if PROBE:
    import ctypes

    import atfork

    probe: Any = ctypes.PyDLL(PROBE)  # holds the GIL: other threads do not see that there is no memory
    for name in ("describe", "churn", "plugin", "exhaust"):
        getattr(probe, f"probe_{name}").restype = ctypes.c_char_p

    order: Dict[int, str] = {}  # which hooks ran, by process
    drawn: Dict[int, str] = {}
    made: List[int] = []

    def note(letter: str) -> None:
        order[os.getpid()] = order.get(os.getpid(), "") + letter

    def first() -> None:
        for other in [pid for pid in order if pid != os.getpid()]:
            del order[other]  # a master's map would grow with each generation
        drawn.clear()
        note("1")

    def second() -> None:
        note("2")
        drawn[os.getpid()] = str(random.Random(atfork.seed(bits=128)).getrandbits(64))

    atfork.register(name="script 1", child=first)
    atfork.register(name="script 2", priority=5, prepare=lambda: None, child=second)

    @atfork.per_process
    def connection() -> int:
        made.append(os.getpid())
        return os.getpid()

    if probe.probe_register() != 0:
        raise MemoryError("probe_register")


def describe() -> Dict[str, Any]:
    if not PROBE:
        return {"pid": os.getpid()}
    owner = connection()
    return {
        "pid": os.getpid(),
        "c": json.loads(probe.probe_describe()),
        "order": order.get(os.getpid(), ""),
        "lineage": atfork.lineage(),
        "generation": atfork.generation(),
        "random": drawn.get(os.getpid(), ""),
        "connection": [owner, made.count(os.getpid())],
    }


def fork() -> Any:
    """What a child says of itself."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.write(writer, json.dumps(describe()).encode())
        finally:
            os._exit(0)  # where the parent was told to end, too: a child that went on would serve requests
    os.close(writer)
    with open(reader) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def space() -> None:
    bytearray(SPACE).replace(b"\0", b"\1")


def registered() -> str:
    """Hundreds of hooks of the script's, of which each is let go."""
    hooks = [atfork.register(priority=number % 7, child=lambda: None) for number in range(300)]
    good = [hook.unregister() for hook in hooks]
    gc.collect()
    return "" if all(good) else "error: a hook was gone already"


def work(path: str) -> Dict[str, Any]:
    if path == "/space":
        space()
    elif not PROBE:
        pass
    elif path == "/fork":
        return {"child": fork()}
    elif path == "/scripted":
        return {"wrong": registered()}
    elif path != "/":
        return {"wrong": getattr(probe, f"probe_{path[1:]}")().decode()}
    return {}


def application(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    done = work(environ["PATH_INFO"])
    body = json.dumps({**describe(), **done}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
