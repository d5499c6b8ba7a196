#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a job of two nodes, with two ranks each that fork two workers, and draws what they are and what they draw.

tree.py LIBRARY PICTURE.svg     LIBRARY is libatfork.so
tree.py --rank LIBRARY          is a rank

The nodes are two launches with the variables that Slurm's srun sets on each.  Without the library a rank seeds its
generator with 42 + its number on the node, and its workers go on from there; with it each seeds one of its own.
"""
import ctypes
import json
import os
import pathlib
import random
import subprocess
import sys

BASE = 42
NODES, RANKS, WORKERS = 2, 2, 2

# ---- A rank ----


def say(library, without):
    lineage = ctypes.create_string_buffer(1024)
    library.atfork_lineage(lineage, 1024)
    state = ctypes.create_string_buffer(32)
    library.atfork_seed_bytes(ctypes.c_uint64(BASE), state, ctypes.c_size_t(32))
    with_library = random.Random(int.from_bytes(state.raw, "little"))
    draws = {"lineage": lineage.value.decode(), "without": without.getrandbits(16), "with": with_library.getrandbits(16)}
    os.write(1, (json.dumps(draws) + "\n").encode())


def be_rank(path):
    library = ctypes.CDLL(path)
    without = random.Random(BASE + int(os.environ["SLURM_LOCALID"]))
    if library.atfork_adopt(None) != 0:
        sys.exit("not numbered")
    for _ in range(WORKERS):
        pid = os.fork()
        if pid == 0:
            say(library, without)
            os._exit(0)
        if os.waitpid(pid, 0)[1] != 0:
            sys.exit("a worker failed")
    say(library, without)


def launch(path):
    """What each process says, by lineage."""
    found = {}
    for node in range(NODES):
        for local in range(RANKS):
            rank = {"SLURM_PROCID": node * RANKS + local, "SLURM_LOCALID": local, "SLURM_JOB_ID": 7, "SLURM_STEP_ID": 0}
            environment = {"PATH": os.environ["PATH"], **{name: str(value) for name, value in rank.items()}}
            command = [sys.executable, __file__, "--rank", path]
            said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
            found.update((line["lineage"], line) for line in map(json.loads, said.stdout.splitlines()))
    return found


# ---- The picture ----

WIDTH, HEIGHT = 860, 318
BOX, TALL = 92, 62


def text(x, y, words, size=12, anchor="middle", colour="#222"):
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def line(x1, y1, x2, y2):
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#888"/>'


def chip(x, y, number, colour):
    return f'<rect x="{x:g}" y="{y:g}" width="42" height="18" rx="3" fill="{colour}"/>' + text(x + 21, y + 13, f"{number:04x}", 11)


def colours(numbers):
    """One for each that there is; white where nobody else has it."""
    shared = [number for number in dict.fromkeys(numbers) if numbers.count(number) > 1]
    palette = ["#f2a97e", "#8fb8de", "#b7d98b", "#d9b3e6"]
    return {number: palette[shared.index(number) % len(palette)] if number in shared else "#f4f4f4" for number in numbers}


def box(process, x, y, palettes):
    left = x - BOX / 2
    return [
        f'<rect x="{left:g}" y="{y:g}" width="{BOX}" height="{TALL}" rx="5" fill="#fff" stroke="#555"/>',
        text(x, y + 18, process["lineage"], 13),
        chip(left + 3, y + 34, process["without"], palettes["without"][process["without"]]),
        chip(left + BOX - 45, y + 34, process["with"], palettes["with"][process["with"]]),
    ]


def draw(found):
    palettes = {how: colours([process[how] for process in found.values()]) for how in ("without", "with")}
    out = [text(WIDTH / 2, 20, "one job, two nodes: ranks 0 to 3, each of which forks two workers", 14)]
    half = WIDTH / NODES
    for node in range(NODES):
        out.append(f'<rect x="{node * half + 8:g}" y="34" width="{half - 16:g}" height="224" rx="8" fill="#f7f9fb" stroke="#bbb"/>')
        out.append(text(node * half + 22, 54, f"node {node}", 12, "start", "#666"))
        for local in range(RANKS):
            rank, x = node * RANKS + local, node * half + half * (2 * local + 1) / (2 * RANKS)
            for worker in range(WORKERS):
                below = x + (worker - (WORKERS - 1) / 2) * (BOX + 8)
                out.append(line(x, 66 + TALL, below, 182))
                out += box(found[f"0.r{rank}.{worker + 1}"], below, 182, palettes)
            out += box(found[f"0.r{rank}"], x, 66, palettes)
    shared = sum(palettes["without"][process["without"]] != "#f4f4f4" for process in found.values())
    out.append(text(WIDTH / 2, 282, "first draw of each process: left, a generator seeded with 42 + the rank on its node; right, with the library"))
    out.append(text(WIDTH / 2, 302, f"the same colour is the same draw: {shared} of {len(found)} processes share theirs without, "
                    f"{sum(palettes['with'][process['with']] != '#f4f4f4' for process in found.values())} with"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *out, "</svg>"]) + "\n"


def main(arguments):
    if len(arguments) != 2:
        sys.exit(__doc__)
    if arguments[0] == "--rank":
        be_rank(arguments[1])
    else:
        pathlib.Path(arguments[1]).write_text(draw(launch(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
