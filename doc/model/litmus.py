#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shapes of ../memory-orders.md as litmus tests, for herd7 and C11's memory.  Speaks the Test Anything Protocol.

litmus.py HERD7     HERD7 is the program, which Debian does not have: https://github.com/herd/herdtools7

Each shape must never end in what it is to rule out; and with one order weakened, or two steps exchanged, it must be
able to.  The bugs have the names that they have in the Promela models.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

RLX, ACQ, REL, ACQ_REL, SC = "relaxed", "acquire", "release", "acq_rel", "seq_cst"


def store(where, what, order):
    return f"atomic_store_explicit({where}, {what}, memory_order_{order});"


def load(into, where, order):
    return f"int {into} = atomic_load_explicit({where}, memory_order_{order});"


def exchange(into, where, what, order):
    return f"int {into} = atomic_exchange_explicit({where}, {what}, memory_order_{order});"


def add(into, where, order):
    return f"int {into} = atomic_fetch_add_explicit({where}, 1, memory_order_{order});"


def publish(word_store=REL, word_load=ACQ, commit=SC):
    update = [store("hook", 1, RLX), store("used", 1, word_store), store("retired", 1, word_store), add("c", "seq", commit)]
    walk = [load("s", "seq", SC), load("u", "used", word_load), load("h", "hook", RLX), load("r", "retired", RLX)]
    return [update, walk], r"(1:u=1 /\ 1:h=0) \/ (1:s=1 /\ (1:u=0 \/ 1:r=0))"


def bury(count_store=REL, count_load=ACQ, late=False):
    counts = [store("count", 1, count_store)]
    commits = [store("retired", 1, REL), add("c", "seq", SC)]
    update = (commits + counts if late else counts + commits) + [store("dead", 1, RLX), store("count", 0, count_store)]
    walk = [load("s", "seq", SC), load("c", "count", count_load), load("d", "dead", RLX), load("r", "retired", RLX)]
    return [update, walk], r"1:s=1 /\ 1:d=0 /\ (1:c=0 \/ 1:r=0)"


def begin(count=SC, read=SC, commit=SC, look=SC):
    walk = [exchange("b", "block", 1, SC), exchange("t", "thread", 1, SC), add("c", "count", count)]
    walk += [load("s", "seq", read), load("n", "table", ACQ), store("began", "s + 1", SC)]
    update = [exchange("n", "table", 1, SC), add("s", "seq", commit), load("c", "count", look)]
    update += [load("b", "block", ACQ), load("t", "thread", SC), load("g", "began", SC)]
    return [walk, update], r"(0:s=0 \/ 0:n=0) /\ (1:c=0 \/ 1:b=0 \/ 1:t=0 \/ 1:g=2)"


def reuse(free=SC, claim=SC, first=False):
    frees = [store("began", 0, free), store("thread", 0, free)]
    ending = [store("thread", 1, SC), store("began", 9, SC)] + (frees[::-1] if first else frees)
    beginning = [exchange("f", "thread", 2, claim), load("s", "seq", SC), store("began", "s + 1", SC)]
    update = [add("c", "seq", SC), load("t", "thread", SC), load("g", "began", SC)]
    return [ending, beginning, update], r"1:f=0 /\ 1:s=0 /\ (2:t=0 \/ 2:g=9) /\ [thread]=2"


def wake(say=SC, make=SC, look=SC):
    waiter = [exchange("w", "word", 1, say), load("r", "so", look)]
    return [waiter, [store("so", 1, make), load("r", "word", look)]], r"0:r=0 /\ 1:r=0"


def last(say=SC, read=SC, commit=SC):
    walk = [store("over", 1, say), load("r", "seq", read)]
    return [walk, [add("c", "seq", commit), load("r", "over", read)]], r"0:r=0 /\ 1:r=0"


# The shape, a bug or None, and both of them as C.
TESTS = [
    ("publish", None, publish()),
    ("publish", "STORES_RELAXED", publish(word_store=RLX)),
    ("publish", "LOADS_RELAXED", publish(word_load=RLX)),
    ("publish", "COMMITS_RELAXED", publish(commit=RLX)),
    ("bury", None, bury()),
    ("bury", "STORES_RELAXED", bury(count_store=RLX)),
    ("bury", "LOADS_RELAXED", bury(count_load=RLX)),
    ("bury", "COUNTS_LATE", bury(late=True)),
    ("begin", None, begin()),
    ("begin", "COUNTS_RELAXED", begin(count=RLX)),
    ("begin", "COUNTS_ACQUIRE_RELEASE", begin(count=ACQ_REL)),
    ("begin", "READS_ACQUIRE", begin(read=ACQ)),
    ("begin", "COMMITS_RELEASE", begin(commit=REL)),
    ("begin", "LOOKS_RELAXED", begin(look=RLX)),
    ("begin-others", None, begin()),
    ("begin-others", "COUNTS_RELAXED", begin(count=RLX)),
    ("begin-others", "LOOKS_RELAXED", begin(look=RLX)),
    ("reuse", None, reuse()),
    ("reuse", "FREES_RELAXED", reuse(free=RLX)),
    ("reuse", "FREES_FIRST", reuse(first=True)),
    ("reuse", "CLAIMS_RELAXED", reuse(claim=RLX)),
    ("wake", None, wake()),
    ("wake", "SAYS_ACQUIRE_RELEASE", wake(say=ACQ_REL)),
    ("wake", "STORES_RELEASE", wake(make=REL)),
    ("wake", "LOOKS_ACQUIRE", wake(look=ACQ)),
    ("last", None, last()),
    ("last", "SAYS_RELEASE", last(say=REL)),
    ("last", "READS_ACQUIRE", last(read=ACQ)),
    ("last", "COMMITS_RELEASE", last(commit=REL)),
]


def litmus(name, threads, outcome):
    """The text of a test.  Another walk of `begin-others` is counted all the time."""
    used = sorted(set(re.findall(r"explicit\((\w+),", str(threads))))
    arguments = ", ".join(f"atomic_int* {location}" for location in used)
    bodies = [f"P{i}({arguments}) {{\n  " + "\n  ".join(steps) + "\n}" for i, steps in enumerate(threads)]
    at_first = "{ count = 1; }" if name == "begin-others" else "{}"
    return "\n".join([f"C {name}", at_first, *bodies, f"exists ({outcome})", ""])


def main(herd):
    failed = 0
    print(f"1..{len(TESTS)}")
    for number, (shape, bug, (threads, outcome)) in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as work:
            path = pathlib.Path(work, "test.litmus")
            path.write_text(litmus(shape, threads, outcome))
            ran = subprocess.run([herd, "-model", "rc11.cat", path], capture_output=True, text=True, check=False)
        said = re.search(r"^Observation \S+ (\w+)", ran.stdout, re.MULTILINE)
        verdict = said.group(1) if said else ran.stderr
        good = verdict == ("Sometimes" if bug else "Never")
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {shape}{' BUG_' + bug if bug else ''}: {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
