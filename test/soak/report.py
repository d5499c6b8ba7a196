# SPDX-License-Identifier: MIT
"""What a run has shown, in words and figures."""
from __future__ import annotations

import math
from typing import Any, Dict, List, Tuple

from memory import LONG, Growth, Record


def total(servers: List[Dict[str, Any]], *path: str) -> int:
    """The sum of a figure, or of a list's lengths."""
    found = 0
    for value in servers:
        got: Any = value
        for name in path:
            got = got.get(name, 0)
        found += sum(got.values()) if isinstance(got, dict) else len(got) if isinstance(got, list) else got
    return found


def progress(servers: List[Dict[str, Any]]) -> str:
    mine = [server for server in servers if server["library"]]
    return (
        f"{total(servers, 'answered')} answers, {total(mine, 'processes')} processes with hooks, "
        f"{total(servers, 'events')} events, {total(servers, 'dropped')} dropped, {total(servers, 'lost')} lost, "
        f"{total(mine, 'faults')} faults"
    )


def row(server: Dict[str, Any]) -> str:
    events = " ".join(f"{name} {count}" for name, count in sorted(server["events"].items()))
    dropped = " ".join(f"{name} {count}" for name, count in sorted(server["dropped"].items())) or "-"
    faults = " ".join(f"{server['faults'].get(name, 0):7}" for name in ("missed", "doubled", "error"))
    if not server["library"]:
        faults = f"{'-':>7} {'-':>7} {'-':>7}"
    return (
        f"{server['name']:22} {server['answered']:8} {server['processes'] or '-':>9} {len(server['lost']):5}{faults}"
        f"  {events}; dropped: {dropped}"
    )


def drops(servers: List[Dict[str, Any]]) -> Tuple[int, int, bool]:
    """With the library and without, of servers that are treated alike; and whether the first is more than chance.  One
    event drops a dozen connections at once, so the events that drop any are compared: 6 standard deviations, which
    chance comes to less than once in 10^9 runs."""
    pairs = [server for server in servers if server["changing"]]
    sides = [[server for server in pairs if server["library"] is library] for library in (True, False)]
    mine, alone = (total(side, "dropped") for side in sides)
    costly = [total(side, "costly") for side in sides]
    return mine, alone, all(sides) and costly[0] - costly[1] > 6 * math.sqrt(sum(costly) + 1)


def describe(growth: Growth) -> str:
    return (
        f"{growth.server:22} {growth.role:6} {growth.size / 1024:8.1f} MiB {growth.rate:+8.2f} KiB/min"
        f" ({growth.least:+.2f} … {growth.most:+.2f}){'' if growth.flat else '   grows'}"
    )


def tell(result: Dict[str, Any]) -> int:
    """Prints it; the exit status."""
    servers = result["servers"]
    figures = f"{'answers':>8} {'processes':>9} {'lost':>5} {'missed':>6} {'doubled':>7} {'wrong':>7}"
    print(f"{'server':22} {figures}  events")
    for server in servers:
        print(row(server))
    for server in servers:
        for text in server["said"] + server["failed"] + [" ".join(map(str, lost)) for lost in server["lost"][:20]]:
            print(f"  {server['name']}: {text}")
    growths = Record.of_data(result["memory"]).growths(result["seconds"])
    print("memory over the second half, of those that lived through the run:")
    for growth in growths:
        print(describe(growth))
    print(f"{result['cpu']:.0f} s of processor time, the servers' included, in {result['seconds'] / 60:g} minutes")
    return verdict(servers, growths, result["killed"])


def verdict(servers: List[Dict[str, Any]], growths: List[Growth], killed: int) -> int:
    mine, alone, more = drops(servers)
    lost, failed = total(servers, "lost"), total(servers, "failed")
    missed, doubled, wrong = (total(servers, "faults", name) for name in ("missed", "doubled", "error"))
    worst = max((growth for growth in growths if growth.role == "worker"), key=lambda it: it.rate, default=None)
    growing = [growth for growth in growths if not growth.flat]
    told = ": more than chance" if more else ""
    print(f"dropped by the servers themselves while a worker ends: {mine} with the library, {alone} without{told}")
    if failed or killed:
        print(f"{failed} events had no end; {killed} processes had to be killed in the end")
    short = worst is None or worst.minutes * 60 < LONG
    span = "" if worst is None else f"{worst.least * 60:+.0f} … {worst.most * 60:+.0f} KiB/h ({worst.server})"
    per_hour = "not known" if short else span
    print(
        f"lost {lost}, missed {missed}, doubled {doubled}, wrong {wrong}, "
        f"growing {len(growing)} of {len(growths)}, a worker's growth at most {per_hour}"
    )
    return 1 if lost or missed or doubled or wrong or growing or more or failed else 0
