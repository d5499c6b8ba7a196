# SPDX-License-Identifier: MIT
"""The memory of masters and workers over time, and whether it grows."""
from __future__ import annotations

import math
import statistics
from typing import Any, Dict, List, NamedTuple, Tuple

import processes

RATE = 4.0  # KiB a minute: a page, which in a day would be 6 MiB
SLACK = 256.0  # KiB over the time that is looked at: what an allocator takes at once, and an interpreter's heap
SLACK_OF_SHORT = 4096.0  # where that time is less than LONG: interpreters have not settled
LONG = 600.0  # s
SURE = 1.96  # standard deviations: 19 of 20


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
    least: float  # between which and the next the rate lies, 19 times of 20
    most: float
    minutes: float

    @property
    def flat(self) -> bool:
        """If it does not grow by more than is allowed, for sure."""
        slack = SLACK if self.minutes * 60 >= LONG else SLACK_OF_SHORT
        return self.least * self.minutes <= max(RATE * self.minutes, slack)


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
                found.append(Growth(server, role, pid, *fit(points), (late[-1].when - late[0].when) / 60))
        return found


def least(samples: List[Sample]) -> List[Tuple[float, float]]:
    """The least of each minute, or of a twelfth of the time: garbage comes and goes, and what has leaked stays."""
    span = min(60.0, (samples[-1].when - samples[0].when) / 12 + 0.1) if samples else 0.0  # s
    found: Dict[int, Sample] = {}
    for sample in samples:
        place = int(sample.when / span)
        found[place] = min(found.get(place, sample), sample, key=lambda it: it.anonymous)
    return [(sample.when / 60, float(sample.anonymous)) for sample in found.values()]


def fit(points: List[Tuple[float, float]]) -> Tuple[float, float, float, float]:
    """Where a line through them begins, and its slope: medians, which a few points do not move (Theil and Sen's).  And
    what the slope lies between, by Kendall's test."""
    pairs = [(b[1] - a[1]) / (b[0] - a[0]) for number, a in enumerate(points) for b in points[number + 1 :]]
    slope = statistics.median(pairs)
    start = statistics.median(size - slope * (when - points[0][0]) for when, size in points)
    count = len(points)
    apart = SURE * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    ranks = sorted(pairs)
    low = math.floor((len(ranks) - apart) / 2)
    if low < 0:  # so few points say nothing
        return start, slope, -math.inf, math.inf
    return start, slope, ranks[low], ranks[-1 - low]
