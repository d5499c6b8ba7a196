# SPDX-License-Identifier: MIT
"""atfork.dask with a real cluster on 127.0.0.1: a scheduler and four worker processes, one of them killed and back."""
from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict, Iterator, List

import atfork.dask
from distributed import Client
from tap import run_tests
from waiting import PATIENCE, until

NAMES = ("d", "b", "c", "a")
# Without one of its own, or with --no-dashboard, it listens at port 8787 of all addresses.
DASHBOARD = ("--dashboard-address", "127.0.0.1:0")


def forked() -> Any:
    """What a process that a worker forks says of itself."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, f"{atfork.lineage()} {atfork.seed(7)} {random.random()}".encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read().decode().split()
    os.waitpid(pid, 0)
    return text[0], int(text[1]), float(text[2])


def describe() -> Any:
    import numpy

    return atfork.lineage(), atfork.generation(), atfork.seed(7), int(numpy.random.get_state()[1][1])


def process() -> Any:
    """A pid, and when its process began: the pid alone may be that of one that has ended."""
    with open("/proc/self/stat") as file:
        return os.getpid(), int(file.read().rpartition(")")[2].split()[19])


def draw() -> float:
    return random.random()


def identities(client: Client) -> Dict[str, Any]:
    by_address = client.run(describe)
    workers = client.scheduler_info()["workers"]
    return {str(workers[address]["name"]): value for address, value in by_address.items()}


def register(client: Client, base_seed: int) -> None:
    """Dask before 2023.9.2 has another name for it."""
    way = getattr(client, "register_plugin", None) or client.register_worker_plugin
    way(atfork.dask.WorkerPlugin(base_seed=base_seed))


class Cluster:
    """A scheduler and its workers, each a program of its own."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.log = open(os.path.join(directory, "log"), "w")
        self.programs: List[subprocess.Popen[bytes]] = []
        file = os.path.join(directory, "scheduler.json")
        self.start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *DASHBOARD, "--scheduler-file", file)
        until(lambda: os.path.exists(file))
        self.file = file

    def start(self, program: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments]
        environment = {**os.environ, "DASK_TEMPORARY_DIRECTORY": self.directory}
        self.programs.append(
            subprocess.Popen(command, cwd=self.directory, stdout=self.log, stderr=self.log, env=environment)
        )

    def start_worker(self, name: str) -> None:
        """Under a nanny, which starts it again when it is killed."""
        options = ("--nthreads", "1", "--host", "127.0.0.1", *DASHBOARD, "--memory-limit", "0")
        self.start("dask_worker", "--scheduler-file", self.file, "--name", name, *options)

    def end(self) -> None:
        for program in reversed(self.programs):
            program.terminate()
        for program in self.programs:
            program.wait(PATIENCE)
        self.log.close()


@contextlib.contextmanager
def running(names: Any) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(directory)
        try:
            for name in names:
                cluster.start_worker(name)
            with Client(scheduler_file=cluster.file, timeout=PATIENCE) as client:
                client.wait_for_workers(len(names), timeout=PATIENCE)
                yield cluster, client
        except BaseException:
            cluster.log.flush()
            with open(cluster.log.name) as file:
                print("# " + file.read()[-6000:].replace("\n", "\n# "))
            raise
        finally:
            cluster.end()


