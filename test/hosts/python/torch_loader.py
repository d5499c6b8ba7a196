# SPDX-License-Identifier: MIT
"""PyTorch's DataLoader: its workers seed generators after the child hooks, and then call worker_init_fn."""
from __future__ import annotations

import functools
import os
import random
import unittest
from typing import Any, Dict, List, Tuple

import atfork.random
import numpy
import torch
from tap import run_python, run_tests
from torch.utils.data import DataLoader, Dataset

EPOCHS = 2
WORKERS = 2


def draw() -> Tuple[float, float, float]:
    return random.random(), float(numpy.random.random()), float(torch.rand(1, dtype=torch.float64))


reseed = functools.partial(atfork.random.worker_init_fn, base=42)


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


class OnlyDraws(Draws):
    """The lineage, and what was drawn."""

    def __getitem__(self, i: int) -> Any:
        return atfork.lineage(), draw()


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


def load_persistent(method: str, init: Any) -> List[Any]:
    """What each of the same workers draws, in each epoch."""
    options: Any = {"num_workers": WORKERS, "worker_init_fn": init, "multiprocessing_context": method}
    loader = DataLoader(OnlyDraws(), batch_size=1, collate_fn=first, persistent_workers=True, **options)
    return [each for _ in range(EPOCHS) for each in loader]


# PyTorch's own users of its register_after_fork(), with ours in its place.
OURS = """
import os, sys, types
import atfork
functions, ran = [], []
def register_after_fork(function):
    functions.append(function)
    return atfork.register_after_fork(lambda: ran.append(function()))
module = types.ModuleType("torch.multiprocessing._atfork")
module.register_after_fork = register_after_fork
sys.modules[module.__name__] = module
import torch
threads = torch.get_num_threads()
pid = os.fork()
if pid == 0: os._exit(0 if ran == [threads] and float(torch.ones(3).sum()) == 3 else 1)
print(functions == [torch.get_num_threads], ran, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


class Users(unittest.TestCase):
    def test_register_after_fork_may_be_ours(self) -> None:
        run = run_python(OURS)
        self.assertEqual("True [] 0\n", run.stdout, run.stderr)


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

    def test_workers_that_stay_go_on(self) -> None:
        """Another number for each worker and epoch, and the same from run to run."""
        code = "import torch_loader as it\nif __name__ == '__main__': print(it.load_persistent('fork', it.reseed))"
        runs = [run_python(code) for _ in range(2)]
        self.assertEqual(runs[0].stdout, runs[1].stdout, runs[0].stderr)
        found = load_persistent("fork", atfork.random.worker_init_fn)
        self.assertEqual(WORKERS, len({lineage for lineage, _ in found}))
        for column in range(3):
            self.assertEqual(EPOCHS * WORKERS, len({drawn[column] for _, drawn in found}))

    def test_without_a_base_each_run_is_another(self) -> None:
        init = "it.atfork.random.worker_init_fn"
        code = f"import torch_loader as it\nif __name__ == '__main__': print(sorted(it.load('fork', {init}).items()))"
        repeated = {**os.environ, "ATFORK_RUN": "7"}
        runs = [run_python(code).stdout for _ in range(2)] + [run_python(code, env=repeated).stdout for _ in range(2)]
        self.assertEqual(3, len(set(runs)), runs)
        self.assertEqual(runs[2], runs[3])

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
