#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What parity.py finds wrong, in tables and with cases that are.  Speaks the Test Anything Protocol."""
import sys

import parity

GOOD = """# A table

| id | what it shows | Lua | Ruby | Python |
| --- | --- | --- | --- | --- |
| `order` | By priority | ✓ | ✓ | ✓ |
| `locks` | Held | no locks | ✓ | ✓ |
| `ffi` | A function | LuaJIT | ✓ | ✓ |

| reason | why |
| --- | --- |
| no locks | Lua has none |
| LuaJIT | Only there |
"""
IDS = {"order", "locks", "ffi"}
LUA = {"order"}

# What the table says, in a language, where these cases are: without a case, without a row, with a reason and a case.
COMPARED = [
    ("a table and cases that agree", "Ruby", "✓", IDS, ([], [], [])),
    ("a reason instead of a case", "Lua", "✓", LUA, ([], [], [])),
    ("a mark of one of several interpreters", "Lua", "✓,LuaJIT", LUA | {"ffi"}, ([], [], [])),
    ("a mark without a case", "Ruby", "✓", IDS - {"locks"}, (["locks"], [], [])),
    ("a mark of one of several interpreters without a case", "Lua", "✓,LuaJIT", LUA, (["ffi"], [], [])),
    ("a case without a row", "Python", "✓", IDS | {"new"}, ([], ["new"], [])),
    ("a reason, and a case", "Lua", "✓", LUA | {"locks"}, ([], [], ["locks"])),
    ("a mark of another interpreter, and a case", "Lua", "✓", LUA | {"ffi"}, ([], [], ["ffi"])),
]
# What is wrong in a table, when this text in it is that.
WRONG = [
    ("nothing", "", "", []),
    ("an empty cell", "| no locks | ✓ |", "| | ✓ |", ["`locks`: Lua has neither the mark nor a reason", "'no locks': no row has it"]),
    ("a reason that is not explained", "| no locks | ✓ |", "| later | ✓ |", ["`locks`: 'later' is no reason", "'no locks': no row has it"]),
    ("a reason that is empty", "| no locks | Lua has none |", "| no locks | |", ["'no locks': empty"]),
    ("a reason that no row has", "| LuaJIT | Only", "| other | Nobody's |\n| LuaJIT | Only", ["'other': no row has it"]),
    ("an id twice", "| `ffi` | A", "| `order` | A", ["`order`: twice"]),
    ("a row that says nothing", "| By priority |", "| |", ["`order`: says nothing"]),
    ("a cell too few", "| ✓ | ✓ | ✓ |", "| ✓ | ✓ |", ["`order`: 4 cells"]),
    ("no table", "| id |", "| name |", ["no scenarios", "'no locks': no row has it", "'LuaJIT': no row has it"]),
]


def main():
    cases = [(name, parity.compare(GOOD, *given), expected) for name, *given, expected in (
        (name, column, marks.split(","), ids, expected) for name, column, marks, ids, expected in COMPARED)]
    cases += [(name, list(parity.wrong_in(GOOD.replace(old, new) if old else GOOD)), expected) for name, old, new, expected in WRONG]
    print(f"1..{len(cases)}")
    for number, (name, got, expected) in enumerate(cases, 1):
        print(f"{'ok' if got == expected else 'not ok'} {number} - {name}")
        if got != expected:
            print(f"# got {got}, wanted {expected}")
    return any(got != expected for _, got, expected in cases)


if __name__ == "__main__":
    sys.exit(main())
