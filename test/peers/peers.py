#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks up the tests that test/peers.md names, in what Meson runs and in what the programs list.  Speaks the Test
Anything Protocol.

peers.py TABLE SCENARIOS BUILD [MISSING...]

MISSING: tests of programs that this machine does not have, and so cannot be looked up.
"""
import functools
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=wrong-import-position

HEADER = ["their case", "what it checks", "ours"]


def cells_of(line):
    """Of a table's row.  A | inside backquotes divides none."""
    cells, quoted = [""], False
    for letter in line.strip().strip("|"):
        quoted ^= letter == "`"
        if letter == "|" and not quoted:
            cells.append("")
        else:
            cells[-1] += letter
    return [cell.strip() for cell in cells]


def rows_of(text):
    """Each row of a text's tables, with the heading above it and the table's header."""
    heading, header = None, None
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        cells = cells_of(line) if line.startswith("|") else None
        if cells is None:
            header = None
        elif header is None:
            header = cells
        elif not re.fullmatch(r"[\s|:-]+", line):
            yield heading, header, cells


def tests_in(cell):
    """The tests that a cell names; none where it is a reason."""
    return re.findall(r"`([^`]+)`", cell) if re.fullmatch(r"`[^`]+`(, `[^`]+`)*", cell) else []


def wrong_in(text, exists):
    """Of each peer, what is wrong with its rows."""
    rows = list(rows_of(text))
    reasons = {cells[0]: cells[1] for _, header, cells in rows if header == ["reason", "why"]}
    used = set()
    for peer in dict.fromkeys(heading for heading, header, _ in rows if header == HEADER):
        wrong, case = [], ""
        for cells in (cells for heading, header, cells in rows if heading == peer and header == HEADER):
            if len(cells) != len(HEADER) or not all(cells[1:]) or not (cells[0] or case):
                wrong.append(f"not three cells: {' | '.join(cells)}")
                continue
            case = cells[0] or case
            tests = tests_in(cells[2])
            if not tests and cells[2] not in reasons:
                wrong.append(f"{case}: '{cells[2]}' is neither a test nor a reason")
            used.update([] if tests else [cells[2]])
            wrong += [f"{case}: {test} is not run" for test in tests if not exists(test)]
        yield peer, wrong
    yield "the reasons", [f"'{reason}': no row has it" for reason in reasons if reason not in used] + [
        f"'{reason}': empty" for reason, why in reasons.items() if not why]


class Build:
    """What Meson runs in a build, and what that lists."""

    def __init__(self, build, scenarios, missing):
        self.missing = missing
        tests = json.loads((pathlib.Path(build) / "meson-info" / "intro-tests.json").read_text(encoding="utf-8"))
        self.tests = {test["name"]: test for test in tests}
        self.scenarios = set(re.findall(r"^\| `([a-z0-9-]+)` \|.*✓", scenarios, re.MULTILINE))

    @functools.lru_cache(maxsize=None)
    def cases(self, name):
        """The names of a test's cases, by the program itself: GLib's with -l, those of the languages by a variable."""
        test = self.tests.get(name)
        if test is None:
            return frozenset()
        command = [part for part in test["cmd"] if part != "--tap"]
        command += ["-l"] if "--tap" in test["cmd"] else []
        environment = {**os.environ, **test["env"], "ATFORK_TEST_LIST": "names"}
        run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        if run.returncode != 0:
            sys.exit(f"{command} ended with {run.returncode}: {run.stderr}")
        return frozenset(run.stdout.splitlines())

    def exists(self, test):
        if test.startswith("/"):
            first, second = test.split("/")[1:3]
            program = first.replace("-", "_")
            return test in self.cases(program if program in self.tests else f"{first}-{second}")
        if test.startswith("Test"):
            return test in self.cases("ruby")
        program, _, case = test.partition(".")
        if program in self.missing:
            return True
        if case:
            cases = self.cases(program if program in self.tests else f"python-{program}")
            return case in {name.rpartition(".")[2] for name in cases}
        return test in self.scenarios


def main(table, scenarios, build, *missing):
    text, known = (pathlib.Path(path).read_text(encoding="utf-8") for path in (table, scenarios))
    results = list(wrong_in(text, Build(build, known, missing).exists))
    return tap.report(results)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
