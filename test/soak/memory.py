# SPDX-License-Identifier: MIT
"""The memory of masters and workers over time, and whether it grows."""
from __future__ import annotations

import statistics
from typing import Any, Dict, List, NamedTuple, Tuple

import processes

RATE = 4.0  # KiB a minute: a page, which in a day would be 6 MiB
SLACK = 256.0  # KiB over the time that is looked at: what an allocator takes at once, and an interpreter's heap
SLACK_OF_SHORT = 24576.0  # where that time is less than LONG: all samples may fall into a request that takes memory
LONG = 600.0  # s


class Sample(NamedTuple):
    when: float  # s since the run began
    anonymous: int
    own: int
    share: int


class Growth(NamedTuple):
    """Over the second half of the run, of a process that lived through all of it."""

    server: str
    role: str
    pid: int
    size: float  # KiB, as the second half begins
    rate: float  # KiB a minute, fitted
    minutes: float

    @property
    def flat(self) -> bool:
        slack = SLACK if self.minutes * 60 >= LONG else SLACK_OF_SHORT
        return self.rate * self.minutes <= max(RATE * self.minutes, slack)


class Record:
    """Samples of each process: by its server, its role there, and its pid and birth."""

    def __init__(self) -> None:
        self.samples: Dict[Tuple[str, str, int, int], List[Sample]] = {}

    def take(self, when: float, server: str, role: str, pid: int) -> None:
        began, memory = processes.birth(pid), processes.memory(pid)
        if began is not None and memory is not None:
            self.samples.setdefault((server, role, pid, began), []).append(Sample(when, *memory))

    def as_data(self) -> List[Any]:
        return [[*key, samples] for key, samples in self.samples.items()]

    @staticmethod
    def of_data(data: List[Any]) -> "Record":
        record = Record()
        for server, role, pid, began, samples in data:
            record.samples[server, role, pid, began] = [Sample(*sample) for sample in samples]
        return record

    def growths(self, seconds: float) -> List[Growth]:
        """Of all that lived from the first fifth of the run to the last."""
        found = []
        for (server, role, pid, _), samples in self.samples.items():
            late = [sample for sample in samples if sample.when >= seconds / 2]
            points = least(late)
            if samples[0].when <= seconds / 5 and len(points) >= 2 and late[-1].when >= seconds * 0.8:
                start, rate = fit(points)
                found.append(Growth(server, role, pid, start, rate, (late[-1].when - late[0].when) / 60))
        return found


def least(samples: List[Sample]) -> List[Tuple[float, float]]:
    """The least of each minute, or of a tenth of the time: garbage comes and goes, and what has leaked stays."""
    span = min(60.0, max(3.0, (samples[-1].when - samples[0].when) / 10)) if samples else 0.0  # s
    found: Dict[int, Sample] = {}
    for sample in samples:
        place = int(sample.when / span)
        found[place] = min(found.get(place, sample), sample, key=lambda it: it.anonymous)
    return [(sample.when / 60, float(sample.anonymous)) for sample in found.values()]


def fit(points: List[Tuple[float, float]]) -> Tuple[float, float]:
    """Where a line through them begins, and its slope: medians, which a few points do not move (Theil and Sen's)."""
    pairs = [(b[1] - a[1]) / (b[0] - a[0]) for number, a in enumerate(points) for b in points[number + 1 :]]
    slope = statistics.median(pairs)
    return statistics.median(size - slope * (when - points[0][0]) for when, size in points), slope
