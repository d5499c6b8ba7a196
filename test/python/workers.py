# SPDX-License-Identifier: MIT
"""Workers that are spawned: the token travels by itself with multiprocessing's, and by one call with any other."""
from __future__ import annotations

import importlib.util
import multiprocessing
import multiprocessing.util
import os
import pickle
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ProcessPoolExecutor
from typing import Any, List, Tuple

import atfork
from tap import PATIENCE, ForkTest, run_python, run_tests, scenario

SPAWNED = ("spawn", "forkserver")
ran: List[str] = []


@atfork.register_after_fork
def at_import() -> None:
    ran.append(atfork.lineage())


Report = Tuple[str, int, int, List[str]]


def report(_: object = None) -> Report:
    return atfork.lineage(), atfork.generation(), atfork.seed(42), ran


def send(connection: Any) -> None:
    connection.send(report())


def spawn_one(context: Any, target: Any = send) -> Any:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(sender,))
    process.start()
    sender.close()
    got = receiver.recv()
    process.join()
    return got


def send_with_child(connection: Any) -> None:
    connection.send((report(), spawn_one(multiprocessing.get_context("spawn"))))


def send_with_fork(connection: Any) -> None:
    connection.send((report(), spawn_one(multiprocessing.get_context("fork"))))


def send_with_late_hook(connection: Any) -> None:
    late: List[int] = []
    atfork.register_after_fork(lambda: late.append(1))
    atfork.poll()
    connection.send((late, report()))


def fail() -> None:
    raise ValueError("a broken hook")


class Worker(multiprocessing.get_context("spawn").Process):  # type: ignore[name-defined,misc]
    """With a run() of its own."""

    def __init__(self, connection: Any) -> None:
        super().__init__(name="one of its own")
        self.connection = connection

    def run(self) -> None:
        send(self.connection)


class Multiprocessing(ForkTest):
    def context(self, method: str) -> Any:
        context = multiprocessing.get_context(method)
        # No place for the server, which preloads this program since 3.13.8: see below.
        if method == "forkserver":
            context.set_forkserver_preload([])
        return context

    def check_goes_on(self, method: str) -> None:
        """Lineages of this process's own next children, distinct seeds; the hook ran once, where it belongs."""
        reports = [spawn_one(self.context(method)) for _ in range(3)]
        numbers = [int(lineage.split(".")[1]) for lineage, _, _, _ in reports]
        self.assertEqual([numbers[0], numbers[0] + 1, numbers[0] + 2], numbers)
        self.assertEqual(4, len({seed for _, _, seed, _ in reports} | {atfork.seed(42)}))
        for lineage, generation, _, ran_there in reports:
            self.assertEqual((f"0.{lineage.split('.')[1]}", 1, [lineage]), (lineage, generation, ran_there))

    def check_pool(self, method: str) -> None:
        with self.context(method).Pool(3) as pool:
            reports = pool.map(report, range(12), chunksize=1)
        for lineage, generation, _, ran_there in reports:
            self.assertEqual((1, [lineage]), (generation, ran_there))

    def check_executor(self, method: str) -> None:
        with ProcessPoolExecutor(2, mp_context=self.context(method)) as pool:
            reports = list(pool.map(report, range(8)))
        for lineage, generation, _, ran_there in reports:
            self.assertEqual((1, [lineage]), (generation, ran_there))

    def check_a_worker_that_forks(self, method: str) -> None:
        own, child = spawn_one(self.context(method), send_with_fork)
        self.assertEqual((own[0] + ".1", 2, [own[0], own[0] + ".1"]), (child[0], child[1], child[3]))

    def check_a_worker_that_spawns(self, method: str) -> None:
        own, child = spawn_one(self.context(method), send_with_child)
        self.assertEqual((own[0] + ".1", 2, [own[0] + ".1"]), (child[0], child[1], child[3]))

    def check_registered_later(self, method: str) -> None:
        late, own = spawn_one(self.context(method), send_with_late_hook)
        self.assertEqual(([], [own[0]]), (late, own[3]))

    def test_a_class_with_a_run_of_its_own(self) -> None:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        worker = Worker(sender)
        worker.start()
        lineage, generation, _, ran_there = receiver.recv()
        worker.join()
        self.assertEqual((1, [lineage], "one of its own"), (generation, ran_there, worker.name))

    def test_a_decorated_function_as_target(self) -> None:
        """It is pickled by its name, as it was before it was decorated."""
        self.assertIs(at_import, pickle.loads(pickle.dumps(at_import)))
        process = multiprocessing.get_context("spawn").Process(target=at_import)
        process.start()
        process.join()
        self.assertEqual(0, process.exitcode)

    def test_what_cannot_be_pickled(self) -> None:
        process = multiprocessing.get_context("spawn").Process(target=lambda: None)
        with self.assertRaises(Exception):
            process.start()
        self.check_goes_on("spawn")


