# SPDX-License-Identifier: MIT
"""Random numbers that differ from process to process, forked or spawned.

    rng = atfork.random.rng
    rng().standard_normal(3)

    DataLoader(data, num_workers=4, worker_init_fn=atfork.random.worker_init_fn)

Without a base, the numbers differ from run to run, unless ATFORK_RUN repeats a run.  With a base, they are the same
from run to run.
"""
from __future__ import annotations

import importlib
import random as python_random
import sys

from . import _native
from ._places import check_base, run, seed_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, SupportsIndex

    import numpy.random

__all__ = ["reseed", "rng", "worker_init_fn"]

# Generators by generation and base.  If two threads add one at once, both get the first.
made: dict[tuple[int, int], Any] = {}


def _seed(base: Optional[SupportsIndex]) -> int:
    return int.from_bytes(seed_bytes(base, 32), "little")


def rng(base: Optional[SupportsIndex] = None) -> numpy.random.Generator:
    """The generator of this process for this base: the same object at each call, another one in each process."""
    key = _native.generation(), run() if base is None else check_base(base)
    generator: Optional[numpy.random.Generator] = made.get(key)
    if generator is None:
        new = importlib.import_module("numpy.random").default_rng(_seed(base))
        generator = made.setdefault(key, new)
        for other in [each for each in list(made) if each[0] != key[0]]:
            made.pop(other, None)
    return generator


def reseed(
    base: Optional[SupportsIndex] = None, *, random: bool = True, numpy: bool = True, torch: bool = True
) -> None:
    """Seeds the global generators again, with a seed of this process.

    They are those of `random`, and of `numpy.random` and `torch` if these have been imported.
    """
    seed = _seed(base)
    if random:
        python_random.seed(seed)
    if numpy and sys.modules.get("numpy") is not None:
        module = importlib.import_module("numpy.random")
        module.set_state(module.MT19937(seed).state)
    if torch and sys.modules.get("torch") is not None:
        sys.modules["torch"].manual_seed(seed & (2**63 - 1))


def worker_init_fn(worker_id: int = 0, base: Optional[SupportsIndex] = None) -> None:
    """For PyTorch's DataLoader, which seeds a worker's generators before it calls this.

    functools.partial gives it a base.  Each worker of each epoch draws other numbers.  Persistent workers go on with
    their sequence from epoch to epoch.
    """
    reseed(base)
