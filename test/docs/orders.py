#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""doc/memory-orders.md names each weak access of lib/, and names nothing that lib/ does not have.

orders.py SOURCE

An access is weak if it asks for less than sequential consistency.  The page names what it reads or writes, or the
function that does so.
"""
import pathlib
import re
import sys

SOURCE = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(SOURCE / "test" / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

LIB = sorted([*(SOURCE / "lib").glob("*.c"), *(SOURCE / "lib").glob("*.h")])
PAGE = (SOURCE / "doc" / "memory-orders.md").read_text()
WEAK = re.compile(r"memory_order_(relaxed|consume|acquire|release|acq_rel)|__ATOMIC_(RELAXED|ACQUIRE|RELEASE|ACQ_REL)")
ACCESS = re.compile(r"\b(?:atomic_\w+_explicit|__atomic_\w+)\(")
# A function's head begins a line, and ends it by a brace; a macro's has its name after #define.
HEAD = re.compile(r"^(?:#define (\w+)|(?!#)[A-Za-z_].*?\b(\w+)\(.*)", re.MULTILINE)


def arguments(text, at):
    """Those of the call whose parenthesis is before `at`."""
    found, depth = [""], 1
    for character in text[at:]:
        depth += (character in "([") - (character in ")]")
        if depth == 0:
            break
        if character == "," and depth == 1:
            found.append("")
        else:
            found[-1] += character
    return found


def named_by(location):
    """children, of &own->children; pids, of &tree->pids[(pid + i) % KEPT]."""
    plain = re.sub(r"\[[^][]*\]", "", location)
    return re.findall(r"\w+", plain)[-1]


def weak_accesses():
    """Yields (place, what is accessed, the function)."""
    for path in LIB:
        text = re.sub(r"__attribute__\(\(.*?\)\) ", "", path.read_text())
        for call in ACCESS.finditer(text):
            location, *others = arguments(text, call.end())
            if WEAK.search(",".join(others)):
                heads = [head for head in HEAD.finditer(text, 0, call.end())]
                line = text.count("\n", 0, call.start()) + 1
                yield f"{path.name}:{line}", named_by(location), heads[-1][1] or heads[-1][2]


def named_on_the_page():
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))


def test_the_page_names_each_weak_access():
    named = named_on_the_page()
    accesses = list(weak_accesses())
    assert len(accesses) > 80, "the accesses are not found"
    tap.equal([access for access in accesses if not named & set(access[1:])], [])


def test_the_page_names_what_there_is():
    text = "".join(path.read_text() for path in LIB)
    functions = set(re.findall(r"`(\w+)\(\)`", PAGE))
    assert len(functions) > 20, "the functions are not found"
    tap.equal([name for name in sorted(functions) if not re.search(rf"\b{name}\(", text)], [])


sys.exit(tap.run(globals()))
