#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The fuzzer finds a fault, prints the seed that shows it, and a program of which nothing can be left out.

check.py FUZZ BROKEN     BROKEN is FUZZ with a library that is broken (broken.c)
"""
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

FUZZ, BROKEN = sys.argv[1:3]
PROGRAMS = "400"  # the tests run as many


def run(program, *options):
    """Its exit status, and what it printed."""
    ended = subprocess.run([program, *options], stdout=subprocess.PIPE, text=True, check=False)
    return ended.returncode, ended.stdout


def run_file(program, text):
    with tempfile.NamedTemporaryFile("w", suffix=".program") as file:
        file.write(text)
        file.flush()
        return run(program, "--program", file.name)


def seed_of(text):
    found = re.search(r"^seed (\d+)", text, re.MULTILINE)
    assert found, f"no seed in:\n{text}"
    return found[1]


def shrunk():
    """The lines of the program that is printed."""
    status, text = run(BROKEN, "--programs", PROGRAMS)
    tap.equal(status, 1)
    found = re.search(r"^shrunk, for --program FILE:\n((?:\S.*\n)+)", text, re.MULTILINE)
    assert found, f"no program in:\n{text}"
    return found[1].splitlines()


def test_shrinks_to_what_shows_the_fault():
    tap.equal(shrunk(), ["fork way=0 back=0", "fork way=0 back=0"])


def test_the_shrunk_program_shows_the_fault():
    program = "\n".join(shrunk()) + "\n"
    tap.equal(run_file(FUZZ, program), (0, "no difference\n"))
    status, text = run_file(BROKEN, program)
    tap.equal((status, text.splitlines()[-1]), (1, "a difference"))


def test_the_seed_shows_the_fault():
    seed = seed_of(run(BROKEN, "--programs", PROGRAMS)[1])
    tap.equal(run(FUZZ, "--seed", seed)[0], 0)
    status, text = run(BROKEN, "--seed", seed)
    tap.equal((status, seed_of(text)), (1, seed))


def test_invariants_are_checked_beside_threads():
    status, text = run(BROKEN, "--threads", "--programs", "20")
    tap.equal(status, 1)
    seed_of(text)


def test_invariants_are_checked_beside_signals():
    status, text = run(BROKEN, "--signals", "--programs", "40")
    tap.equal(status, 1)
    seed_of(text)


sys.exit(tap.run(globals()))
