# SPDX-License-Identifier: MIT
"""gunicorn, which forks its workers, and reseeds `random` in them; and uvicorn, which spawns them."""
from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from typing import Any, Callable, Dict, Iterator

import atfork
from ports import Port
from tap import run_tests
from waiting import PATIENCE, until

HERE = os.path.dirname(os.path.abspath(__file__))
UVICORN = """
import atfork
import uvicorn
if __name__ == "__main__":
    uvicorn.run("web_app:asgi", port={port}, workers=2)
"""


class Server:
    def __init__(self, port: int, log: str, *command: str) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.log = open(log, "wb")
        self.program = subprocess.Popen(command, cwd=os.path.dirname(log), stdout=self.log, stderr=self.log)

    def ask(self) -> Dict[str, Any]:
        """What some worker says; nothing when none is there."""
        try:
            with urllib.request.urlopen(self.url, timeout=PATIENCE) as response:
                answer: Dict[str, Any] = json.load(response)
                return answer
        except OSError:
            return {}

    def workers(self, count: int, known: Any = ()) -> Dict[Any, Dict[str, Any]]:
        """The first answers of so many workers, none of which is known.  A pid may be that of one that has ended."""
        found: Dict[Any, Dict[str, Any]] = {}

        def complete() -> bool:
            answer = self.ask()
            worker = (answer["pid"], answer["lineage"]) if answer else None
            if worker and worker not in known:
                found.setdefault(worker, answer)
            return len(found) == count

        until(complete)
        return found

    def end(self) -> None:
        self.program.terminate()
        self.program.wait(PATIENCE)
        self.log.close()


@contextlib.contextmanager
def serving(command: Callable[[int, str], Any]) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        port, log = Port(), os.path.join(directory, "log")
        server = Server(port.number, log, *command(port.number, directory))
        try:
            yield server
        except BaseException:
            with open(log) as file:
                print("# " + file.read()[-6000:].replace("\n", "\n# "))
            raise
        finally:
            server.end()


@unittest.skipUnless(shutil.which("gunicorn"), "there is no gunicorn")
class Gunicorn(unittest.TestCase):
    @staticmethod
    def command(port: int, directory: str) -> Any:
        conf = os.path.join(HERE, "gunicorn_conf.py")
        return [sys.executable, "-m", "gunicorn.app.wsgiapp", "-c", conf, "-b", f"127.0.0.1:{port}", "web_app:wsgi"]

    def test_workers(self) -> None:
        """A hook's seed is undone; that of post_worker_init, and a generator of one's own, last."""
        with serving(self.command) as server:
            answers = server.workers(2)
            self.assertEqual({"0.1", "0.2"}, {answer["lineage"] for answer in answers.values()})
            for answer in answers.values():
                self.assertEqual(["key", "none", "hook True", "init False"], answer["ran"])
                self.assertEqual([answer["expected"]] * 2, [answer["first"], answer["own"]])
            self.assertEqual(2, len({answer["first"] for answer in answers.values()}))

    def test_reloads(self) -> None:
        """The configuration registers its hooks again; of those with a key one is left."""
        with serving(self.command) as server:
            known = set(server.workers(2))
            for reload in (2, 3, 4):
                server.program.send_signal(signal.SIGHUP)
                answers = server.workers(2, known)
                known |= set(answers)
                for answer in answers.values():
                    self.assertEqual(1, answer["ran"].count("key"), answer)
                    self.assertEqual(reload, answer["ran"].count("none"), answer)


class Uvicorn(unittest.TestCase):
    def setUp(self) -> None:
        if subprocess.run([sys.executable, "-c", "import uvicorn"], capture_output=True).returncode != 0:
            self.skipTest("there is no uvicorn")

    @staticmethod
    def program(port: int, directory: str) -> Any:
        path = os.path.join(directory, "serve.py")
        with open(path, "w") as file:
            file.write(UVICORN.format(port=port))
        return [sys.executable, path]

    def test_workers_of_a_program_that_imports_atfork(self) -> None:
        with serving(self.program) as server:
            answers = server.workers(2)
        self.assertEqual({"0.1", "0.2"}, {answer["lineage"] for answer in answers.values()})
        self.assertEqual(2, len({answer["own"] for answer in answers.values()}))

    def test_workers_of_its_command(self) -> None:
        """Whose parent has not imported atfork: each takes itself for the root, as the guide says."""

        def command(port: int, directory: str) -> Any:
            return [sys.executable, "-m", "uvicorn", "web_app:asgi", "--port", str(port), "--workers", "2"]

        with serving(command) as server:
            answers = server.workers(2)
        self.assertEqual({"0"}, {answer["lineage"] for answer in answers.values()})


if __name__ == "__main__":
    assert atfork.lineage() == "0"
    run_tests()
