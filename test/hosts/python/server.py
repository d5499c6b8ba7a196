# SPDX-License-Identifier: MIT
"""uWSGI, which forks its workers in C, and then tells Python: each runs the hooks once, through reloads and kills."""
from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from typing import Any, Dict, List, Set

from ports import Port
from tap import run_tests
from waiting import PATIENCE, until

WORKERS = 3
THREADS = 2  # of a worker, at the most
HERE = os.path.dirname(os.path.abspath(__file__))


class Server:
    """The server, and a client that never stops asking."""

    def __init__(self, directory: str, *options: str) -> None:
        self.held = Port()
        port = self.held.number
        self.fifo = os.path.join(directory, "fifo")
        self.log = open(os.path.join(directory, "log"), "wb")
        command = ["uwsgi", "--plugin", "python3", "--http-socket", f"127.0.0.1:{port}", "--master", "--need-app"]
        command += ["--processes", str(WORKERS), "--wsgi-file", os.path.join(HERE, "uwsgi_app.py")]
        command += ["--master-fifo", self.fifo, *options]
        self.program = subprocess.Popen(command, cwd=directory, stdout=self.log, stderr=self.log)
        self.url = f"http://127.0.0.1:{port}/"
        self.answers: List[Dict[str, Any]] = []
        self.failures: List[str] = []
        self.reloads = 0
        self.dropped = 0  # connections, before a word of an answer
        self.asking = threading.Lock()  # held while a request is under way
        self.stop = threading.Event()
        self.client = threading.Thread(target=self.ask_on)
        until(self.is_up)
        self.client.start()

    def is_up(self) -> bool:
        try:
            self.ask()
        except OSError:
            return False
        return True

    def ask(self, path: str = "") -> None:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as response:
            self.answers.append(json.load(response))

    def ask_on(self) -> None:
        while not self.stop.is_set():
            try:
                with self.asking:
                    self.ask()
            except ConnectionResetError:
                self.dropped += 1
            except (OSError, ValueError) as error:
                self.failures.append(repr(error))

    def meet_all(self) -> None:
        """Returns when each worker has been in a request at the same time.  One that is still starting may miss a signal, and
        with it a reload."""
        with socket.create_server(("127.0.0.1", 0)) as meeting:
            meeting.settimeout(PATIENCE)
            path = f"meet/{meeting.getsockname()[1]}"
            asking = [threading.Thread(target=self.ask, args=(path,)) for _ in range(THREADS * WORKERS)]
            for thread in asking:
                thread.start()
            guests = {}
            while len(set(guests.values())) < WORKERS:
                guest, _ = meeting.accept()
                guests[guest] = guest.makefile().readline()
        for guest in guests:
            guest.close()
        for thread in asking:
            thread.join()

    def reload(self) -> bool:
        """False where the master does not listen: it makes its FIFO, or makes it anew, when its workers answer already."""
        try:
            fifo = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENXIO):
                raise
            return False
        os.write(fifo, b"r")
        os.close(fifo)
        self.reloads += 1
        return True

    def workers(self, since: int = 0) -> Set[Any]:
        """Who has answered.  A pid alone may be that of one that has ended."""
        return {(answer["pid"], answer["run"], answer["lineage"]) for answer in self.answers[since:]}

    def end(self) -> None:
        self.stop.set()
        self.client.join()
        self.meet_all()
        self.program.send_signal(signal.SIGINT)
        self.program.wait(PATIENCE)
        self.log.close()


class Workers(unittest.TestCase):
    options: List[str] = []

    def setUp(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.server = Server(self.directory.name, *self.options)

    def tearDown(self) -> None:
        self.server.end()
        self.check_answers()
        self.directory.cleanup()

    def check_answers(self) -> None:
        """Of the whole life of the server: once in each worker, and no failed request.  But for what uWSGI itself drops: a
        worker that is told to end between accepting a connection and reading from it does so at once."""
        self.assertEqual([], self.server.failures)
        self.assertLessEqual(self.server.dropped, self.server.reloads * WORKERS)
        for answer in self.server.answers:
            self.assertEqual(([answer["pid"]], 1), (answer["ran"], answer["generation"]))
            self.assertEqual(f"a connection of {answer['pid']}", answer["connection"])

    def test_each_is_itself(self) -> None:
        until(lambda: len(self.server.workers()) >= 2)
        lineages = {answer["pid"]: answer["lineage"] for answer in self.server.answers}
        self.assertEqual(len(lineages), len(set(lineages.values())))
        self.assertEqual(len(lineages), len({answer["seed"] for answer in self.server.answers}))

    def test_a_killed_worker(self) -> None:
        for _ in range(3):
            since = len(self.server.answers)
            with self.server.asking:  # so none is lost that it had taken
                victim = self.server.answers[-1]["pid"]
                os.kill(victim, signal.SIGKILL)
            known = self.server.workers()
            until(lambda: self.server.workers(since) - known)
        lineages = {answer["lineage"] for answer in self.server.answers}
        self.assertEqual(len(self.server.workers()), len(lineages))

    def test_a_reload(self) -> None:
        """The master becomes another program, with a tree of its own."""
        for _ in range(2):
            self.server.meet_all()
            since = len(self.server.answers)
            known = self.server.workers()
            until(self.server.reload)
            until(lambda: self.server.workers(since) - known)


class LazyWorkers(unittest.TestCase):
    """They import the application, each by itself, when they have been forked."""

    def answers_of(self, *options: str) -> List[Dict[str, Any]]:
        with tempfile.TemporaryDirectory() as directory:
            server = Server(directory, "--lazy-apps", *options)
            server.end()
            self.assertEqual([], server.failures)
            with open(os.path.join(directory, "log")) as log:
                self.log = log.read()
        by_pid = {answer["pid"]: answer for answer in server.answers}
        self.assertEqual(WORKERS, len(by_pid))
        return list(by_pid.values())

    def test_each_takes_itself_for_the_root(self) -> None:
        """And is warned as it asks for a seed."""
        found = self.answers_of()
        self.assertEqual({("0", "unknown")}, {(each["lineage"], each["place"]) for each in found})
        self.assertEqual(1, len({each["seed"] for each in found}))
        self.assertEqual(WORKERS, self.log.count("RuntimeWarning: this process does not know its place"))

    def test_each_has_the_place_of_its_number(self) -> None:
        found = self.answers_of("--env", "ADOPT=yes")
        self.assertEqual(["0.r1", "0.r2", "0.r3"], sorted(each["lineage"] for each in found))
        self.assertEqual(WORKERS, len({each["seed"] for each in found}))
        for each in found:
            self.assertEqual((1, "adopted", [each["pid"]]), (each["generation"], each["place"], each["ran"]))
        self.assertNotIn("RuntimeWarning", self.log)


class WorkersWithThreads(Workers):
    options = ["--enable-threads", "--threads", str(THREADS)]


if __name__ == "__main__":
    run_tests()
