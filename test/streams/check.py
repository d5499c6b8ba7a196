#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks doc/streams.md: its vectors against an implementation of its own, and the built library against that; and its
table of launchers against the library's.  Speaks the Test Anything Protocol.

check.py LIBRARY DOCUMENT LAUNCHER_C     LIBRARY is libatfork.so; each process that it is in takes one place
check.py --place LIBRARY TOKEN           in one of them: says what it has there
check.py --adopted LIBRARY               in one that its environment numbers
"""
import ctypes
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from tap import PATIENCE, equal, run  # noqa: E402  pylint: disable=wrong-import-position

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
SIZES = (0, 1, 31, 32, 33, 100, 1000)
IS_RANK = re.compile(r"^\w*(RANK|PROCID|SIZE)=")  # what numbers a worker, and its like: no part of the job's name

# ---- As the document says ----


def mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def seed(base, text):
    state = mix((base + GOLDEN) & MASK)
    for byte in text.encode():
        state = mix((state + GOLDEN + byte) & MASK)
    return state


def seed_bytes(base, lineage, size):
    start = b"atfork1:seed:" + base.to_bytes(8, "little") + lineage.encode()
    blocks = (hashlib.sha256(start + count.to_bytes(4, "big")).digest() for count in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def run_of_job(*variables):
    digest = 0
    for variable in variables:
        for text in variable.split("=", 1):
            digest = seed(digest, text)
    return digest


def token_of(run, generation, lineage):
    text = f"atfork2:{run:016x}:{generation}:{lineage}:"
    return f"{text}{seed(0, text):016x}"


# ---- The library, in a process of its own ----


def load(path):
    library = ctypes.CDLL(path)
    library.atfork_seed.restype = library.atfork_run.restype = ctypes.c_uint64
    library.atfork_seed.argtypes = [ctypes.c_uint64]
    library.atfork_seed_bytes.argtypes = [ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t]
    library.atfork_seed_bytes.restype = None
    return library


def say_place(path, token):
    """BASE SEED BYTES…, a line for each base that is asked for."""
    library = load(path)
    if token != "-" and library.atfork_spawned(token.encode()) != 0:
        sys.exit(f"no token: {token}")
    for base in map(int, sys.stdin.read().split()):
        found = []
        for size in SIZES:
            buffer = ctypes.create_string_buffer(size + 1)
            library.atfork_seed_bytes(base, buffer, size)
            found.append("-" + buffer.raw[:size].hex())
        print(base, library.atfork_seed(base), *found)


def say_run(path):
    library = load(path)
    print(library.atfork_adopt(None), library.atfork_run())


def ask(*arguments, given="", **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATFORK_")}
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(
        command, input=given, env={**environment, **variables}, capture_output=True, text=True, check=True,
        timeout=PATIENCE,
    ).stdout


def bases_and_bytes(path, lineage, bases):
    token = "-" if lineage == "0" else token_of(7, 3, lineage)
    for line in ask("--place", path, token, given=" ".join(map(str, bases))).splitlines():
        base, number, *found = line.split()
        yield int(base), int(number), [bytes.fromhex(text[1:]) for text in found]


# ---- What the document has ----


def rows_below(heading):
    """The cells of the first table below a heading, without backquotes."""
    text = DOCUMENT.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("`", "") for cell in row] for row in rows[2:]]


def vectors():
    return [(int(base, 0), lineage, int(number, 16), bytes.fromhex(found)) for base, lineage, number, found in rows_below("Test vectors")]


# ---- Tests ----


def test_vectors_are_what_the_construction_gives():
    assert len(vectors()) > 10
    for base, lineage, number, found in vectors():
        equal((number, found.hex()), (seed(base, lineage), seed_bytes(base, lineage, 32).hex()))


def test_the_library_has_the_vectors():
    for lineage in dict.fromkeys(row[1] for row in vectors()):
        expected = {base: (number, found) for base, other, number, found in vectors() if other == lineage}
        for base, number, found in bases_and_bytes(LIBRARY, lineage, expected):
            equal((number, found[SIZES.index(32)].hex()), (expected[base][0], expected[base][1].hex()))


def test_the_library_agrees_in_all_sizes():
    lineages = ["0", "0.1", "0.r3.1", "0.18446744073709551615", "0.1" + ".p4194304" * 20, "0" + ".7" * 459]
    lineages += ["0" + ".1" * (length // 2) for length in (30, 32, 34, 94, 96, 98)]  # about the ends of blocks
    for lineage in lineages:
        for base, number, found in bases_and_bytes(LIBRARY, lineage, (0, 1, 42, MASK)):
            equal(number, seed(base, lineage))
            equal(found, [seed_bytes(base, lineage, size) for size in SIZES])


def test_runs_of_jobs():
    rows = rows_below("The run of a job")
    assert len(rows) > 2
    for variables, number in rows:
        pairs = variables.split()
        equal(int(number, 16), run_of_job(*(pair for pair in pairs if not IS_RANK.search(pair))))
        equal(ask("--adopted", LIBRARY, **dict(pair.split("=", 1) for pair in pairs)), f"0 {int(number, 16)}\n")


def test_launchers():
    """Each row of the table in the source has one here, in the same order, with the same variables."""
    source = re.search(r"launchers\[\] = \{\n(.*?)^\};", LAUNCHER_C.read_text(), re.MULTILINE | re.DOTALL)[1]
    expected = []
    for row in re.findall(r'\{"(\w+)", "(\w+)",\s*\{(.*?)\}\}', source, re.DOTALL):
        jobs = re.findall(r'"(\w+)"', row[2])
        expected.append([row[0], "" if row[1] == row[0] else row[1], ", ".join(jobs)])
    equal([[row[1], row[2], row[3]] for row in rows_below("Launchers")], expected)


def test_the_picture_is_what_tree_py_draws():
    picture = DOCUMENT.with_suffix(".svg")
    with tempfile.TemporaryDirectory() as work:
        again = pathlib.Path(work) / "again.svg"
        subprocess.run([sys.executable, DOCUMENT.with_name("tree.py"), LIBRARY, again], timeout=PATIENCE, check=True)
        equal(again.read_text(), picture.read_text())


if __name__ == "__main__":
    if sys.argv[1] == "--place":
        say_place(*sys.argv[2:])
    elif sys.argv[1] == "--adopted":
        say_run(*sys.argv[2:])
    else:
        LIBRARY, DOCUMENT, LAUNCHER_C = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
        sys.exit(run(globals()))