class Workers(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.running = running(NAMES)
        cls.cluster, cls.client = cls.running.__enter__()
        register(cls.client, base_seed=7)
        cls.first = identities(cls.client)
        cls.base = cls.first["a"][0].rpartition(".")[0]

    @classmethod
    def tearDownClass(cls) -> None:
        cls.running.__exit__(None, None, None)

    def test_1_are_numbered_by_their_names(self) -> None:
        self.assertRegex(self.base, r"^0\.\d+$")
        places = {name: value[:2] for name, value in self.first.items()}
        expected = {name: (f"{self.base}.{number}", 2) for number, name in enumerate(sorted(NAMES), 1)}
        self.assertEqual(expected, places)

    def test_2_have_seeds_of_their_own(self) -> None:
        for column in (2, 3):
            self.assertEqual(4, len({value[column] for value in self.first.values()}))
        self.assertEqual(4, len(set(self.client.run(draw).values())))

    def test_3_what_they_fork_too(self) -> None:
        children = self.client.run(forked)
        lineages = {child[0].rpartition(".")[0] for child in children.values()}
        self.assertEqual({f"{self.base}.{number}" for number in (1, 2, 3, 4)}, lineages)
        for column in (1, 2):
            self.assertEqual(4, len({child[column] for child in children.values()}))

    def test_4_a_killed_one_gets_its_own_place_again(self) -> None:
        killed = self.processes()["b"]
        os.kill(killed[0], signal.SIGKILL)
        until(lambda: len(self.processes()) == 4 and self.processes()["b"] != killed)
        self.assertEqual(self.first, identities(self.client))

    def test_5_all_restarted_get_their_own_places_again(self) -> None:
        before = self.processes()
        self.client.restart(timeout=PATIENCE)
        self.assertEqual(set(), set(before.values()) & set(self.processes().values()))
        self.assertEqual(self.first, identities(self.client))

    def test_6_one_that_joins_gets_the_next_place(self) -> None:
        self.cluster.start_worker("aa")
        self.client.wait_for_workers(5, timeout=PATIENCE)
        until(lambda: identities(self.client).get("aa", ["0"])[0] != "0")  # its plugin is set up
        now = identities(self.client)
        self.assertEqual(f"{self.base}.5", now.pop("aa")[0])
        self.assertEqual(self.first, now)

    def processes(self) -> Dict[str, Any]:
        by_address = self.client.run(process, on_error="ignore")
        workers = self.client.scheduler_info()["workers"]
        return {workers[address]["name"]: each for address, each in by_address.items() if address in workers}


class Arguments(unittest.TestCase):
    def test_a_base_of_no_seed(self) -> None:
        """Told to whoever makes the plugin, not to each worker."""
        for bad, error in ((2**64, ValueError), (1.5, TypeError)):
            with self.subTest(bad=bad), self.assertRaisesRegex(error, "^base_seed must be "):
                atfork.dask.WorkerPlugin(bad)  # type: ignore[arg-type]


class Runs(unittest.TestCase):
    def test_the_same_from_run_to_run_and_with_workers_of_this_process(self) -> None:
        """LocalCluster's nannies are threads of the client, whose atfork leaves its workers to Dask."""
        code = "import atfork.dask, cluster\nfrom distributed import Client, LocalCluster\n"
        code += "if __name__ == '__main__':\n"
        code += " options = dict(n_workers=4, threads_per_worker=1, dashboard_address='127.0.0.1:0')\n"
        code += " with LocalCluster(**options) as local, Client(local) as client:\n"
        code += "  client.wait_for_workers(4)\n"
        code += "  cluster.register(client, base_seed=7)\n"
        code += "  print(sorted(cluster.identities(client).items()))\n"
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "program.py")
            with open(path, "w") as file:
                file.write(code)
            options: Any = dict(
                cwd=directory,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                env={**os.environ, "DASK_TEMPORARY_DIRECTORY": directory},
            )
            runs = [subprocess.run([sys.executable, path], **options) for _ in range(2)]
        self.assertEqual([0, 0], [run.returncode for run in runs], runs[0].stderr)
        self.assertEqual(runs[0].stdout, runs[1].stdout)
        self.assertIn("('0', ('0.1.1', 2, ", runs[0].stdout)
        self.assertIn("('3', ('0.1.4', 2, ", runs[0].stdout)

    def test_dask_is_imported_only_there(self) -> None:
        run = subprocess.run(
            [sys.executable, "-c", "import atfork, sys; print('distributed' in sys.modules)"], capture_output=True
        )
        self.assertEqual(b"False\n", run.stdout)


if __name__ == "__main__":
    run_tests()
