# SPDX-License-Identifier: MIT
"""torch.distributed.run: four ranks, each of which forks two workers."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict, List

import atfork
from tap import PATIENCE, run_tests

RANKS = 4

# What each rank runs: each of its processes says who it is, in a file of its own.
SCRIPT = """
import atfork, json, os, sys

atfork.adopt()

def say():
    me = {"lineage": atfork.lineage(), "run": atfork.run(), "seed": atfork.seed(42), "own": atfork.seed(),
          "bytes": atfork.seed_bytes(42, 32).hex(), "place": atfork.place()}
    with open(os.path.join(sys.argv[1], me["lineage"]), "w") as file:
        json.dump(me, file)

say()
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        say()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


def launch(*options: str, **environment: str) -> Dict[str, Any]:
    """What all processes said, by lineage."""
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as aside:
        script = os.path.join(aside, "rank.py")
        with open(script, "w") as file:
            file.write(SCRIPT)
        # PyTorch 1.13 takes no "0" for these two where Python is 3.11 or later.
        output = ["--redirects", "1", "--tee", "1", "--log_dir", aside]
        command = [sys.executable, "-m", "torch.distributed.run", *options, *output]
        command += ["--nproc_per_node", str(RANKS), script, out]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("ATFORK_", "SLURM_"))}
        done = subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        found = {}
        for name in sorted(os.listdir(out)):
            with open(os.path.join(out, name)) as file:
                found[name] = json.load(file)
        return found


def column(found: Dict[str, Any], which: str) -> List[Any]:
    return [said[which] for said in found.values()]


TREE = sorted(f"0.r{rank}{worker}" for rank in range(RANKS) for worker in ("", ".1", ".2"))


class Torchrun(unittest.TestCase):
    def test_the_ranks_and_their_workers_are_one_tree(self) -> None:
        found = launch("--standalone")
        self.assertEqual(TREE, list(found))
        self.assertEqual({"adopted", "forked"}, set(column(found, "place")))
        for which in ("seed", "own", "bytes"):
            self.assertEqual(len(TREE), len(set(column(found, which))), which)
        self.assertEqual(1, len(set(column(found, "run"))), "--standalone names the job")

    def test_a_fixed_base_is_the_same_again_and_a_run_by_its_number(self) -> None:
        found, other = launch("--standalone"), launch("--standalone")
        self.assertEqual(column(found, "bytes"), column(other, "bytes"))
        self.assertNotEqual(column(found, "own"), column(other, "own"))
        again = launch("--standalone", ATFORK_RUN=str(found["0.r0"]["run"]))
        self.assertEqual(found, again)

    def test_the_streams_are_those_of_the_lineages(self) -> None:
        found = launch("--standalone", ATFORK_RUN="7")
        code = "import atfork; atfork.adopt(2); print(atfork.seed(42), atfork.seed(), atfork.seed_bytes(42, 32).hex())"
        text = subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "ATFORK_RUN": "7"}, text=True)
        rank = found["0.r2"]
        self.assertEqual(f"{rank['seed']} {rank['own']} {rank['bytes']}\n", text)


if __name__ == "__main__":
    run_tests()
