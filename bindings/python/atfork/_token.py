# SPDX-License-Identifier: MIT
"""Tokens of a token's children, for those who number workers themselves.

A token is "atfork1:GENERATION:LINEAGE:DIGEST", all of it text; the digest is the library's seed function of what
stands before it, with base 0.
"""
from __future__ import annotations

MASK = 0xFFFF_FFFF_FFFF_FFFF
GOLDEN = 0x9E3779B97F4A7C15
LINEAGE_MAX = 920  # bytes, as in the library
LONGEST_CHILD = 2 + 20  # ".p" and digits


def _mix(z: int) -> int:
    """SplitMix64's output function, as in the library."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def digest(text: str) -> str:
    state = _mix(GOLDEN)
    for byte in text.encode("ascii"):
        state = _mix((state + GOLDEN + byte) & MASK)
    return f"{state:016x}"


def lineage_of_child(lineage: str, number: int) -> str:
    """One that has no room for a child becomes a digest of itself."""
    parent = lineage if len(lineage) + LONGEST_CHILD <= LINEAGE_MAX else "~" + digest(lineage)
    return f"{parent}.{number}"


def child_of(token: str, number: int) -> str:
    """The token of the child with this number, counted from 1, of the process that `token` names."""
    magic, generation, lineage, _ = token.split(":")
    text = f"{magic}:{int(generation) + 1}:{lineage_of_child(lineage, number)}:"
    return text + digest(text)
