# SPDX-License-Identifier: MIT
"""script/soak's program for half a minute: each server through each kind of event, with nothing found; and each fault
that is built in on purpose is found.  Speaks the Test Anything Protocol.

check.py BUILD HOSTS    BUILD has what the servers load; HOSTS the servers that script/bootstrap has unpacked
"""
from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Any, Tuple

import processes
import report
from memory import RATE, Growth, Record, Sample
from processes import PATIENCE
from servers import KINDS

import tap  # found by the path that processes.py adds

HERE = pathlib.Path(__file__).resolve().parent
MINUTES = 0.4
MINUTES_OF_FAULT = 0.4
# What must be said of each fault.  A worker that ends by itself while another is told to end costs the server's own.
FAULTS = {
    "double": "^lost .* doubled [1-9]",
    "missed": "^lost .* missed [1-9]",
    "lost": "^lost [1-9]|has ended by itself",
    "seed": "^lost .* wrong [1-9]",
    "leak": "^lost .* growing [1-9]",
}


def start(*options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / "soak.py"), "--build", sys.argv[1], "--hosts", sys.argv[2], *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def outcome(program: "subprocess.Popen[str]") -> Tuple[int, str]:
    """The exit status, and what was printed."""
    try:
        text, _ = program.communicate(timeout=5 * PATIENCE)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGINT)
        text, _ = program.communicate()
        text += "it took too long\n"
    return program.returncode, text


def last_line(text: str) -> str:
    return text.rstrip("\n").rpartition("\n")[2]


def samples(rate: float, noise: float) -> Record:
    """Of a worker through an hour, which in each tenth sample takes more for a moment, and has a heap that breathes."""
    record = Record()
    record.samples["server", "worker", 1, 1] = [
        Sample(when, round(20000 + rate * when / 60 + noise * (number % 7) + 16384 * (number % 10 == 0)), 0, 0)
        for number, when in enumerate(range(0, 3600, 10))
    ]
    return record


def test_what_grows_is_told_from_what_breathes() -> None:
    """Twice as much as is allowed is found, half of it is not."""

    def growth(rate: float) -> Growth:
        return samples(rate, noise=100).growths(3600)[0]

    limit = max(RATE, 256 / 30)
    assert not growth(2 * limit).flat, growth(2 * limit)
    assert growth(limit / 2).flat, growth(limit / 2)
    assert growth(-limit).flat, growth(-limit)


def test_more_drops_than_without_the_library_are_no_chance() -> None:
    def servers(mine: int, alone: int) -> Any:
        counts = ((True, mine), (False, alone))
        sides = [{"library": library, "costly": count, "dropped": {"kill": 12 * count}} for library, count in counts]
        return [{"changing": True, **side} for side in sides]

    assert report.drops(servers(7, 0)) == (84, 0, False)
    assert report.drops(servers(73, 65)) == (876, 780, False)
    assert report.drops(servers(160, 65)) == (1920, 780, True)
    assert report.drops(servers(65, 160)) == (780, 1920, False)
    assert report.drops(servers(160, 65)[:1]) == (1920, 0, False)


def check_results(results: pathlib.Path) -> None:
    for server in json.loads(results.read_text())["servers"]:
        due = {"kill", "end"}
        if server["changing"]:
            due |= {reload.name for reload in KINDS[server["kind"]].reloads}
        assert due == set(server["events"]) - {"by itself"}, (server["name"], server["events"])
        assert not server["library"] or server["processes"] > len(due), server["name"]
        assert server["answered"] == server["asked"] > 0, server["name"]


def test_nothing_is_lost_missed_or_doubled() -> None:
    """By each server that is here, in each kind of event."""
    with tempfile.TemporaryDirectory() as work:
        results, picture = pathlib.Path(work) / "results.json", pathlib.Path(work) / "soak.svg"
        status, text = outcome(start(str(MINUTES), "--results", str(results), "--plot", str(picture)))
        assert status == 0, text
        assert last_line(text).startswith("lost 0, missed 0, doubled 0, wrong 0, growing 0 of "), text
        assert "</svg>" in picture.read_text(), text
        check_results(results)
    absent = sorted(set(re.findall(r"^(\w+)\S* is not here", text, re.MULTILINE)))
    print(f"# not here: {', '.join(absent) or 'none'}")


def test_each_fault_is_found() -> None:
    """At the same time, of one server; but for the leak, which is measured."""
    server = next((name for name in ("gunicorn", "uwsgi") if shutil.which(name)), None)
    if server is None:
        raise tap.Skipped("there is no gunicorn and no uWSGI")
    options = ("--servers", server, "--work", "0.5")
    programs = {fault: start(str(MINUTES_OF_FAULT), *options, "--fault", fault) for fault in FAULTS if fault != "leak"}
    outcomes = {fault: outcome(program) for fault, program in programs.items()}
    outcomes["leak"] = outcome(start(str(2 * MINUTES_OF_FAULT), *options, "--fault", "leak"))
    for fault, (status, text) in outcomes.items():
        assert status == 1 and re.search(FAULTS[fault], text, re.MULTILINE), f"{fault}: {text}"


def test_nothing_is_left_behind_by_an_interrupt() -> None:
    """Nothing is left behind: what would be is a child of ours."""
    processes.adopt_orphans()
    program = start("60")
    assert program.stdout is not None
    for line in program.stdout:
        if line.startswith("serving"):
            break
    servers = {pid: processes.birth(pid) for pid in processes.descendants(program.pid)}
    program.send_signal(signal.SIGINT)
    status, text = outcome(program)
    assert status == 130, text
    left = [pid for pid, began in servers.items() if processes.birth(pid) == began]
    assert len(servers) > len(KINDS) and left == [] == processes.children(os.getpid()), (len(servers), left)


if __name__ == "__main__":
    sys.exit(tap.run(globals()))
