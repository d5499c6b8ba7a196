# SPDX-License-Identifier: MIT
"""The Test Anything Protocol, for programs whose cases are functions whose names begin with test_."""
import os
import traceback

# Seconds until a wait is given up; script/test says how many times as long things take here as on an idle machine.
PATIENCE = 60 * int(os.environ.get("ATFORK_TEST_SLOWNESS", "1"))


class Skipped(Exception):
    """Raised by a case that cannot be run here; says why."""


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"found {found}\nexpected {expected}")


def report(results):
    """Tells of (name, what is wrong) pairs; true if anything is."""
    print(f"1..{len(results)}")
    for number, (name, wrong) in enumerate(results, 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
        for each in wrong:
            print(f"# {each}")
    return any(wrong for _, wrong in results)


def run(names):
    """Runs the cases among a module's names, in their order; true if one failed."""
    tests = [(name[5:], test) for name, test in names.items() if name.startswith("test_")]
    print(f"1..{len(tests)}")
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Skipped as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {name}")
            print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="", flush=True)
    return failed > 0
