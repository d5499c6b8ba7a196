# SPDX-License-Identifier: MIT
"""Where an interpreter is missing, or is no interpreter, Meson leaves the binding out and says so."""
from __future__ import annotations

import os
import pathlib
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
    def built(self, name: str, *options: str) -> str:
        """What Meson says of that language's binding."""
        with tempfile.TemporaryDirectory() as directory:
            run = subprocess.run(
                ["meson", "setup", directory, SOURCE, "-Dtests=disabled", "-Dexamples=false", "-Dman=false", "-Dlua=", *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE,
            )
        self.assertEqual(0, run.returncode, run.stdout)
        row = re.search(rf"^ *{name} *:(.*)$", run.stdout, re.MULTILINE)
        self.assertIsNotNone(row, run.stdout)
        return row[1].strip() if row else ""

    def bindings_of(self, *interpreters: str) -> str:
        return self.built("Python", "-Druby=disabled", "-Dpython=" + ",".join(interpreters))

    def test_that_are_not_there(self) -> None:
        self.assertRegex(self.bindings_of("/no/such/python3", "/no/such/python3-dbg", "no-such-python3"), LEFT_OUT)

    def test_one_of_two_that_is_not_there(self) -> None:
        self.assertEqual("python", self.bindings_of("/no/such/python3-dbg", os.environ["PYTHON"]))

    def test_that_are_none(self) -> None:
        self.assertRegex(self.bindings_of("/bin/true", "/etc/passwd"), LEFT_OUT)

    @unittest.skipUnless(shutil.which("aarch64-linux-gnu-gcc"), "there is no aarch64-linux-gnu-gcc in the PATH")
    def test_of_this_machine_for_another(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write(pathlib.Path(SOURCE, "cross/aarch64-linux-gnu.ini").read_text().split("[project options]")[0])
            file.flush()
            self.assertRegex(self.built("Python", "--cross-file", file.name), LEFT_OUT)
            self.assertRegex(self.built("Ruby", "--cross-file", file.name), "^no: .* a cross build$")


if __name__ == "__main__":
    run_tests()
