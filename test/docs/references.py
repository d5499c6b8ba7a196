#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each language's reference lists the functions that its module has, no more and no less.  Speaks the Test Anything Protocol.

references.py DOC     DOC is the folder of the documents (LUA_CPATH, RUBYLIB, PYTHON and PYTHONPATH are set)
"""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

# Programs that print a name a line, as the tables have it.  A hook of Lua's shows its fields to nobody who does not know them.
LUA = """
local atfork, random = require "atfork", require "atfork.random"
for name in pairs(atfork) do print("atfork." .. name) end
for name in pairs(random) do print("random." .. name) end
assert(atfork.on_error == nil and not pcall(function() atfork.on_error = 1 end))
assert(atfork.register_after_fork(print).unregister)
print "atfork.on_error" print "hook:unregister"
print(pcall(random) and "random")
"""
RUBY = """
require "atfork/random"
names = AtFork.singleton_methods - [:on_error=]
hook = AtFork::Hook.instance_methods(false) - [:inspect]
random = AtFork::Random.singleton_methods(false) + [:new]
puts names.map { |name| "AtFork.#{name}" }, hook.map { |name| "hook.#{name}" }, random.map { |name| "AtFork::Random.#{name}" }
puts "AtFork::Random"
"""
PYTHON = """
import atfork, atfork.dask, atfork.random
for name in atfork.__all__:
    if not isinstance(getattr(atfork, name), type):
        print("atfork." + name)
for name in vars(atfork.Hook):
    if not name.startswith("_"):
        print("hook." + name)
for module in (atfork.random, atfork.dask):
    for name in module.__all__:
        print(module.__name__ + "." + name)
"""


def listed(text):
    """The names in the first column of the table of all functions: what stands before their arguments."""
    table = text.split("\n## All functions\n", 1)[1].split("\n## ", 1)[0]
    cells = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| [")]
    return sorted(re.match(r"[\w.:]+", code)[0] for cell in cells for code in re.findall(r"`([^`]*)`", cell))


def has_own_section(text):
    """Whether each name stands in code in the section that its row leads to."""
    missing = []
    sections = {heading_slug(part): part for part in re.split(r"(?m)^#{2,3} ", text)[1:]}
    for cell, anchor in re.findall(r"^\| \[([^\]]*)\]\(#([\w-]+)\)", text, re.MULTILINE):
        for name in re.findall(r"`(?:\w+[.:]+)*(\w+)", cell):
            if not re.search(rf"`[^`]*\b{name}\b[^`]*`|^{name}\b", sections.get(anchor, "").split("\n", 1)[-1], re.MULTILINE):
                missing.append((name, anchor))
    return missing


def heading_slug(section):
    return re.sub(r"[^\w\- ]", "", section.split("\n", 1)[0].lower()).replace(" ", "-")


def cases(doc):
    programs = {
        "lua": ["lua5.3", "-e", LUA],
        "ruby": ["ruby", "-e", RUBY],
        "python": [os.environ["PYTHON"], "-c", PYTHON],
    }

    def check(language):
        text = (doc / f"{language}.md").read_text(encoding="utf-8")
        names = subprocess.run(programs[language], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        tap.equal(listed(text), sorted(names))
        tap.equal(has_own_section(text), [])

    return {f"test_{language}": lambda language=language: check(language) for language in programs}


def main(doc):
    return tap.run(cases(pathlib.Path(doc)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
