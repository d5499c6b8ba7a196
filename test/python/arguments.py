# SPDX-License-Identifier: MIT
"""Bad input, a case for each row."""
from __future__ import annotations

from typing import Any, List

import atfork
from tap import ForkTest, run_tests, scenario


class Arguments(ForkTest):
    def check_row(self, name: str, arguments: Any, keywords: Any, error: Any) -> None:
        before = atfork.hooks()
        with self.assertRaises(error):
            getattr(atfork, name)(*arguments, **keywords)
        self.assertEqual(before, atfork.hooks())

    def test_a_method_of_hooks_for_something_else(self) -> None:
        with self.assertRaisesRegex(TypeError, "unregister.. is a method of hooks, not of int"):
            atfork.Hook.unregister(5)  # type: ignore[arg-type]


def _nothing() -> None:
    pass


class _Sly(str):
    """Says that it contains nothing."""

    def __contains__(self, text: object) -> bool:
        return False


ROWS: List[Any] = [
    ("register", [], {}, TypeError),
    ("register", [_nothing], {}, TypeError),
    ("register", [], {"name": "x"}, TypeError),
    ("register", [], {"child": None}, TypeError),
    ("register", [], {"child": _nothing, "nmae": "x"}, TypeError),
    ("register", [], {"child": _nothing, "name": 3}, TypeError),
    ("register", [], {"child": _nothing, "name": None}, TypeError),
    ("register", [], {"child": _nothing, "name": b"x"}, TypeError),
    ("register", [], {"child": _nothing, "name": "a\0b"}, ValueError),
    ("register", [], {"child": _nothing, "name": _Sly("a\0b")}, ValueError),
    ("register", [], {"child": _nothing, "name": "\udc80"}, ValueError),
    ("register", [], {"child": _nothing, "priority": "1"}, TypeError),
    ("register", [], {"child": _nothing, "priority": 1.5}, TypeError),
    ("register", [], {"child": _nothing, "priority": None}, TypeError),
    ("register", [], {"child": _nothing, "priority": 32768}, ValueError),
    ("register", [], {"child": _nothing, "priority": -32769}, ValueError),
    ("register", [], {"child": _nothing, "priority": 2**70}, ValueError),
    ("register", [], {"child": "three"}, TypeError),
    ("register", [], {"child": 3}, TypeError),
    ("register", [], {"parent": b"Five"}, TypeError),
    ("register", [], {"prepare": 2}, TypeError),
    ("register", [], {"prepare": _nothing, "child": ""}, TypeError),
    ("register_after_fork", [], {}, TypeError),
    ("register_after_fork", [None], {}, TypeError),
    ("register_after_fork", [1], {}, TypeError),
    ("register_after_fork", ["x"], {}, TypeError),
    ("register_after_fork", [_nothing, _nothing], {}, TypeError),
    ("seed", ["x"], {}, TypeError),
    ("seed", [1.5], {}, TypeError),
    ("seed", [2**64], {}, ValueError),
    ("seed", [2**70], {}, ValueError),
    ("seed", [-(2**63) - 1], {}, ValueError),
    ("seed_bytes", ["x"], {}, TypeError),
    ("seed_bytes", [1, "x"], {}, TypeError),
    ("seed_bytes", [1, -1], {}, ValueError),
    ("seed_bytes", [2**64, 1], {}, ValueError),
    ("child_token", [3, 1], {}, TypeError),
    ("child_token", ["x", 1], {}, ValueError),
    ("child_token", [atfork.token(), 0], {}, ValueError),
    ("child_token", [atfork.token(), 2**64], {}, ValueError),
    ("child_token", [atfork.token(), "1"], {}, TypeError),
    ("adopt", [-1], {}, ValueError),
    ("adopt", [2**64], {}, ValueError),
    ("adopt", [1.5], {}, TypeError),
    ("adopt", ["x"], {}, ValueError),
    ("adopt", ["03"], {}, ValueError),
    ("adopt", ["3\0"], {}, ValueError),
    ("adopt", ["\udc80"], {}, ValueError),
    ("per_process", [], {}, TypeError),
    ("per_process", [3], {}, TypeError),
    ("spawned", [3], {}, TypeError),
    ("spawned", ["x"], {}, ValueError),
    ("spawned", ["a\0b"], {}, ValueError),
    ("spawned", [], {}, ValueError),
]
for _i, _row in enumerate(ROWS):
    setattr(Arguments, f"test_row_{_i:02}_{_row[0]}", scenario("bad-arguments")(lambda self, row=_row: self.check_row(*row)))


if __name__ == "__main__":
    run_tests()
