# SPDX-License-Identifier: MIT
"""Workers that multiprocessing or joblib's loky spawns: the token is passed with the process object.

Under spawn and forkserver a worker imports the main module, unpickles its process object, which imports what the target
needs, and calls its run().  The object is packed with a token.  Unpacking it imports atfork in the worker, and makes
the worker take its place when run() is called.  (multiprocessing.util's registry no longer runs in spawned workers.)

If a fork server preloads atfork, the server itself has a place in the tree, as its workers are its forks.
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

# "PID TOKEN": the process that launches a fork server, and the server's token.  Importing atfork in the server removes
# it from the environment.
SERVER_TOKEN = "ATFORK_FORKSERVER_TOKEN"

# Dask's workers get their places from atfork.dask, and get the same places again after a restart.
NUMBERED_ELSEWHERE = "Dask Worker process"


class Packed:
    """Replaces a process object while it is pickled."""

    def __init__(self, process: BaseProcess, token: str) -> None:
        self._process = process
        self._token = token

    def __getattr__(self, name: str) -> Any:
        """Attributes of the process object that are read before."""
        return getattr(self._process, name)

    def __reduce__(self) -> tuple[Callable[[BaseProcess, str], BaseProcess], tuple[BaseProcess, str]]:
        return unpack, (self._process, self._token)


def unpack(process: BaseProcess, token: str) -> BaseProcess:
    """Called in the worker, before it runs.  Changes only this object, as the class may be the user's."""
    worker: Any = process

    def arrive_and_run() -> None:
        del worker.run
        arrive(token)
        worker.run()

    worker.run = arrive_and_run
    return process


def arrive(token: str) -> None:
    """Called in the worker when it starts."""
    # If not, a server with a place has forked it: then only hooks that it has registered since are run.
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
    """Python before 3.13.8 lists the main module, but never preloads it; later versions do if it is a file."""
    modules = server._preload_modules
    if modules != ["__main__"]:
        return bool(modules)
    from multiprocessing import spawn

    return sys.version_info >= (3, 13, 8) and "init_main_from_path" in spawn.get_preparation_data("ignore")


def ensure_placed(ensure_running: Callable[[Any], None]) -> Callable[[Any], None]:
    """A server that preloads nothing never imports atfork, and needs no token."""

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
    """A worker also has its server's arguments and environment, but its parent is the server, not the client."""
    command = getattr(sys, "orig_argv", ["multiprocessing.forkserver"])
    return client == str(os.getppid()) and any("multiprocessing.forkserver" in argument for argument in command)


def pack_launches(module: Any) -> None:
    module.Popen._launch = launch_packed(module.Popen._launch)


def place_servers(module: Any) -> None:
    module.ForkServer.ensure_running = ensure_placed(module.ForkServer.ensure_running)
    # This is a bound method, so it has to be made again.
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
