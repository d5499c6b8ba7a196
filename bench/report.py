#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes of what the benchmarks printed one table, a file of results, a page, and what there is to plot.

report.py LOG [--json FILE] [--plot FILE] [--page FILE]

LOG is the JSON log of Meson's test runner.  The page is a Markdown file whose table, between the two comments that mark
it, is written anew.  bench.h says what the columns of a figure are.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

TITLES = {
    "checks": "Did I fork?",
    "dispatch": "Dispatch: from fork() to the child's first own instruction",
    "phases": "Dispatch: each phase, per hook",
    "register": "Register and unregister, per call",
    "memory": "Memory",
    "forks": "Fork itself",
    "busy": "Forks under busy mutexes",
    "threads": "Threads: calls a second, where more is better",
    "scripts": "Scripts, per hook",
    "watched": "Programs that the command `atfork` watches",
    "instructions": "Instructions",
}
COLUMNS = ["figure", "ours", "peer", "theirs", "ours against theirs", "aim", ""]
TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- /table -->\n)", re.DOTALL)


def spread(columns):
    low, median, high = map(float, columns)
    return {"low": low, "median": median, "high": high}


def figure_of(line):
    columns = line.split("\t")
    row, name, hooks, peer, unit, measure, aim = columns[:7]
    figure = {"row": row, "figure": name, "hooks": int(hooks), "peer": peer, "unit": unit, "measure": measure}
    figure |= {"ours": spread(columns[7:10]), "theirs": spread(columns[10:13]), "value": spread(columns[13:16])}
    # What is left when something was taken off says nothing once it is as small as what that varies by.
    figure["noise"] = measure == "net ratio" and (figure["ours"]["low"] < 0 or figure["theirs"]["low"] <= 0)
    if aim:
        figure["aim"] = float(aim)
        figure["met"] = None if figure["noise"] else figure["value"]["median"] <= float(aim)
    return figure


def read_log(path):
    """Returns the figures in the order of their rows, and what could not be measured."""
    figures, skipped = [], []
    for test in map(json.loads, path.read_text().splitlines()):
        if test["result"] != "OK":
            skipped.append(f"{test['name']}: {test['result']}")
        for line in test.get("stdout", "").splitlines():
            if line.startswith("#"):
                skipped.append(line[1:].strip())
            elif line.count("\t") == 15:
                figures.append(figure_of(line))
    rows = list(TITLES)
    figures.sort(key=lambda figure: rows.index(figure["row"]))
    return figures, skipped


# ---- How numbers are written ----


def number(value):
    """Three digits that count."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def quantity(value, unit):
    steps = {"ns": [("ns", 1), ("µs", 1e3), ("ms", 1e6)], "/s": [("/s", 1), ("k/s", 1e3), ("M/s", 1e6)]}
    chosen, size = unit, 1
    for name, step in steps.get(unit, []):
        if abs(value) >= step:
            chosen, size = name, step
    return number(value / size) + ("" if unit in ("faults", "instructions") else " " + chosen)


def value_of(figure):
    if figure["noise"]:
        return "lost in noise"
    low, median, high = (number(figure["value"][key]) for key in ("low", "median", "high"))
    if figure["measure"] == "difference":
        return f"{figure['value']['median']:+.3g} ({low} to {high})"
    return f"{median} × ({low} to {high})"


def cells_of(figure):
    name = figure["figure"]
    if figure["hooks"] and not re.match(r"\d+ hooks", name):
        name += f", {figure['hooks']:,} hook" + ("s" if figure["hooks"] > 1 else "")
    verdict = {True: "met", False: "missed", None: "unknown"}[figure.get("met")]
    aim = number(figure["aim"]) if "aim" in figure else ""
    sign = "" if figure["measure"] == "difference" else " ×"
    return [
        name,
        quantity(figure["ours"]["median"], figure["unit"]),
        figure["peer"],
        quantity(figure["theirs"]["median"], figure["unit"]),
        value_of(figure),
        f"≤ {aim}{sign}" if aim else "",
        verdict if aim else "",
    ]


# ---- Where they are written ----


def rows_of(figures):
    for row, title in TITLES.items():
        lines = [cells_of(figure) for figure in figures if figure["row"] == row]
        if lines:
            yield title, lines


def print_table(figures, skipped):
    widths = [max(len(cell) for cell in cells) for cells in zip(COLUMNS, *(cells_of(figure) for figure in figures))]
    right = {1, 3, 5}
    for title, lines in rows_of(figures):
        print(f"\n{title}")
        for cells in [COLUMNS] + lines:
            padded = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths))]
            print(("  " + "  ".join(padded)).rstrip())
    for line in skipped:
        print(f"not measured: {line}")


def write_page(path, figures, context):
    parts = [f"Medians of one run, quartiles in parentheses: {context}.\n"]
    for title, lines in rows_of(figures):
        table = ["| " + " | ".join(cells) + " |" for cells in [COLUMNS] + lines]
        table.insert(1, "| --- | ---: | --- | ---: | --- | ---: | --- |")
        parts.append(f"### {title}\n\n" + "\n".join(table) + "\n")
    page = path.read_text()
    if not TABLE.search(page):
        sys.exit(f"report.py: {path} has no place for the table")
    path.write_text(TABLE.sub(lambda found: found[1] + "\n".join(parts) + found[2], page))


def write_plot(path, figures):
    """Cost for each hook; NaN where the empty fork's own variation swallowed it."""
    lines = ["# hooks, ours: median, low, high, theirs: median, low, high; ns"]
    for figure in figures:
        if figure["row"] != "dispatch" or figure["measure"] != "net ratio":
            continue
        cells = [str(figure["hooks"])]
        for side in (figure["ours"], figure["theirs"]):
            cells += [f"{side[key]:.6g}" if side["low"] > 0 else "NaN" for key in ("median", "low", "high")]
        lines.append(" ".join(cells))
    path.write_text("\n".join(lines) + "\n")


def describe_machine():
    compiler = subprocess.run(["cc", "-dumpfullversion"], capture_output=True, text=True, check=False).stdout.strip()
    kernel = ".".join(platform.release().split(".")[:2])
    libc = " ".join(platform.libc_ver())
    return f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()} {kernel}, {libc}, cc {compiler}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--plot", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    figures, skipped = read_log(arguments.log)
    if not figures:
        sys.exit("report.py: there is no figure")
    machine = describe_machine()
    print_table(figures, skipped)
    if arguments.json:
        results = {"machine": machine, "figures": figures, "skipped": skipped}
        arguments.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if arguments.plot:
        write_plot(arguments.plot, figures)
    if arguments.page:
        write_page(arguments.page, figures, machine)


if __name__ == "__main__":
    main()
