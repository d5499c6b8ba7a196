# SPDX-License-Identifier: MIT
"""examples/streams.py: identical streams without, and distinct ones, the same from run to run, with atfork."""
from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import unittest
from typing import List

from tap import PATIENCE, run_tests

EXAMPLE = os.environ["EXAMPLE"]


def draws(mode: str, method: str) -> List[str]:
    command = [sys.executable, EXAMPLE, mode, method]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return [line.split("draws")[1] for line in run.stdout.splitlines()]


@unittest.skipUnless(importlib.util.find_spec("numpy"), "there is no NumPy")
class Streams(unittest.TestCase):
    def check(self, method: str) -> None:
        plain = draws("plain", method)
        self.assertEqual((3, 1), (len(plain), len(set(plain))), plain)
        cured = draws("atfork", method)
        self.assertEqual((3, 3), (len(cured), len(set(cured))), cured)
        self.assertEqual(cured, draws("atfork", method))

    def test_usage(self) -> None:
        for arguments in ([], ["atfork"], ["plain", "vfork"], ["both", "fork"], ["plain", "fork", "more"]):
            run = subprocess.run([sys.executable, EXAMPLE, *arguments], capture_output=True, text=True,
                                 timeout=PATIENCE)
            self.assertEqual((2, ""), (run.returncode, run.stdout), arguments)
            self.assertRegex(run.stderr, r"\Ausage: streams.py ")

    def test_fork(self) -> None:
        self.check("fork")

    def test_spawn(self) -> None:
        self.check("spawn")

    def test_forkserver(self) -> None:
        self.check("forkserver")


if __name__ == "__main__":
    run_tests()
