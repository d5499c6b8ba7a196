#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pictures of doc/tools.md are of what the commands write today.  Speaks the Test Anything Protocol.

pictures.py ATFORK SERVER DOC     DOC is the folder of the pictures and of what draws them
"""
import importlib.util
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import tap  # noqa: E402

DOC = pathlib.Path(sys.argv[3])
SVG = "{http://www.w3.org/2000/svg}"

specification = importlib.util.spec_from_file_location("drawing", DOC / "tools.py")
drawing = importlib.util.module_from_spec(specification)
specification.loader.exec_module(drawing)
AGAIN = drawing.pictures(*sys.argv[1:3])


def words(picture):
    """All text but numbers and their units, as words; places in libraries differ from system to system."""
    lines = []
    for text in xml.etree.ElementTree.fromstring(picture).iter(SVG + "text"):
        line = "".join(text.itertext())
        if re.match(r" *#\d", line) and "server.c" not in line:
            continue
        lines.append(re.sub(r"(0x[\da-f]+|\d+(\.\d+)?)( (ns|µs|ms|s)\b)?", "N", line))
    return " ".join(lines).split()


def kept(name):
    return (DOC / name).read_text(encoding="utf-8")


def test_texts_are_as_they_were():
    for name in ("tools-tree.svg", "tools-doctor.svg", "tools-explore.svg", "tools-run.svg"):
        tap.equal((name, words(AGAIN[name])), (name, words(kept(name))))


def test_the_timeline_has_the_same_bars():
    def bars(picture):
        return sorted(bar.get("class") for bar in xml.etree.ElementTree.fromstring(picture).iter(SVG + "rect") if bar.get("class"))

    tap.equal(bars(AGAIN["tools-timeline.svg"]), bars(kept("tools-timeline.svg")))


def test_each_picture_is_shown():
    page = (DOC / "tools.md").read_text(encoding="utf-8")
    tap.equal([name for name in AGAIN if f"({name})" not in page], [])


def test_the_page_has_all_rules():
    rules = subprocess.run([sys.argv[1], "doctor", "--rules"], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
    page = (DOC / "tools.md").read_text(encoding="utf-8")
    tap.equal(re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", page, re.MULTILINE), re.findall(r"^([a-z-]+): (\w+)$", rules, re.MULTILINE))


if __name__ == "__main__":
    sys.exit(tap.run(globals()))
