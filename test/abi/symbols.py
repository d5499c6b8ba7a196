#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shared library exports what lib/atfork.map names, each under its version, and is named as programs look for it.

symbols.py READELF LIBRARY MAP
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

READELF, LIBRARY, MAP = sys.argv[1:4]


def readelf(option):
    run = subprocess.run([READELF, "-W", option, LIBRARY], capture_output=True, text=True, check=True)
    return run.stdout


def mapped():
    """Each name with its version, as the map has them."""
    for version, body in re.findall(r"^(\S+) \{\n(.*?)^\}", pathlib.Path(MAP).read_text(), re.MULTILINE | re.DOTALL):
        for name in re.findall(r"^ +(\w+);$", body, re.MULTILINE):
            yield f"{name}@@{version} FUNC"


def exported():
    """Each name with its version, and what it is.  The versions themselves are symbols, too, and in no section."""
    for line in readelf("--dyn-syms").splitlines():
        words = line.split()
        if len(words) >= 8 and words[0].endswith(":") and words[4] in ("GLOBAL", "WEAK"):
            kind, section, name = words[3], words[6], words[7]
            if section not in ("UND", "ABS"):
                yield f"{name} {kind}"


def test_exports_what_the_map_names():
    tap.equal(sorted(exported()), sorted(mapped()))


def test_the_map_has_a_version_for_each_release():
    """A version goes on from the one before it, so that a program which needs it gets no older library."""
    versions = re.findall(r"^(\S+) \{|^\} ?(\S*);$", pathlib.Path(MAP).read_text(), re.MULTILINE)
    names = [name for name, _ in versions if name]
    tap.equal([before for name, before in versions if not name], ["", *names[:-1]])
    tap.equal(names, sorted(names, key=lambda name: [int(part) for part in name.split("_")[1].split(".")]))


def test_programs_look_for_this_name():
    tap.equal(re.findall(r"\(SONAME\).*\[(.*)\]", readelf("--dynamic")), ["libatfork.so.0"])


sys.exit(tap.run(globals()))
