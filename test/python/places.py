# SPDX-License-Identifier: MIT
"""Where in the tree of processes this process is, what gave it that place, and what a guess is worth."""
from __future__ import annotations

import hashlib
import os
from typing import Any, Dict

import atfork
from tap import ForkTest, run_python, run_tests, scenario

# A program that forks before it imports atfork.
LATE = """
import os, sys, warnings
pid = os.fork()
if pid:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
import atfork
print(atfork.place(), atfork.lineage())
def seed(): return atfork.seed(1)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    seed(), atfork.seed_bytes(1, 8), atfork.seed()
print([(w.category.__name__, w.lineno) for w in caught])
print("adopt()" in str(caught[0].message))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    pid = os.fork()
    if pid == 0:
        seed(), seed()
        os._exit(len(caught))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    atfork.adopt(3)
    seed()
    print(atfork.place(), atfork.lineage(), len(caught))
"""

ADOPT = """
import sys
import atfork
ran = []
atfork.register_after_fork(lambda: ran.append(atfork.lineage()))
rank = eval(sys.argv[1])
try:
    atfork.adopt(rank) if len(sys.argv) == 2 else atfork.adopt()
except (ValueError, RuntimeError) as error:
    print(type(error).__name__, error)
else:
    print(atfork.place(), atfork.lineage(), atfork.generation(), ran)
"""

LAUNCHERS = ("SLURM", "PMI", "PMIX", "OMPI", "FLUX", "PALS", "JSM", "RANK", "WORLD", "LOCAL", "JOB_", "TORCHELASTIC")


class Places(ForkTest):
    def adopt(self, *arguments: str, **variables: str) -> str:
        environment: Dict[str, Any] = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHERS)}
        run = run_python(ADOPT, *arguments, env={**environment, **variables})
        self.assertEqual("", run.stderr)
        return run.stdout.strip()

    def test_by_a_fork(self) -> None:
        self.assertEqual("root", atfork.place())
        for way in ("python", "fork", "_Fork"):
            self.in_child(lambda: self.assertEqual("forked", atfork.place()), way)

    @scenario("place-words", "run-in-all")
    def test_by_a_token(self) -> None:
        code = "import atfork, sys; atfork.spawned(sys.argv[1]); print(atfork.place(), atfork.run())"
        self.assertEqual(f"spawned {atfork.run()}\n", run_python(code, atfork.token()).stdout)

    @scenario("adopt-place")
    def test_by_a_number(self) -> None:
        placed = "adopted 0.r3 1 ['0.r3']"
        for rank in ("3", "'3'", "True + 2"):
            self.assertEqual(placed, self.adopt(rank), rank)

    @scenario("adopt-launcher", "adopt-refused")
    def test_by_a_launcher(self) -> None:
        self.assertEqual("adopted 0.r5 1", self.adopt("None", "None", RANK="5", WORLD_SIZE="8")[:14])
        self.assertEqual("adopted 0.r5 1", self.adopt("None", RANK="5", WORLD_SIZE="8")[:14])
        self.assertEqual("ValueError no launcher has numbered this process: give its rank", self.adopt("None"))
        two = {"RANK": "5", "WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "6", "OMPI_COMM_WORLD_SIZE": "8"}
        both = self.adopt("None", **two)
        self.assertRegex(both, r"\AValueError launchers give different ranks, or no number: .*=[56] .*=[56]\Z")
        none = self.adopt("None", RANK="x", WORLD_SIZE="8")
        self.assertEqual("ValueError launchers give different ranks, or no number: RANK=x", none)
        self.assertTrue("RANK=5" in both and "OMPI_COMM_WORLD_RANK=6" in both, both)

    @scenario("child-token")
    def test_by_the_token_of_a_child(self) -> None:
        code = "import atfork, sys; atfork.spawned(sys.argv[1]); print(atfork.lineage())"
        token = atfork.token()
        place = run_python(code, token).stdout.strip()
        self.assertEqual(f"{place}.7\n", run_python(code, atfork.child_token(token, 7)).stdout)

    def test_of_one_that_has_one(self) -> None:
        def body() -> None:
            for rank in (3, None):
                with self.assertRaisesRegex(RuntimeError, "^this process was forked by a process that had atfork"):
                    atfork.adopt(rank)

        self.in_child(body)

    @scenario("place-guess")
    def test_that_is_a_guess(self) -> None:
        """One warning in each process, at the line that asked, until the place is known."""
        line = LATE.split("\n").index("def seed(): return atfork.seed(1)") + 1
        run = run_python(LATE)
        expected = ["unknown 0", str([("RuntimeWarning", line)]), "True", "1", "adopted 0.r3 0"]
        self.assertEqual((expected, "", 0), (run.stdout.splitlines(), run.stderr, run.returncode))


class Seeds(ForkTest):
    def mgf1(self, base: int, size: int) -> bytes:
        text = b"atfork1:seed:" + base.to_bytes(8, "little") + atfork.lineage().encode()
        blocks = (hashlib.sha256(text + i.to_bytes(4, "big")).digest() for i in range(size // 32 + 1))
        return b"".join(blocks)[:size]

    @scenario("seed-bytes-vector")
    def test_bytes_are_as_published(self) -> None:
        for base, size in ((42, 0), (0, 1), (42, 32), (2**64 - 1, 100)):
            self.assertEqual(self.mgf1(base, size), atfork.seed_bytes(base, size))
        self.assertEqual(32, len(atfork.seed_bytes(42)))
        self.assertEqual(int.from_bytes(self.mgf1(42, 32), "little"), atfork.seed(42, 256))

        def body() -> None:
            self.assertEqual(self.mgf1(42, 40), atfork.seed_bytes(42, 40))

        self.in_child(body)
        self.in_child(body, "_Fork")

    @scenario("seed-of-run", "run-repeated")
    def test_of_this_run(self) -> None:
        run = atfork.run()
        self.assertIn(run, range(2**64))
        self.assertEqual((atfork.seed(run), atfork.seed_bytes(run, 9)), (atfork.seed(), atfork.seed_bytes(None, 9)))
        self.in_child(lambda: self.assertEqual(run, atfork.run()))
        code = "import atfork; print(atfork.run())"
        self.assertNotEqual(f"{run}\n", run_python(code).stdout)
        self.assertEqual("16\n", run_python(code, env={**os.environ, "ATFORK_RUN": "0x10"}).stdout)


if __name__ == "__main__":
    run_tests()