for _method in SPAWNED:
    for _name in [name for name in vars(Multiprocessing) if name.startswith("check_")]:
        setattr(
            Multiprocessing,
            f"test_{_name[6:]}_by_{_method}",
            lambda self, name=_name, method=_method: getattr(self, name)(method),
        )

PRELOAD = """
import multiprocessing, sys
import workers
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["workers"])
    for _ in range(3):
        lineage, generation, seed, ran = workers.spawn_one(context)
        print(lineage, generation, ran)
"""

PRELOAD_AND_MORE = """
import multiprocessing
import atfork, workers
mine = []
@atfork.register_after_fork
def note():
    mine.append(atfork.lineage())
def send(connection):
    connection.send((mine, workers.ran, atfork.lineage()))
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["workers"])
    mine, ran, lineage = workers.spawn_one(context, send)
    print(mine == [lineage], ran == [lineage])
"""

MAIN = """
import multiprocessing
import workers
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    for _ in range(3):
        lineage, generation, seed, ran = workers.spawn_one(context)
        print(lineage, generation, ran)
    print(workers.spawn_one(multiprocessing.get_context("spawn"))[0])
"""

PRELOAD_NOTHING_OF_ATFORK = """
import multiprocessing, os, sys
def send(connection):
    import workers
    connection.send((workers.report(), [name for name in os.environ if name in ("ATFORK_TOKEN", "ATFORK_RUN")]))
if __name__ == "__main__":
    import workers
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["queue"])
    for _ in range(3):
        (lineage, generation, seed, ran), names = workers.spawn_one(context, send)
        print(lineage, generation, names)
"""

STREAMS = """
import multiprocessing, sys
import atfork
import workers
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    print([workers.spawn_one(context)[2] for _ in range(3)])
"""


