# SPDX-License-Identifier: MIT
"""Writes a run's figures into a page, between the two comments that mark their place."""
from __future__ import annotations

import pathlib
import re
from typing import Any, Dict, List

from memory import LONG, Record
from report import drops, total

PLACE = re.compile(r"(<!-- table -->\n).*?(<!-- /table -->\n)", re.DOTALL)
COLUMNS = ["server", "answers", "processes", "reloads", "workers ended", "lost", "missed", "doubled", "growth, KiB/h"]


def growth(result: Dict[str, Any], kind: str) -> str:
    """Between what it lies, of the worker that stays, and of its master; a short run cannot tell."""
    if result["seconds"] < 2 * LONG:
        return "–"
    found = Record.of_data(result["memory"]).growths(result["seconds"])
    steady = [each for each in found if each.server == f"{kind}-steady"]
    rates = {each.role: f"{each.least * 60:+.0f} … {each.most * 60:+.0f}" for each in steady}
    return f"{rates.get('worker', '?')}; {rates.get('master', '?')}"


def row(result: Dict[str, Any], kind: str) -> List[str]:
    mine = [server for server in result["servers"] if server["kind"] == kind and server["library"]]
    ended = sum(server["events"].get(name, 0) for server in mine for name in ("kill", "end"))
    figures = [total(mine, "answered"), total(mine, "processes"), total(mine, "events") - ended, ended]
    figures += [total(mine, "lost"), *(total(mine, "faults", name) for name in ("missed", "doubled"))]
    return [kind, *(f"{figure:,}" for figure in figures), growth(result, kind)]


def table(result: Dict[str, Any]) -> str:
    kinds = dict.fromkeys(server["kind"] for server in result["servers"])
    rows = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *(row(result, kind) for kind in kinds)]
    mine, alone, _ = drops(result["servers"])
    minutes, busy = (result[name] / 60 for name in ("seconds", "cpu"))
    words = (
        f"\nDropped by the servers that change, while a worker ends: {mine} with the library, {alone} without.\n"
        f"The run took {minutes:.0f} minutes, of which a processor was busy with it for {busy:.0f}.\n"
    )
    return "".join("| " + " | ".join(cells) + " |\n" for cells in rows) + words


def write(path: pathlib.Path, result: Dict[str, Any]) -> None:
    page = path.read_text(encoding="utf-8")
    if not PLACE.search(page):
        raise SystemExit(f"{path} has no place for the figures")
    path.write_text(PLACE.sub(lambda found: f"{found[1]}{table(result)}{found[2]}", page), encoding="utf-8")
