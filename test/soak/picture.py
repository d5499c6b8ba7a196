# SPDX-License-Identifier: MIT
"""Draws the memory of each server's processes over time, as SVG."""
from __future__ import annotations

import html
import math
from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

from memory import Record, Sample

WIDTH, HEIGHT = 1000, 250  # of a panel with its words
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 66, 34
POINTS = 240  # of a line, at the most
HEAD = 96


class Line(NamedTuple):
    name: str
    server: str
    role: str
    colour: str
    style: str


# Of each kind of server; what is without the library lies under what has it.
LINES = [
    Line("workers without the library, the mean", "{}-without", "worker", "#b9a37e", 'stroke-width="3"'),
    Line("workers that are replaced all the time, the mean", "{}", "worker", "#1a7f93", 'stroke-width="1.4"'),
    Line("a worker that stays", "{}-steady", "worker", "#c8322b", 'stroke-width="1.8"'),
    Line("the master", "{}-steady", "master", "#5b6570", 'stroke-width="1.8"'),
]


def buckets(samples: Iterable[Sample], seconds: float) -> List[Tuple[float, float]]:
    """Means of anonymous memory, in MiB, at times in minutes."""
    sums: Dict[int, List[float]] = {}
    for sample in samples:
        entry = sums.setdefault(int(sample.when / seconds * POINTS), [0.0, 0.0, 0.0])
        for place, value in enumerate((sample.when / 60, sample.anonymous / 1024, 1.0)):
            entry[place] += value
    return [(when / count, size / count) for _, (when, size, count) in sorted(sums.items())]


def points(record: Record, line: Line, kind: str, seconds: float) -> List[Tuple[float, float]]:
    found = [
        samples
        for (server, role, _, _), samples in record.samples.items()
        if server == line.server.format(kind) and role == line.role
    ]
    if line.server.endswith("-steady"):
        found = sorted(found, key=lambda samples: samples[0].when - samples[-1].when)[:1]  # who lived longest
    return buckets((sample for samples in found for sample in samples), seconds)


def step(top: float) -> float:
    """Between lines of a scale: 1, 2 or 5 times a power of ten, three to eight of them."""
    raw = max(top, 1e-9) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)


def text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(words, quote=False)}</text>'


class Panel:
    """One kind of server."""

    def __init__(self, result: Dict[str, Any], record: Record, kind: str, at: float) -> None:
        self.kind, self.at = kind, at
        self.minutes: float = result["seconds"] / 60
        self.servers = [server for server in result["servers"] if server["kind"] == kind]
        self.lines = [(line, points(record, line, kind, result["seconds"])) for line in LINES]
        self.top: float = max((size for _, line in self.lines for _, size in line), default=1.0) * 1.12

    def x(self, minutes: float) -> float:
        return LEFT + minutes / self.minutes * (WIDTH - LEFT - RIGHT)

    def y(self, size: float) -> float:
        return self.at + HEIGHT - BOTTOM - size / self.top * (HEIGHT - TOP - BOTTOM)

    def scales(self) -> List[str]:
        out = []
        size, minutes = 0.0, 0.0
        while size <= self.top:
            y = self.y(size)
            out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#dde2e6"/>')
            out.append(text(LEFT - 8, y + 4, f"{size:g}", 'text-anchor="end" fill="#5b6570"'))
            size += step(self.top)
        while minutes <= self.minutes * 1.001:
            out.append(text(self.x(minutes), self.y(0) + 18, f"{minutes:g}", 'text-anchor="middle" fill="#5b6570"'))
            minutes += step(self.minutes)
        return out

    def drawn(self) -> List[str]:
        out = []
        for line, found in self.lines:
            if found:
                path = "L".join(f"{self.x(when):.1f} {self.y(size):.1f}" for when, size in found)
                style = f'fill="none" stroke="{line.colour}" stroke-linejoin="round" {line.style}'
                out.append(f'<path d="M{path}" {style}/>')
        return out

    def words(self) -> List[str]:
        mine = [server for server in self.servers if server["library"]]
        events: Dict[str, int] = {}
        for server in mine:
            for name, count in server["events"].items():
                events[name] = events.get(name, 0) + count
        in_order = sorted(events.items(), key=lambda it: (it[0].islower(), it[0]))
        told = [f"{count} × {NAMES.get(name, name)}" for name, count in in_order]
        lost = sum(len(server["lost"]) for server in mine)
        missed, doubled = (sum(server["faults"].get(name, 0) for server in mine) for name in ("missed", "doubled"))
        answers, processes = (sum(server[name] for server in mine) for name in ("answered", "processes"))
        figures = f"{answers:,} answers from {processes:,} processes: {lost} lost, {missed} missed, {doubled} doubled"
        return [
            text(LEFT, self.at + 30, TITLES.get(self.kind, self.kind), 'font-weight="bold" font-size="15"'),
            text(WIDTH - RIGHT, self.at + 30, figures, 'text-anchor="end"'),
            text(WIDTH - RIGHT, self.at + 48, ", ".join(told), 'text-anchor="end" fill="#5b6570" font-size="12"'),
        ]

    def draw(self) -> List[str]:
        return [*self.words(), *self.scales(), *self.drawn()]


NAMES = {"kill": "kill -9 of a worker", "end": "a worker told to end"}
TITLES = {"fork_worker": "Puma, fork_worker", "puma": "Puma", "uwsgi": "uWSGI"}


def legend() -> List[str]:
    title = "Anonymous memory of a process, in MiB, over minutes"
    out = [text(LEFT, 30, title, 'font-weight="bold" font-size="17"')]
    for place, line in enumerate(reversed(LINES)):
        x, y = LEFT + place % 2 * 420, 56 + place // 2 * 20
        out.append(f'<path d="M{x} {y - 4}h26" stroke="{line.colour}" {line.style}/>')
        out.append(text(x + 34, y, line.name))
    return out


def draw(result: Dict[str, Any]) -> str:
    record = Record.of_data(result["memory"])
    kinds = list(dict.fromkeys(server["kind"] for server in result["servers"]))
    height = HEAD + HEIGHT * len(kinds)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13" fill="#1b1f24">',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#f5f7f9"/>',
        *legend(),
    ]
    for number, kind in enumerate(kinds):
        out += Panel(result, record, kind, HEAD + number * HEIGHT).draw()
    return "\n".join([*out, "</svg>"]) + "\n"
