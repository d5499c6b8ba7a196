#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`atfork doctor` on small programs, with a fault or without.  Speaks the Test Anything Protocol.

check.py ATFORK BUILD KIND=INTERPRETER... [-- NAME...]    runs those of the names, else all; the C ones lie in BUILD
check.py --list                                           the C ones for Meson: SOURCE|KIND|NEEDS|LINKS

Each program says in its head what must be found (program.h).  What is found beside that, or is not, fails it.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lib"))
import tap  # noqa: E402

SUFFIXES = (".c", ".lua", ".py", ".rb", ".sh")
AT_ONCE = 2
CANNOT_RUN = 77
FOUND = 100


class Program:
    """A source, and what its head says of it."""

    def __init__(self, path):
        self.path = path
        self.name = str(path.relative_to(HERE))
        self.target = self.name[: -len(path.suffix)].replace("/", "-")
        self.head = dict(re.findall(r"^(?:/\*|#|--) (finds|needs|builds|links): (.+?)(?: \*/)?$",
                                    path.read_text(), re.MULTILINE))
        if ("finds" in self.head) == ("builds" in self.head):
            raise ValueError(f"{self.name}: its head must say what it finds, or what it builds")
        self.wanted = [set() if wanted == "nothing" else set(wanted.split(", "))
                       for wanted in self.head.get("finds", "nothing").split(" or ")]
        self.notes = {rule[5:] for rule in set.union(*self.wanted) if rule.startswith("note ")}

    def nearest(self, found):
        """What is wanted; where that may be one or another, the one that is nearest to what was found."""
        return min(self.wanted, key=lambda wanted: len(wanted ^ found))


def programs():
    paths = sorted(path for path in HERE.glob("*/*") if path.suffix in SUFFIXES)
    return [Program(path) for path in paths]


class Result:
    """What the tool found in a program; `skipped` says why it was not run."""

    def __init__(self, skipped=None):
        self.skipped = skipped
        self.trouble = None
        self.found = set()
        self.status = self.program_status = None
        self.report = self.errors = ""
        self.seconds = 0.0


class Doctor:
    """The tool, and what runs the programs."""

    def __init__(self, atfork, build, interpreters):
        self.atfork = atfork
        self.build = pathlib.Path(build)
        self.interpreters = interpreters

    def command(self, program):
        """None where the program cannot be run."""
        if program.path.suffix == ".c":
            built = self.build / program.target
            return [str(built)] if built.exists() else None
        interpreter = self.interpreters.get(program.path.suffix[1:])
        return [interpreter, str(program.path)] if interpreter else None

    def examine(self, program):
        command = self.command(program)
        if command is None:
            return Result(f"needs {program.head.get('needs', 'an interpreter')}")
        result = Result()
        # As below a make: a descriptor that came from outside is not what the program leaks.
        inherited, other = os.pipe()
        # A handler that does nothing may wait long for a processor.  Those that are to be slow take 250 ms.
        slow = "200" if program.name.startswith("slow-handler/") else "600000"
        started = time.monotonic()
        with tempfile.NamedTemporaryFile() as report:
            ran = subprocess.run([self.atfork, "doctor", "--json", "--slow", slow, "--output", report.name, "--", *command],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 timeout=tap.PATIENCE, check=False, pass_fds=[inherited])
            result.report = pathlib.Path(report.name).read_text()
        result.seconds = time.monotonic() - started
        os.close(inherited)
        os.close(other)
        result.status = ran.returncode
        result.errors = ran.stderr.decode(errors="replace")
        self.read(program, result)
        return result

    @staticmethod
    def read(program, result):
        try:
            report = json.loads(result.report)
        except ValueError:
            raise AssertionError(f"no report: status {result.status}\n{result.errors}") from None
        result.program_status = report["status"]
        if result.program_status == CANNOT_RUN:
            result.skipped = "cannot run here"
        for finding in report["findings"]:
            if finding["severity"] != "note":
                result.found.add(finding["rule"])
            elif finding["rule"] in program.notes:
                result.found.add(f"note {finding['rule']}")


def describe(report):
    """Each finding, and where."""
    for finding in json.loads(report)["findings"]:
        yield f"{finding['severity']}: {finding['rule']}: {finding['message']}"
        for location in finding["locations"]:
            frames = (f"{frame.get('function')} ({frame.get('file')}:{frame.get('line')})"
                      for frame in location["frames"][:4])
            yield f"  {location['role']}: " + ", ".join(frames)


def judge(program, result):
    """Raises where more or less was found than is wanted."""
    wanted = program.nearest(result.found)
    problems = [f"missed: {rule}" for rule in sorted(wanted - result.found)]
    problems += [f"false: {rule}" for rule in sorted(result.found - wanted)]
    if result.program_status != 0:
        problems.append(f"the program ended with {result.program_status}")
    expected = FOUND if any(not rule.startswith("note ") for rule in wanted) else 0
    if result.status != expected and not problems:
        problems.append(f"the tool ended with {result.status}, and not {expected}")
    if problems:
        raise AssertionError("\n".join([*problems, *describe(result.report), result.errors]))


def case(program, future):
    def run():
        result = future.result()
        if result.skipped:
            raise tap.Skipped(result.skipped)
        judge(program, result)
    return run


def words(rules):
    return ", ".join(sorted(rules)) or "nothing"


def print_table(results):
    """The table; `results` has (program, result)."""
    print(f"# {'program':41} {'wanted':18} {'found':34} time")
    done = [(program, result) for program, result in results if not result.skipped]
    for program, result in results:
        found = result.skipped or result.trouble or words(result.found)
        wanted = words(program.nearest(result.found))
        print(f"# {program.name:41} {wanted:18} {found:34} {result.seconds:4.1f} s")
    faulty = [(program, result) for program, result in done if set() not in program.wanted]
    found = sum(program.nearest(result.found) <= result.found for program, result in faulty)
    false = sum(bool(result.found - program.nearest(result.found)) for program, result in done)
    print(f"# faults found {found} of {len(faulty)}, false {false} of {len(done)}")


def finished(futures):
    for program, future in futures:
        if future.exception() is None:
            yield program, future.result()
        else:
            result = Result()
            result.trouble = str(future.exception()).split("\n", maxsplit=1)[0]
            yield program, result


def main(arguments):
    if arguments == ["--list"]:
        for program in programs():
            if program.path.suffix == ".c":
                print("|".join([program.name, *(program.head.get(key, "") for key in ("builds", "needs", "links"))]))
        return 0
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names = arguments[split + 1:]
    doctor = Doctor(*arguments[:2], dict(argument.split("=", 1) for argument in arguments[2:split]))
    chosen = [program for program in programs()
              if "finds" in program.head and (not names or any(name in program.name for name in names))]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [(program, pool.submit(doctor.examine, program)) for program in chosen]
        failed = tap.run({f"test_{program.name}": case(program, future) for program, future in futures})
    print_table(list(finished(futures)))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
