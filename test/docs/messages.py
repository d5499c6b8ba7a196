#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The guide to troubleshooting names what the library prints and waits for, as the sources have it.  Speaks the Test Anything Protocol.

messages.py SOURCE    SOURCE is the project's root
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

ENDINGS = {".c", ".lua", ".rb", ".py"}


def sources_of(root):
    """All sources, with strings of several lines joined as the compilers do."""
    files = [path for folder in ("lib", "bindings") for path in sorted((root / folder).rglob("*")) if path.suffix in ENDINGS]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*(?:\.\.|\\)?\s*"', "", text)


def rows_below(text, head):
    """The first cells of the table with this head."""
    table = text.split(f"| {head} |", 1)[1].split("\n\n", 1)[0]
    return [re.match(r"\| `(.*?)`", line)[1] for line in table.splitlines()[2:]]


def items_below(text, heading):
    """What the items of the lists below this heading explain, each in one line."""
    section = re.split(r"(?m)^#", text.split(f"\n## {heading}\n", 1)[1])[0]
    heads = re.findall(r"(?m)^- (`[^`]+`(?:, `[^`]+`)*)", section)
    return [" ".join(code.split()) for head in heads for code in re.findall(r"`([^`]+)`", head)]


def unknown_parts(sources, message):
    """The parts of a message, between `…`, that no source has."""
    strings = "\n".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', sources))
    parts = [part.strip(" :,") for part in message.split("…")]
    return [part for part in parts if len(part) > 2 and part not in strings]


def longest_words(line):
    """The longest part of a line in which no format is."""
    return max(re.split(r"%[-\d.]*\w|#\{[^}]*\}?|\\n|atfork\.|AtFork\.", line), key=len).strip()


def is_named(line, messages):
    """Whether a message has a line's longest words, or begins as these do and leaves the rest out."""
    words = longest_words(line)
    return any(words in message or words.startswith(message.split(" …")[0]) for message in messages)


def cases(root, text):
    sources = re.sub(r"(?<=\S)  (?=\S)", " ", sources_of(root))
    printed = items_below(text, "What the library prints")
    errors = items_below(text, "Errors when a worker takes its place")

    def test_each_line_is_in_the_sources():
        tap.equal(len(errors), 5)
        for message in printed + errors:
            tap.equal((message, unknown_parts(sources, message)), (message, []))

    def test_each_line_that_the_library_prints_is_named():
        lines = re.findall(r'"atfork: ([A-Za-z%][^"]{8,})', sources)
        lines += re.findall(r'say_of_copies\("[^;]*?"([a-z ,]{12,})', sources)
        tap.equal(len(lines) > 8, True)
        tap.equal([line for line in lines if not is_named(line, printed)], [])

    def test_each_function_that_waits_is_named():
        waiting = set(re.findall(r"WAITING_NAMED void (\w+)\(", sources))
        tap.equal(sorted(rows_below(text, "function in the stack")), sorted(waiting))

    return locals()


def main(source):
    root = pathlib.Path(source)
    text = (root / "doc" / "guide" / "troubleshooting.md").read_text(encoding="utf-8")
    return tap.run(cases(root, text))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
