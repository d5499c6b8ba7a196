#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a man page of each documented function of atfork.h, and one of what it says first, so that there is one text.

man.py HEADER VERSION OUTDIR [--list]     --list: prints the names of the pages
"""
import pathlib
import re
import sys

COMMENT = re.compile(r"^/\*\n((?:(?!^ \*/$).)*?)^ \*/\n((?:#define [^\n]*\\\n(?:.*\\\n)*.*\n|struct [^;{]*\{[^}]*\};\n|\n|/\*[^\n]*\*/\n)*)"
                     r"ATFORK_API ([^;]+);", re.MULTILINE | re.DOTALL)
INTRODUCTION = re.compile(r"^/\*\n \* atfork: (.*?)\n \*\n(.*?)^ \*/\n", re.MULTILINE | re.DOTALL)
TYPE = re.compile(r"^(?:/\* [^*]*\*/\n)?(?:(?:struct|enum) (\w+) \{.*?^\}|typedef \w+ (\w+));", re.MULTILINE | re.DOTALL)
ITEM = re.compile(r"^([a-z_]+|Returns) {2,}(\S.*)$")


def uncomment(text):
    return [line[3:] if line.startswith(" * ") else "" for line in text.splitlines()]


def types_of(header, text):
    """The definitions of the types that the text names, and that those name, in the header's order."""
    found = []
    for match in reversed(list(TYPE.finditer(header))):
        if re.search(rf"\b{match[1] or match[2]}\b", "\n".join([text, *found])):
            found.insert(0, match[0])
    return found


def pages(header):
    """Yields (name, prototype, its types, lines of the comment) for each function that has a comment of its own."""
    for match in COMMENT.finditer(header):
        prototype = " ".join(match[3].split())
        name = re.search(r"(\w+)\(", prototype)[1]
        if not name.endswith("_for"):
            yield name, prototype, types_of(header, prototype), uncomment(match[1])


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fP", text)
    text = re.sub(r"(?<!\S)\*([a-z ]+)\*(?!\S)", r"\\fI\1\\fP", text)
    return "\\&" + text if text[:1] in ".'" else text


def body(lines):
    """The comment as roff: paragraphs, and what it says of parameters, of the result, of errors, and of safety."""
    out = [".SH DESCRIPTION"]
    for line in lines:
        item = ITEM.match(line)
        error = re.match(r"^ {8,}([A-Z]+) {2,}(\S.*)$", line)
        if error:
            if ".SH ERRORS" not in out:
                out.append(".SH ERRORS")
            out += [".TP", f".B {error[1]}", escape(error[2])]
        elif item and item[1] == "Returns":
            out += [".SH RETURN VALUE", escape(item[2])]
        elif item:
            out += [".TP", f".I {item[1]}", escape(item[2])]
        elif not line.strip():
            out.append(".PP")
        elif line.startswith("Thread-safe"):
            safety, since = line.rsplit("  Since ", 1)
            out += [".SH ATTRIBUTES", escape(safety), ".SH HISTORY", f"Since version {since}"]
        else:
            out.append(escape(line.strip()))
    return out


def summary(lines):
    first = " ".join(line.strip() for line in lines[:4]).split(". ")[0].rstrip(".")
    return first[0].lower() + first[1:]


def title(name, summarized, version):
    return [f'.TH {name} 3 "" "libatfork {version}"', ".SH NAME", f"{name} \\- {escape(summarized)}"]


def see_also(others):
    return [".SH SEE ALSO", *(f".BR {other} (3)," for other in others), ".BR pthread_atfork (3),", ".BR fork (2)"]


def page(name, prototype, types, lines, version):
    named = set(re.findall(r"\b(atfork_\w+)\(", " ".join(lines))) - {name}
    out = [
        *title(name, summary(lines), version),
        ".SH SYNOPSIS",
        ".nf",
        ".B #include <atfork.h>",
        "",
        *(escape(line) for text in types for line in [*text.splitlines(), ""]),
        f".B {escape(prototype)};",
        ".fi",
        ".PP",
        "Compile with",
        ".IR \"$(pkg\\-config \\-\\-cflags \\-\\-libs atfork)\" .",
        *body(lines),
        *see_also(["atfork", *sorted(named)]),
    ]
    return "\n".join(out) + "\n"


def introduction(header, names, version):
    match = INTRODUCTION.search(header)
    out = [*title("atfork", match[1].rstrip("."), version), *body(uncomment(match[2])), *see_also(sorted(names))]
    return "\n".join(out) + "\n"


def main(path, version, outdir, *options):
    header = pathlib.Path(path).read_text()
    found = list(pages(header))
    texts = {name: page(name, *rest, version) for name, *rest in found}
    texts["atfork"] = introduction(header, texts, version)
    for name, text in texts.items():
        if "--list" in options:
            print(f"{name}.3")
        else:
            (pathlib.Path(outdir) / f"{name}.3").write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
