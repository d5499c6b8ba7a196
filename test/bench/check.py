#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A benchmark still gives its figures: check.py PROGRAM ARGUMENT...

Each line that it prints must be a figure (bench.h) with numbers in it.  How large they are is not asked.
"""
import math
import subprocess
import sys

NUMBERS = 9


def fault_of(columns):
    """Returns what is wrong with a figure, or nothing."""
    if len(columns) != 7 + NUMBERS:
        return f"{len(columns)} columns"
    measure, numbers = columns[5], list(map(float, columns[7:]))
    if not all(map(math.isfinite, numbers)):
        return "a number is not finite"
    # What is left when something was taken off may be noise; and differences may be of equals.
    measured = {"ratio": numbers, "difference": numbers[:6], "net ratio": []}[measure]
    if not all(number > 0 for number in measured):
        return "a number is not positive"
    return ""


def main(command):
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    failures = count = 0

    def report(good, text):
        nonlocal failures, count
        count += 1
        failures += not good
        print(f"{'ok' if good else 'not ok'} {count} - {text}")

    for line in run.stdout.splitlines():
        if line.startswith("#"):
            report(True, f"{line[1:].strip()} # SKIP cannot be measured here")
            continue
        columns = line.split("\t")
        fault = fault_of(columns)
        report(not fault, ", ".join(columns[:4]) + (f": {fault}: {line}" if fault else ""))
    report(run.returncode == 0 and count > 0, f"ends well, with status {run.returncode}")
    print(f"1..{count}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
