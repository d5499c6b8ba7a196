#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the man page of a command: its options are what it says of itself with --help, the rest is a text.

man.py ATFORK COMMAND TEXT VERSION OUTPUT     COMMAND is "tree", ..., or "" for atfork itself

In the text "# NAME" begins a section, four spaces begin a line that is shown as it is, "- " begins an item of a list,
and `word` is bold.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent / "doc"))
import roff  # noqa: E402 pylint: disable=wrong-import-position

OPTION = re.compile(r"^  (?:(-\w), )?(--[\w-]+)(?:=(\S+))?  +(\S.*)$")
COMMAND = re.compile(r"^  atfork (\w+) .*?\]   (\S.*)$")
LAST = ["EXIT STATUS", "ENVIRONMENT", "FILES", "NOTES", "EXAMPLES", "SEE ALSO"]  # in the order of man-pages(7)


def help_of(atfork, command):
    ran = subprocess.run([atfork, *command.split(), "--help"], stdout=subprocess.PIPE, encoding="utf-8", check=True,
                         env={"LC_ALL": "C.UTF-8"})
    return ran.stdout.splitlines()


def options(lines):
    """As roff, a paragraph for each."""
    out = []
    for line in lines:
        match = OPTION.match(line)
        if not match:
            continue
        short, name, value, what = match.groups()
        names = ", ".join(f"\\fB{roff.code(each)}\\fP" for each in (short, name) if each)
        out += [".TP", names + (f"=\\fI{value}\\fP" if value else ""), *roff.sentences(what + ".")]
    return [".SH OPTIONS", *out]


def commands(lines):
    out = [".SH COMMANDS"]
    for name, what in (match.groups() for match in map(COMMAND.match, lines) if match):
        out += [".TP", f".BR atfork\\-{name} (1)", *roff.sentences(what[0].upper() + what[1:] + ".")]
    return out


def rules(atfork, command):
    """What the command finds, and why, as it tells it."""
    ran = subprocess.run([atfork, command, "--rules"], stdout=subprocess.PIPE, encoding="utf-8", check=True)
    out = [".SH RULES"]
    for line in ran.stdout.splitlines():
        if line.startswith(" "):
            out += sentences(line.strip())
        elif line:
            rule, severity = line.split(": ")
            out += [".TP", f'.BR {roff.code(rule)} " ({severity})"']
    return out


def block(paragraph):
    if paragraph.startswith("    "):
        return roff.example(line[4:] for line in paragraph.splitlines())
    lead, *items = re.split(r"(?:^|\n)- ", paragraph)
    out = [".PP", *sentences(lead)] if lead else []
    for item in items:
        out += [".IP \\(bu 3", *sentences(item)]
    return out


def sentences(text):
    return roff.sentences(re.sub(r"(?<=[.?!:]) (?=[A-Z`]|atfork )", "  ", re.sub(r"\n\s*", " ", text)))


def sections(text):
    """The text's sections as roff, by name."""
    found = {}
    for part in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        name, body = part.split("\n", 1)
        if name == "SEE ALSO":
            found[name] = roff.see_also(roff.REFERENCE.findall(body))
        else:
            found[name] = [f".SH {name}", *(line for each in re.split(r"\n{2,}", body.strip("\n")) for line in block(each))]
    return found


def usage(line):
    """How the command is called: literal words in bold, others in italics."""
    words = [f"\\fI{word}\\fP" if word.isupper() else word for word in re.split(r"(\w+)", line)]
    line = "".join(words).replace("…", "...").replace("--", "\\-\\-")
    return re.sub(r"^(atfork(?: [a-z]+)?)", r"\\fB\1\\fP", line)


def page(atfork, command, text, version):
    found = sections(text)
    lines = help_of(atfork, command)
    name = f"atfork-{command}" if command else "atfork"
    synopsis = lines[1].strip() if command else "atfork COMMAND [OPTION...] -- PROGRAM [ARGUMENT...]"
    told = options(lines) if command else commands(lines)
    if any(line.startswith("  --rules") for line in lines):
        told += rules(atfork, command)
    own = [each for each in found if each not in ("NAME", "DESCRIPTION", *LAST)]
    out = [
        *roff.title(name, 1, version),
        ".SH NAME",
        f"{roff.code(name)} \\- {found['NAME'][-1]}",
        ".SH SYNOPSIS",
        usage(synopsis),
        *found["DESCRIPTION"],
        *told,
    ]
    out += [line for each in [*own, *LAST] for line in found.get(each, [])]
    return "\n".join(roff.tidy(out)) + "\n"


def main(atfork, command, source, version, output):
    text = pathlib.Path(source).read_text(encoding="utf-8")
    pathlib.Path(output).write_text(page(atfork, command, text, version), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