class Programs(ForkTest):
    """Whole programs."""

    def test_seeds_are_the_same_from_run_to_run_and_by_any_method(self) -> None:
        runs = [run_python(STREAMS, method) for method in ("fork", *SPAWNED) for _ in range(2)]
        self.assertEqual([""] * 6, [run.stderr for run in runs])
        self.assertEqual(1, len({run.stdout for run in runs}), [run.stdout for run in runs])

    def test_a_fork_server_that_preloads(self) -> None:
        """It is a place in the tree itself, runs the hooks as it starts serving, and its workers are forks of it."""
        run = run_python(PRELOAD)
        self.assertEqual("", run.stderr)
        lines = run.stdout.splitlines()
        self.assertEqual(3, len(lines))
        for number, line in enumerate(lines, 1):
            self.assertRegex(line, rf"^(0\.\d+)\.{number} 2 \['\1\.{number}'\]$")

    def run_file(self, text: str) -> List[str]:
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(text)
            file.flush()
            run = subprocess.run([sys.executable, file.name], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual("", run.stderr)
        return run.stdout.splitlines()

    def test_what_a_worker_of_such_a_server_imports(self) -> None:
        self.assertEqual(["True True"], self.run_file(PRELOAD_AND_MORE))

    def test_a_fork_server_that_preloads_the_main_module(self) -> None:
        """As it does by itself since 3.13.8; before, it means to and does not, and its workers are spawned ones."""
        if sys.version_info >= (3, 13, 8):
            expected = [f"0.2.{number} 2 ['0.2.{number}']" for number in (1, 2, 3)] + ["0.5"]
        else:
            expected = [f"0.{number} 1 ['0.{number}']" for number in (1, 2, 3)] + ["0.4"]
        self.assertEqual(expected, self.run_file(MAIN))

    def test_a_fork_server_that_preloads_nothing_of_atfork(self) -> None:
        """The server's token, the second, is no worker's."""
        expected = [f"0.{number} 1 []" for number in (1, 3, 4)]
        self.assertEqual(expected, self.run_file(PRELOAD_NOTHING_OF_ATFORK))

    @unittest.skipUnless(importlib.util.find_spec("joblib"), "there is no joblib")
    def test_workers_of_joblib(self) -> None:
        """Its loky spawns them as multiprocessing does, with classes of its own."""
        with tempfile.TemporaryDirectory() as directory:
            run = run_python(LOKY, directory)
        self.assertEqual("", run.stderr)
        lines = {line.split()[0]: line.split()[2] for line in run.stdout.splitlines()}
        self.assertEqual((2, 2), (len(lines), len(set(lines.values()))), run.stdout)
        for line in run.stdout.splitlines():
            self.assertRegex(line, r"^0\.\d+ 1 \d+$")

    def test_no_token_is_left_in_the_environment(self) -> None:
        left = "[name for name in os.environ if name in ('ATFORK_TOKEN', 'ATFORK_RUN')]"
        run = run_python(PRELOAD + f"    import os; print({left})\n")
        self.assertEqual("[]", run.stdout.splitlines()[-1])

    def test_atfork_alone_needs_no_worker(self) -> None:
        code = "import atfork, sys; print('multiprocessing.pool' in sys.modules, atfork.lineage())"
        self.assertEqual("False 0\n", run_python(code).stdout)


LOKY = """
import atfork, os, sys, time
from joblib import Parallel, delayed
import workers
def work(number):
    open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
    while len(os.listdir(sys.argv[1])) < 2: time.sleep(0.01) # until both workers have begun
    return workers.report()
if __name__ == "__main__":
    reports = Parallel(n_jobs=2, backend="loky")(delayed(work)(number) for number in range(4))
    for lineage, generation, seed, ran in reports:
        print(lineage, generation, seed)
"""

CHILD = """
import atfork, os
ran = []
atfork.register_after_fork(lambda: ran.append(atfork.lineage()))
atfork.spawned()
print(atfork.lineage(), atfork.generation(), ran, "ATFORK_TOKEN" in os.environ)
try:
    atfork.spawned()
except (ValueError, RuntimeError) as error:
    print(type(error).__name__)
try:
    atfork.spawned("atfork1:1:0.1:919400f3d6a9a4fc")
except RuntimeError:
    print("known")
"""


class Subprocess(ForkTest):
    @scenario("token-environment", "token-hooks-once", "token-once")
    def test_by_environment(self) -> None:
        outputs = [run_python(CHILD, env=atfork.environment()) for _ in range(2)]
        first = int(outputs[0].stdout.split()[0].split(".")[1])
        for number, output in enumerate(outputs, first):
            self.assertEqual("", output.stderr)
            expected = [f"0.{number} 1 ['0.{number}'] False", "RuntimeError", "known"]
            self.assertEqual(expected, output.stdout.splitlines())
        self.assertNotIn("ATFORK_TOKEN", os.environ)

    @scenario("token-place", "token-argument")
    def test_by_argument(self) -> None:
        code = "import atfork, sys; atfork.spawned(sys.argv[1]); print(atfork.lineage())"
        self.assertRegex(run_python(code, atfork.token()).stdout, r"^0\.\d+\n$")

    @scenario("token-refused")
    def test_what_is_no_token(self) -> None:
        code = "import atfork\ntry: atfork.spawned()\nexcept ValueError as error: print(error, atfork.generation())"
        for value in ("", "x", atfork.token()[:-1], atfork.token() + "0"):
            run = run_python(code, env={**os.environ, "ATFORK_TOKEN": value})
            self.assertEqual("the token was not made by atfork 0\n", run.stdout, value)
            with self.assertRaisesRegex(ValueError, "^the token was not made by atfork$"):
                atfork.spawned(value)
        with self.assertRaisesRegex(ValueError, "^the token was not made by atfork$"):
            atfork.spawned(atfork.token() + "\0")

    def test_no_token(self) -> None:
        with self.assertRaisesRegex(ValueError, "^there is no token: ATFORK_TOKEN is not set$"):
            atfork.spawned()

    def test_a_forked_process_has_its_place(self) -> None:
        token = atfork.token()

        def body() -> None:
            with self.assertRaisesRegex(RuntimeError, "had atfork, or has taken a place before$"):
                atfork.spawned(token)

        self.in_child(body)

    def test_tokens_of_a_token_s_children(self) -> None:
        token = atfork.child_token(atfork.child_token(atfork.token(), 12), 3)
        code = "import atfork, sys; atfork.spawned(sys.argv[1]); print(atfork.lineage(), atfork.generation())"
        self.assertRegex(run_python(code, token).stdout, r"\A0\.\d+\.12\.3 3\n\Z")


class Command(ForkTest):
    def test_python_m_atfork(self) -> None:
        run = subprocess.run([sys.executable, "-m", "atfork"], capture_output=True, text=True, check=True)
        rows = dict(line.split(None, 1) for line in run.stdout.splitlines())
        self.assertEqual((atfork.version(), "0", "0"), (rows["atfork"], rows["generation"], rows["lineage"]))
        self.assertIn("spawn", run.stdout)
        self.assertEqual("", run.stderr)


if __name__ == "__main__":
    run_tests(multiprocessing.util._exit_function)
