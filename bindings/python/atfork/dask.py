# SPDX-License-Identifier: MIT
"""A place in the tree of processes for each worker of a Dask cluster.

    client.wait_for_workers(4)
    client.register_plugin(atfork.dask.WorkerPlugin(base_seed=42))  # register_worker_plugin() before Dask 2023.9.2

The client takes one number for the cluster, for example "0.1".  Its workers are "0.1.1", "0.1.2", … in the order of
their names, as of the registration of the plugin.  A worker that joins later gets the next number; a worker that is
restarted gets its number again.  So give workers names; otherwise their addresses are their names.
"""
from __future__ import annotations

import importlib
import importlib.util
import logging
import random
from typing import Any, Callable, Dict, List, SupportsIndex, Tuple

from distributed.diagnostics.plugin import WorkerPlugin as Plugin
from distributed.protocol import pickle

import atfork
from atfork._places import check_base

__all__ = ["WorkerPlugin"]

pack: Callable[[object], bytes] = pickle.dumps
log = logging.getLogger("distributed.worker.atfork")


def place(name: object) -> Tuple[int, int, str]:
    """A key that sorts numbers as numbers."""
    if isinstance(name, int):
        return (0, name, "")
    return (1, 0, str(name))


def number(name: Any, dask_scheduler: Any = None) -> int:
    """The number of the worker with this name.  Runs in the scheduler, which knows all workers."""
    numbers: Dict[Any, int] = dask_scheduler.extensions.setdefault("atfork", {})
    names: List[Any] = sorted((worker.name for worker in dask_scheduler.workers.values()), key=place)
    for known in [*names, name]:
        numbers.setdefault(known, len(numbers) + 1)
    return numbers[name]


class WorkerPlugin(Plugin):
    """Gives each worker its place, and seeds `random` and numpy.random with atfork.seed(base_seed) there.

    It also seeds them in each process that the worker forks.
    """

    name = "atfork"

    def __init__(self, base_seed: SupportsIndex) -> None:
        self.base_seed = check_base(base_seed, "base_seed")
        self._token = atfork.token()

    async def setup(self, worker: Any) -> None:
        answer = await worker.scheduler.run_function(function=pack(number), args=pack((worker.name,)))
        if answer["status"] != "OK":
            raise RuntimeError(f"the scheduler cannot number worker {worker.name}: it needs atfork too")
        self._take_place(answer["result"])
        self._hook = atfork.register(name="atfork.dask", child=self._reseed)
        self._reseed()

    def teardown(self, worker: Any) -> None:
        self._hook.unregister()

    def _take_place(self, number: int) -> None:
        try:
            atfork.spawned(atfork.child_token(self._token, number))
        except RuntimeError:
            log.warning("this worker has a place in the tree of processes already: %s", atfork.lineage())

    def _reseed(self) -> None:
        seed = atfork.seed(self.base_seed, bits=128)
        random.seed(seed)
        if importlib.util.find_spec("numpy"):
            words = [seed >> shift & 0xFFFF_FFFF for shift in (0, 32, 64, 96)]
            importlib.import_module("numpy").random.seed(words)
