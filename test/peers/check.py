#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What peers.py finds wrong, in tables that are.  Speaks the Test Anything Protocol."""
import sys

import peers

GOOD = """# Peers

## One

| their case | what it checks | ours |
| --- | --- | --- |
| `first` | Order, `a | b` | `/order/one` |
| | The rest | `TestOrder.test_it`, `order` |
| `second` | Theirs | theirs |

## Why

| reason | why |
| --- | --- |
| theirs | Their own |
"""
RUN = {"/order/one", "TestOrder.test_it", "order"}

# What is wrong of the peer, and of the reasons, when this text in the table is that.
WRONG = [
    ("nothing", "", "", [], []),
    ("a test that is not run", "/order/one", "/order/two", ["`first`: /order/two is not run"], []),
    ("one of two tests that is not run", "`order`", "`other`", ["`first`: other is not run"], []),
    ("no test and no reason", "`/order/one` |", "later |", ["`first`: 'later' is neither a test nor a reason"], []),
    ("words beside a test", "`/order/one` |", "see `/order/one` |",
     ["`first`: 'see `/order/one`' is neither a test nor a reason"], []),
    ("an empty cell", "| Theirs |", "| |", ["not three cells: `second` |  | theirs"], ["'theirs': no row has it"]),
    ("a cell too few", "| Theirs | theirs |", "| theirs |", ["not three cells: `second` | theirs"],
     ["'theirs': no row has it"]),
    ("a first row without a case", "| `first` |", "| |", ["not three cells:  | Order, `a | b` | `/order/one`",
                                                         "not three cells:  | The rest | `TestOrder.test_it`, `order`"], []),
    ("a reason that is empty", "| theirs | Their own |", "| theirs | |", [], ["'theirs': empty"]),
    ("a reason that no row has", "| Theirs | theirs |", "| Theirs | `order` |", [], ["'theirs': no row has it"]),
]


def main():
    print(f"1..{len(WRONG)}")
    failed = False
    for number, (name, old, new, of_peer, of_reasons) in enumerate(WRONG, 1):
        got = list(peers.wrong_in(GOOD.replace(old, new) if old else GOOD, RUN.__contains__))
        wanted = [("One", of_peer), ("the reasons", of_reasons)]
        print(f"{'ok' if got == wanted else 'not ok'} {number} - {name}")
        if got != wanted:
            print(f"# got {got}, wanted {wanted}")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
