# SPDX-License-Identifier: MIT
"""Where an interpreter is missing, or is no interpreter, Meson leaves the binding out and says so."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import unittest

from tap import PATIENCE, run_tests

SOURCE = os.environ["PROJECT_SOURCE"]
LEFT_OUT = "^no: no SWIG, or no interpreter of -Dpython"


@unittest.skipUnless(shutil.which("meson"), "there is no meson in the PATH")
class Interpreters(unittest.TestCase):
    def bindings_of(self, *interpreters: str) -> str:
        with tempfile.TemporaryDirectory() as directory:
            options = ["-Dtests=disabled", "-Dexamples=false", "-Dman=false", "-Dlua=", "-Druby=disabled"]
            options.append("-Dpython=" + ",".join(interpreters))
            run = subprocess.run(
                ["meson", "setup", directory, SOURCE, *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE,
            )
        self.assertEqual(0, run.returncode, run.stdout)
        row = re.search(r"^ *Python *:(.*)$", run.stdout, re.MULTILINE)
        self.assertIsNotNone(row, run.stdout)
        return row[1].strip() if row else ""

    def test_that_are_not_there(self) -> None:
        self.assertRegex(self.bindings_of("/no/such/python3", "/no/such/python3-dbg", "no-such-python3"), LEFT_OUT)

    def test_one_of_two_that_is_not_there(self) -> None:
        self.assertEqual("python", self.bindings_of("/no/such/python3-dbg", os.environ["PYTHON"]))

    def test_that_are_none(self) -> None:
        self.assertRegex(self.bindings_of("/bin/true", "/etc/passwd"), LEFT_OUT)


if __name__ == "__main__":
    run_tests()
