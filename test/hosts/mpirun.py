#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Four ranks of Open MPI's mpirun, each with two workers.  Speaks the Test Anything Protocol.

mpirun.py MPIRUN RANKS     RANKS is the program that ranks.c makes
"""
import os
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from tap import PATIENCE, equal, run  # noqa: E402  pylint: disable=wrong-import-position

RANKS = 4
TREE = sorted([f"0.r{rank}" for rank in range(RANKS)] + [f"0.r{rank}.{worker}" for rank in range(RANKS) for worker in (1, 2)])


def launch(how, **more):
    """The lines of all processes, in order, as lists of words."""
    command = [MPIRUN, "--allow-run-as-root", "--oversubscribe", "-n", str(RANKS), PROGRAM, how]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ATFORK_", "SLURM_"))}
    done = subprocess.run(command, env={**environment, **more}, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return sorted(line.split() for line in done.stdout.splitlines())


def column(lines, which):
    return [line[which] for line in lines]


def differ(values):
    equal(len(set(values)), len(values))


def tree(lines):
    equal(column(lines, 0), TREE)
    equal(column(lines, 1), [str(lineage.count(".")) for lineage in TREE])


def test_each_has_a_place_of_its_own():
    lines = launch("fork")
    tree(lines)
    differ(column(lines, 3))
    differ(column(lines, 4))


def test_all_have_one_run():
    lines = launch("fork")
    equal(len(set(column(lines, 2))), 1)


def test_another_run_has_other_bytes():
    first, second = launch("fork"), launch("fork")
    differ([first[0][2], second[0][2]])
    differ(column(first, 4) + column(second, 4))
    # With a base of one's own it is the same.
    equal(column(first, 3), column(second, 3))


def test_a_run_is_repeated():
    first = launch("fork", ATFORK_RUN="42")
    equal(set(column(first, 2)), {f"{42:016x}"})
    equal(launch("fork", ATFORK_RUN="0x2a"), first)


def test_workers_by_token_have_the_same():
    equal(launch("spawn", ATFORK_RUN="42"), launch("fork", ATFORK_RUN="42"))


if __name__ == "__main__":
    MPIRUN, PROGRAM = sys.argv[1:]
    sys.exit(run(globals()))
