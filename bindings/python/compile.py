# SPDX-License-Identifier: MIT
"""Compiles modules for the interpreter that runs this, at each level of optimisation.

compile.py TO PLACE FILE...    TO gets the bytecode; PLACE is where the files will be installed
"""
import importlib.util
import os
import py_compile
import sys


def main(to: str, place: str, *files: str) -> None:
    for file in files:
        for level in (0, 1, 2):
            name = os.path.basename(importlib.util.cache_from_source(file, optimization=level or ""))
            source = os.path.join(place, os.path.basename(file))
            py_compile.compile(file, os.path.join(to, name), dfile=source, doraise=True, optimize=level)


if __name__ == "__main__":
    main(*sys.argv[1:])
