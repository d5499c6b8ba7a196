#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a man page of each documented function of atfork.h, so that there is one text.

man.py HEADER VERSION OUTDIR [--list]     --list: prints the names of the pages
"""
import pathlib
import re
import sys

COMMENT = re.compile(r"^/\*\n((?:(?!^ \*/$).)*?)^ \*/\n((?:#define [^\n]*\\\n(?:.*\\\n)*.*\n|struct [^;{]*\{[^}]*\};\n|\n|/\*[^\n]*\*/\n)*)"
                     r"ATFORK_API ([^;]+);", re.MULTILINE | re.DOTALL)
STRUCT = re.compile(r"^(?:/\* [^*]*\*/\n)?struct (\w+) \{.*?^\};", re.MULTILINE | re.DOTALL)
ITEM = re.compile(r"^([a-z_]+|Returns) {2,}(\S.*)$")


def pages(header):
    """Yields (name, prototype, the structs that it takes, lines of the comment) for each function that has a comment of its own."""
    for match in COMMENT.finditer(header):
        lines = [line[3:] if line.startswith(" * ") else "" for line in match[1].splitlines()]
        prototype = " ".join(match[3].split())
        structs = [found[0] for found in STRUCT.finditer(header) if f"struct {found[1]} " in prototype]
        name = re.search(r"(\w+)\(", prototype)[1]
        if not name.endswith("_for"):
            yield name, prototype, structs, lines


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fP", text)
    return "\\&" + text if text[:1] in ".'" else text


def body(lines):
    """The comment as roff: paragraphs, and the parameters, return value and errors as tagged ones."""
    out = []
    for line in lines:
        item = ITEM.match(line)
        error = re.match(r"^ {8,}([A-Z]+) {2,}(\S.*)$", line)
        if error:
            out += [".TP", f".B {error[1]}", escape(error[2])]
        elif item:
            out += [".TP", f".I {item[1]}", escape(item[2])]
        elif not line.strip():
            out.append(".PP")
        elif line.startswith("Thread-safe"):
            out += [".PP", escape(line)]
        else:
            out.append(escape(line.strip()))
    return out


def summary(lines):
    first = " ".join(line.strip() for line in lines[:4]).split(". ")[0].rstrip(".")
    return first[0].lower() + first[1:]


def page(name, prototype, structs, lines, version):
    out = [
        f'.TH {name} 3 "" "libatfork {version}"',
        ".SH NAME",
        f"{name} \\- {escape(summary(lines))}",
        ".SH SYNOPSIS",
        ".nf",
        ".B #include <atfork.h>",
        "",
        *(escape(line) for text in structs for line in [*text.splitlines(), ""]),
        f".B {escape(prototype)};",
        ".fi",
        ".PP",
        "Compile with",
        ".IR \"$(pkg\\-config \\-\\-cflags \\-\\-libs atfork)\" .",
        ".SH DESCRIPTION",
        *body(lines),
        ".SH SEE ALSO",
        ".BR pthread_atfork (3),",
        ".BR fork (2)",
    ]
    return "\n".join(out) + "\n"


def main(header, version, outdir, *options):
    found = list(pages(pathlib.Path(header).read_text()))
    for name, prototype, structs, lines in found:
        if "--list" in options:
            print(f"{name}.3")
        else:
            (pathlib.Path(outdir) / f"{name}.3").write_text(page(name, prototype, structs, lines, version))


if __name__ == "__main__":
    main(*sys.argv[1:])
