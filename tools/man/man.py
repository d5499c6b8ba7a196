#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the man page of a command: its summary and options are what it says of itself with --help, the rest is a text.

man.py ATFORK COMMAND TEXT VERSION OUTPUT     COMMAND is "tree", ..., or "" for atfork itself

In the text "# NAME" begins a section, an indented line is shown as it is, and `word` is bold.
"""
import pathlib
import re
import subprocess
import sys

OPTION = re.compile(r"^  (?:(-\w), )?(--[\w-]+)(?:=(\S+))?  +(\S.*)$")
COMMAND = re.compile(r"^  atfork (\w+) .*?\]   (\S.*)$")
SECTIONS_BEFORE = ("DESCRIPTION",)  # come before the options


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fP", text)
    return "\\&" + text if text[:1] in ".'" else text


def help_of(atfork, command):
    ran = subprocess.run([atfork, *command.split(), "--help"], stdout=subprocess.PIPE, encoding="utf-8", check=True,
                         env={"LC_ALL": "C.UTF-8"})
    return ran.stdout.splitlines()


def options(lines):
    """As roff, a paragraph for each; with the lines that go on with its description."""
    out = []
    for line in lines:
        match = OPTION.match(line)
        if not match:
            continue
        short, name, value, what = match.groups()
        names = ", ".join(f"\\fB{escape(each)}\\fP" for each in (short, name) if each)
        out += [".TP", names + (f"=\\fI{value}\\fP" if value else ""), escape(what) + "."]
    return [".SH OPTIONS", *out]


def commands(lines):
    out = []
    for name, what in (match.groups() for match in map(COMMAND.match, lines) if match):
        out += [".TP", f".BR atfork\\-{name} (1)", escape(what[0].upper() + what[1:]) + "."]
    return [".SH COMMANDS", *out]


def rules(atfork, command):
    """What the command finds, and why, as it tells it."""
    ran = subprocess.run([atfork, command, "--rules"], stdout=subprocess.PIPE, encoding="utf-8", check=True)
    out = [".SH RULES"]
    for line in ran.stdout.splitlines():
        if line.startswith(" "):
            out.append(escape(line.strip()))
        elif line:
            rule, severity = line.split(": ")
            out += [".TP", f'.BR {escape(rule)} " ({severity})"']
    return out


def body(text):
    """The text's sections, by name, as roff."""
    found, section, shown = {}, [], False
    for line in text.splitlines():
        code = line.startswith("    ")
        if code != shown and (code or line.strip()):
            section += [".PP", ".RS 4", ".nf"] if code else [".fi", ".RE", ".PP"]
            shown = code
        if line.startswith("# "):
            section = found.setdefault(line[2:], [f".SH {line[2:]}"])
        elif line.startswith("- "):
            section += [".IP \\(bu 2", escape(line[2:])]
        elif not line.strip():
            section.append("" if shown else ".PP")
        elif line and not line.startswith("#"):
            section.append(escape(line[4:] if code else line.strip()))
    if shown:
        section += [".fi", ".RE"]
    return found


def page(atfork, command, text, version):
    lines = help_of(atfork, command)
    name = f"atfork-{command}" if command else "atfork"
    summary = lines[3] if command else lines[0].split(": ")[1]
    synopsis = escape(lines[1].strip()) if command else "atfork COMMAND [OPTION...] \\-\\- PROGRAM [ARGUMENT...]"
    sections = body(text)
    before = [line for title in SECTIONS_BEFORE for line in sections.pop(title, [])]
    told = options(lines) if command else commands(lines)
    if any(line.startswith("  --rules") for line in lines):
        told += rules(atfork, command)
    rest = [line for section in sections.values() for line in section]
    summary = summary[0].lower() + summary[1:].rstrip(".")
    return "\n".join([f'.TH {name} 1 "" "libatfork {version}"', ".SH NAME", f"{escape(name)} \\- {escape(summary)}",
                      ".SH SYNOPSIS", f".B {synopsis}", *before, *told, *rest]) + "\n"


def main(atfork, command, source, version, output):
    text = pathlib.Path(source).read_text(encoding="utf-8")
    pathlib.Path(output).write_text(page(atfork, command, text, version), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
