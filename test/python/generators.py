# SPDX-License-Identifier: MIT
"""atfork.random: generators of each process's own, and those that modules share."""
from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
import tempfile
import threading
import unittest
from typing import Any, Callable, List

import atfork.random
from tap import PATIENCE, ForkTest, run_python, run_tests, scenario

HAS_NUMPY = importlib.util.find_spec("numpy") is not None

# What each of a few workers draws, in three runs: two of them of a base.
DRAW = """
import multiprocessing, random, sys
import atfork.random
base = int(sys.argv[2]) if len(sys.argv) > 2 else None
@atfork.register_after_fork
def reseed(): atfork.random.reseed(base)
def draw(queue): queue.put(random.getrandbits(64))
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.SimpleQueue()
    for _ in range(3):
        worker = context.Process(target=draw, args=(queue,))
        worker.start()
        print(queue.get())
        worker.join()
"""


class Shared(ForkTest):
    @scenario("random-own", "random-reseed")
    def test_random_is_another_in_each_process(self) -> None:
        for base in (None, 42):
            atfork.random.reseed(base)
            drawn = random.getrandbits(64)

            def body() -> None:
                atfork.random.reseed(base)
                self.assertNotEqual(drawn, random.getrandbits(64))

            self.in_child(body)
            atfork.random.reseed(base)
            self.assertEqual(drawn, random.getrandbits(64))

    def test_what_is_left_out_goes_on(self) -> None:
        atfork.random.reseed(1)
        state = random.getstate()
        atfork.random.reseed(2, random=False)
        self.assertEqual(state, random.getstate())

    def draws(self, *arguments: str, **variables: str) -> List[str]:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "draw.py")
            with open(path, "w") as file:
                file.write(DRAW)
            command = [sys.executable, path, *arguments]
            run = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True,
                                 timeout=PATIENCE)
        self.assertEqual("", run.stderr)
        return run.stdout.split()

    @scenario("random-repeated")
    def test_from_run_to_run(self) -> None:
        """The same with a base, or with ATFORK_RUN; others without."""
        for method in ("fork", "spawn"):
            draws = [self.draws(method, *options) for options in ((), (), ("42",), ("42",))]
            draws += [self.draws(method, ATFORK_RUN="0x2a") for _ in range(2)]
            self.assertEqual([3] * 6, [len(set(each)) for each in draws], draws)
            self.assertEqual((draws[2], draws[4]), (draws[3], draws[5]))
            self.assertEqual(draws[2], draws[4])  # as 42 is that run's number
            self.assertEqual(9, len({number for each in draws[:3] for number in each}))

    def test_imports_nothing_else(self) -> None:
        code = "import atfork.random, sys; atfork.random.reseed(); print(sys.modules.keys() & {'numpy', 'torch'})"
        run = run_python(code)
        self.assertEqual(("set()\n", ""), (run.stdout, run.stderr))

    def test_a_module_whose_import_is_forbidden(self) -> None:
        code = "import atfork.random, sys; sys.modules.update(numpy=None, torch=None); atfork.random.reseed()"
        self.assertEqual("", run_python(code).stderr)


@unittest.skipUnless(HAS_NUMPY, "there is no NumPy")
class NumPy(ForkTest):
    def test_a_generator_of_each_process(self) -> None:
        for base in (None, 42, -1):
            generator = atfork.random.rng(base)
            self.assertIs(generator, atfork.random.rng(base))
            # Also where no hook runs.
            for way in ("python", "_Fork"):
                state = generator.bit_generator.state

                def body() -> None:
                    self.assertIsNot(generator, atfork.random.rng(base))
                    self.assertNotEqual(state, atfork.random.rng(base).bit_generator.state)
                    self.assertEqual(state, generator.bit_generator.state)

                self.in_child(body, way)
        self.assertIs(atfork.random.rng(2**64 - 1), atfork.random.rng(-1))
        self.assertIsNot(atfork.random.rng(1), atfork.random.rng(2))

    def test_it_is_one_for_all_threads(self) -> None:
        barrier, found = threading.Barrier(8), []

        def ask() -> None:
            barrier.wait()
            found.append(atfork.random.rng(7))

        def body() -> None:
            threads = [threading.Thread(target=ask) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(1, len(set(map(id, found))))

        self.in_child(body)

    def test_the_legacy_generator(self) -> None:
        numpy: Any = importlib.import_module("numpy")
        draw: Callable[[], int] = lambda: int(numpy.random.randint(0, 2**62))  # noqa: E731
        atfork.random.reseed(3)
        drawn = draw()
        atfork.random.reseed(3)
        self.assertEqual(drawn, draw())

        def body() -> None:
            atfork.random.reseed(3, numpy=False)
            other = draw()
            atfork.random.reseed(3)
            self.assertEqual(2, len({drawn, draw()}))
            self.assertNotEqual(drawn, other)

        self.in_child(body)


if __name__ == "__main__":
    run_tests()
