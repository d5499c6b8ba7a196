#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares a language's column of test/scenarios.md with the cases that its tests would run.  Speaks the Test
Anything Protocol.

parity.py TABLE COLUMN MARKS INTERPRETER FILE... [-- PROGRAM]...

MARKS: what stands in the column where a scenario runs, with commas between.  PROGRAM: one of GLib's tests, whose
paths below /scenario are ids.
"""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=wrong-import-position

COLUMNS = ["id", "what it shows", "Lua", "Ruby", "Python"]
MARKS = {"✓", "LuaJIT"}


def rows_of(text, header):
    """The rows of all tables in a Markdown text that have this header: a list of cells each."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else None
        if cells == header:
            inside = True
        elif cells is None:
            inside = False
        elif inside and not re.fullmatch(r"[\s|:-]+", line):
            yield cells


def wrong_in(text):
    """What is wrong in the table itself."""
    reasons = dict(row for row in rows_of(text, ["reason", "why"]) if len(row) == 2)
    used, seen = set(), set()
    for row in rows_of(text, COLUMNS):
        name = row[0]
        if len(row) != len(COLUMNS):
            yield f"{name}: {len(row)} cells"
            continue
        if name in seen:
            yield f"{name}: twice"
        seen.add(name)
        if not row[1]:
            yield f"{name}: says nothing"
        for language, cell in zip(COLUMNS[2:], row[2:]):
            if not cell:
                yield f"{name}: {language} has neither the mark nor a reason"
            elif cell not in MARKS and cell not in reasons:
                yield f"{name}: '{cell}' is no reason"
            used.add(cell)
    if not seen:
        yield "no scenarios"
    for reason, why in reasons.items():
        if not why:
            yield f"'{reason}': empty"
        if reason not in used:
            yield f"'{reason}': no row has it"


def compare(text, column, marks, ids):
    """What the table and the cases say differently: rows without a case, cases without a row, rows with both a case
    and a reason."""
    index = COLUMNS.index(column)
    cells = {row[0].strip("`"): row[index] for row in rows_of(text, COLUMNS) if len(row) == len(COLUMNS)}
    runs = {name for name, cell in cells.items() if cell in marks}
    return sorted(runs - ids), sorted(ids - set(cells)), sorted(ids & set(cells) - runs)


def listed(command):
    """What a program prints that lists its cases."""
    environment = {**os.environ, "ATFORK_TEST_LIST": "1"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode != 0:
        sys.exit(f"{command} ended with {run.returncode}: {run.stderr}")
    return run.stdout.split()


def ids_of(arguments):
    (interpreter, *files), *programs = split(arguments)
    ids = set()
    for file in files:
        ids.update(listed([interpreter, file]))
    for command in programs:
        ids.update(path.rpartition("/")[2] for path in listed([*command, "-l"]) if path.startswith("/scenario/"))
    return ids


def split(arguments):
    """At each `--`."""
    parts = [[]]
    for argument in arguments:
        if argument == "--":
            parts.append([])
        else:
            parts[-1].append(argument)
    return parts


def main(table, column, marks, *arguments):
    text = pathlib.Path(table).read_text(encoding="utf-8")
    ids = ids_of(list(arguments))
    no_case, no_row, both = compare(text, column, marks.split(","), ids)
    results = [
        ("the table is whole", list(wrong_in(text))),
        (f"each scenario that {column} runs has a case", no_case),
        (f"each case of {column}'s has a scenario", no_row),
        (f"no scenario that {column} is said not to run has a case", both),
    ]
    return tap.report(results)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
