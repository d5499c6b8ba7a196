#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts instructions with valgrind's callgrind: figures that do not move with the machine's load.

instructions.py PROGRAM [--quick]             prints a line a figure, as the other benchmarks do
instructions.py PROGRAM --check BASELINE      prints what has changed; exit status 1 if one grew by more than 10 %
instructions.py PROGRAM --write BASELINE      notes them

What one costs is the difference between 2 N and N of it, divided by N.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

GROWTH = 0.10


def count_instructions(program, what, times):
    """Of the child, where there is one, with what it inherited."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/%p", program, what, str(times)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
            parent, messages = str(run.pid), run.stderr.read()
        if "Valgrind: debuginfo reader" in messages:
            print("# instructions: all: valgrind cannot read what this compiler writes for debuggers")
            sys.exit(0)
        if run.returncode != 0:
            sys.exit(f"instructions.py: {what} ended with status {run.returncode}\n{messages}")
        files = sorted(pathlib.Path(directory).iterdir(), key=lambda file: file.name == parent)
        totals = [line for line in files[0].read_text().splitlines() if line.startswith("totals:")]
        return int(totals[0].split()[1])


def measure(program, quick):
    times = 1000 if quick else 10000

    def each(what):
        return (count_instructions(program, what, 2 * times) - count_instructions(program, what, times)) / times

    register = each("register")
    return {
        "a load": each("load"),
        "generation check": each("check"),
        "register": register,
        "unregister": each("unregister") - register,
        "child hook": each("child") - each("register-child"),
        "register, pthread_atfork": each("register-pthread"),
        "child hook, pthread_atfork": each("child-pthread") - each("register-child-pthread"),
    }


def print_figures(figures):
    pairs = [
        ("child hook", "pthread_atfork()", "child hook, pthread_atfork"),
        ("register", "pthread_atfork()", "register, pthread_atfork"),
        ("unregister", "register", "register"),
        ("generation check", "a volatile load", "a load"),
    ]
    for name, peer, peer_name in pairs:
        ours, theirs = figures[name], figures[peer_name]
        columns = ["instructions", name, "0", peer, "instructions", "ratio", ""]
        columns += [f"{value:.6g}" for value in [ours] * 3 + [theirs] * 3 + [ours / theirs] * 3]
        print("\t".join(columns))


def check(figures, baseline):
    grown = False
    print(f"{'instructions':28} {'baseline':>10} {'now':>10} {'change':>9}")
    for name, before in baseline.items():
        change = figures[name] / before - 1
        grown |= change > GROWTH
        print(f"{name:28} {before:10.1f} {figures[name]:10.1f} {change:+9.1%}")
    return 1 if grown else 0


def main(arguments):
    program, options = arguments[0], arguments[1:]
    if not shutil.which("valgrind"):
        print("# instructions: all: valgrind is not installed")
        return 0
    figures = measure(program, "--quick" in options)
    if "--check" in options:
        return check(figures, json.loads(pathlib.Path(options[options.index("--check") + 1]).read_text()))
    if "--write" in options:
        # The peers' are the C library's, and not ours to keep.
        ours = {name: round(value, 1) for name, value in figures.items() if "pthread" not in name and name != "a load"}
        pathlib.Path(options[options.index("--write") + 1]).write_text(json.dumps(ours, indent=2) + "\n")
        return 0
    print_figures(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
