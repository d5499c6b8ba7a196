# SPDX-License-Identifier: MIT
"""Workers that multiprocessing, or joblib's loky, spawns: the token travels with the process object.

Under spawn and forkserver a worker imports the main module, unpickles its process object, which imports what the target
needs, and calls its run().  The object goes packed with a token; unpacking it imports atfork there, and has the worker
take its place when run() is called.  (multiprocessing.util's registry does no longer run in spawned workers.)

A fork server that has atfork among what it preloads is a place in the tree itself, as its workers are forks of it.
"""
from __future__ import annotations

import functools
import os
import sys

from . import _native
from ._imports import when_imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from typing import Any, Callable

# "PID TOKEN": the process that launches a fork server, and the server's token.  Whoever imports atfork there takes it
# out of the environment.
SERVER_TOKEN = "ATFORK_FORKSERVER_TOKEN"

# Dask's workers get theirs from atfork.dask, and it must be theirs again after a restart.
NUMBERED_ELSEWHERE = "Dask Worker process"


class Packed:
    """Stands in for a process object while it is pickled."""

    def __init__(self, process: BaseProcess, token: str) -> None:
        self._process = process
        self._token = token

    def __getattr__(self, name: str) -> Any:
        """What is to be known of it before."""
        return getattr(self._process, name)

    def __reduce__(self) -> tuple[Callable[[BaseProcess, str], BaseProcess], tuple[BaseProcess, str]]:
        return unpack, (self._process, self._token)


def unpack(process: BaseProcess, token: str) -> BaseProcess:
    """In the worker, before it runs.  Its class is the caller's, so this is about the one object."""
    worker: Any = process

    def arrive_and_run() -> None:
        del worker.run
        arrive(token)
        worker.run()

    worker.run = arrive_and_run
    return process


def arrive(token: str) -> None:
    """In the worker, as it starts."""
    # If not, it was forked by a server that has a place: then only what it has imported since is to be run.
    if not take_place(token):
        _native.start()


def take_place(token: str) -> bool:
    is_taken = _native.spawned(token) == 0
    if is_taken:
        _native.arrived()
    return is_taken


def launch_packed(launch: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    @functools.wraps(launch)
    def launch_with_token(popen: Any, process: BaseProcess) -> None:
        if process.name.startswith(NUMBERED_ELSEWHERE):
            launch(popen, process)
        else:
            launch(popen, Packed(process, _native.token()))

    return launch_with_token


def will_launch(server: Any) -> bool:
    pid = server._forkserver_pid
    if pid is None:
        return True
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def preloads(server: Any) -> bool:
    """Python before 3.13.8 means to preload the main module, but never does; later ones do if that is a file."""
    modules = server._preload_modules
    if modules != ["__main__"]:
        return bool(modules)
    from multiprocessing import spawn

    return sys.version_info >= (3, 13, 8) and "init_main_from_path" in spawn.get_preparation_data("ignore")


def ensure_placed(ensure_running: Callable[[Any], None]) -> Callable[[Any], None]:
    """A server that preloads nothing never sees atfork, and needs no token."""

    @functools.wraps(ensure_running)
    def ensure_running_with_token(server: Any) -> None:
        if not will_launch(server) or not preloads(server):
            ensure_running(server)
            return
        os.environ[SERVER_TOKEN] = f"{os.getpid()} {_native.token()}"
        try:
            ensure_running(server)
        finally:
            os.environ.pop(SERVER_TOKEN, None)

    return ensure_running_with_token


def is_server_of(client: str) -> bool:
    """A worker has its server's arguments and environment, too, but its parent is the server, not the client."""
    command = getattr(sys, "orig_argv", ["multiprocessing.forkserver"])
    return client == str(os.getppid()) and any("multiprocessing.forkserver" in argument for argument in command)


def pack_launches(module: Any) -> None:
    module.Popen._launch = launch_packed(module.Popen._launch)


def place_servers(module: Any) -> None:
    module.ForkServer.ensure_running = ensure_placed(module.ForkServer.ensure_running)
    # A bound method, and so made before.
    module.ensure_running = module._forkserver.ensure_running


LAUNCHERS = (
    "multiprocessing.popen_spawn_posix",
    "multiprocessing.popen_forkserver",
    "loky.backend.popen_loky_posix",
    "joblib.externals.loky.backend.popen_loky_posix",
)


def install() -> None:
    client, _, token = os.environ.pop(SERVER_TOKEN, "").partition(" ")
    if client and is_server_of(client):
        take_place(token)
    for name in LAUNCHERS:
        when_imported(name, pack_launches)
    when_imported("multiprocessing.forkserver", place_servers)
