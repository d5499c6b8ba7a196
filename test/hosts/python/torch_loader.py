# SPDX-License-Identifier: MIT
"""PyTorch's DataLoader: its workers seed generators after the child hooks, and then call worker_init_fn."""
from __future__ import annotations

import random
import unittest
from typing import Any, Dict, List, Tuple

import atfork
import numpy
import torch
from tap import run_python, run_tests
from torch.utils.data import DataLoader, Dataset

EPOCHS = 2
WORKERS = 2


def draw() -> Tuple[float, float, float]:
    return random.random(), float(numpy.random.random()), float(torch.rand(1))


def reseed(_: object = None) -> None:
    seed = atfork.seed(42, bits=128)
    random.seed(seed)
    numpy.random.set_state(numpy.random.MT19937(seed).state)
    torch.manual_seed(seed & (2**63 - 1))


def expected() -> Tuple[float, float, float]:
    """In a worker: what it draws first after reseed()."""
    reseed()
    return draw()


class Draws(Dataset):  # type: ignore[type-arg]
    """Each item: the lineage, what was drawn, and what would have been drawn after reseed()."""

    def __len__(self) -> int:
        return WORKERS

    def __getitem__(self, i: int) -> Any:
        return atfork.lineage(), draw(), expected()


def first(batch: List[Any]) -> Any:
    return batch[0]


def load(method: str, init: Any) -> Dict[str, Any]:
    """By the lineages of the workers, which are others in each epoch."""
    found: Dict[str, Any] = {}
    for _ in range(EPOCHS):
        options: Any = {"num_workers": WORKERS, "worker_init_fn": init, "multiprocessing_context": method}
        for lineage, drawn, right in DataLoader(Draws(), batch_size=1, collate_fn=first, **options):
            found[lineage] = (drawn, right)
    return found


class Loader(unittest.TestCase):
    def check_init(self, method: str) -> None:
        found = load(method, reseed)
        self.assertEqual(EPOCHS * WORKERS, len(found))
        for lineage, (drawn, right) in found.items():
            self.assertEqual(right, drawn, lineage)
        for column in range(3):
            self.assertEqual(len(found), len({drawn[column] for drawn, _ in found.values()}))

    def test_worker_init_fn_by_fork(self) -> None:
        self.check_init("fork")

    def test_worker_init_fn_by_spawn(self) -> None:
        self.check_init("spawn")

    def test_a_hook_s_seed_is_undone(self) -> None:
        with atfork.register(child=reseed):
            found = load("fork", None)
        for drawn, right in found.values():
            self.assertFalse(any(one == other for one, other in zip(drawn, right)))

    def test_the_same_from_run_to_run(self) -> None:
        code = "import torch_loader as it\nif __name__ == '__main__': print(sorted(it.load('fork', it.reseed).items()))"
        runs = [run_python(code) for _ in range(2)]
        self.assertIn("('0.1', ((", runs[0].stdout)
        self.assertEqual(runs[0].stdout, runs[1].stdout)


if __name__ == "__main__":
    run_tests()
