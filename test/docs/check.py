#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs each code sample of the documents.  Speaks the Test Anything Protocol.

check.py LIBRARY_DIR INCLUDE_DIR CC -- FILE.md...     (LUA_CPATH, RUBYLIB, PYTHON and PYTHONPATH are set)

A sample must succeed, and write nothing to stderr.  A block of `text` shows what the sample before it prints, where `…`
stands for anything in a line.  A sample in Python that imports a module which is not installed is skipped.  One that begins
with a comment of a file's name is a part of something larger, which another test runs.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FILE = re.compile(r"(?:#|--|//) [\w./-]+\.\w+(, added)?\n")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Seconds until a wait is given up; script/test says how many times as long things take here as on an idle machine.
PATIENCE = 60 * int(os.environ.get("ATFORK_TEST_SLOWNESS", "1"))


def command_for(language, path, library, include, cc):
    """The commands that run a sample; None for shell commands, which name scripts that have tests of their own."""
    if language == "c":
        program = path.with_suffix("")
        flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{include}"]
        return [
            cc + flags + [str(path), "-o", str(program), f"-L{library}", f"-Wl,-rpath,{library}", "-latfork"],
            [str(program)],
        ]
    if language == "cpp":
        program = path.with_suffix("")
        flags = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", f"-I{include}"]
        link = ["-o", str(program), f"-L{library}", f"-Wl,-rpath,{library}", "-latfork"]
        standards = ["c++20"] if "// C++20\n" in path.read_text() else ["c++11", "c++20"]
        return [
            command
            for standard in standards
            for command in (["c++", f"-std={standard}", *flags, str(path), *link], [str(program)])
        ]
    if language == "lua":
        return [["lua5.3", str(path)]]
    if language == "ruby":
        return [["ruby", str(path)]]
    if language == "python":
        return [[os.environ["PYTHON"], str(path)]]
    return None


# What a sample in Python may import that not every machine has.
OPTIONAL = ("distributed", "numpy", "torch")


def missing_module(language, text):
    """The optional module that the sample imports and that is not installed, or None."""
    if language != "python":
        return None
    imported = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    return next((name for name in imported if name in OPTIONAL and not is_installed(name)), None)


def is_installed(module):
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([os.environ["PYTHON"], "-c", look], check=False).returncode == 0


def samples_of(document):
    """Each sample's number among the blocks, its language, its text, and what it is said to print, or None."""
    blocks = FENCE.findall(document)
    following = [*blocks[1:], (None, None)]
    for number, ((language, text), (next_language, printed)) in enumerate(zip(blocks, following), 1):
        yield number, language, text, printed if next_language == "text" else None


def fault_of(run, printed):
    """What is wrong with a run, or None.  A child's failure shows on stderr only."""
    if run.returncode != 0 or run.stderr:
        return f"status {run.returncode}\n{run.stdout}{run.stderr}"
    if printed is None or re.fullmatch(re.escape(printed).replace("…", ".*"), run.stdout):
        return None
    return f"it is said to print\n{printed}and printed\n{run.stdout}"


def first_fault(commands, printed, environment):
    """What is wrong with the first of the commands that fails, or None.  Of a compiler's nothing is said to be printed."""
    for command in commands:
        run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment)
        fault = fault_of(run, None if "-o" in command else printed)
        if fault:
            return fault
    return None


def main(arguments):
    library, include = arguments[:2]
    split = arguments.index("--")
    cc, files = arguments[2:split], arguments[split + 1 :]
    number = failed = 0
    with tempfile.TemporaryDirectory() as work:
        environment = {**os.environ, "TMPDIR": work}
        for file in map(pathlib.Path, files):
            before = number
            for index, language, text, printed in samples_of(file.read_text()):
                path = pathlib.Path(work) / f"{file.stem}{index}.{ {'ruby': 'rb', 'python': 'py'}.get(language, language) }"
                path.write_text(text)
                commands = command_for(language, path, library, include, cc)
                if commands is None or FILE.match(text):
                    continue
                number += 1
                name = f"{file.name}, sample {index} ({language})"
                missing = missing_module(language, text)
                fault = None if missing else first_fault(commands, printed, environment)
                if fault:
                    failed += 1
                    print("# " + fault.rstrip("\n").replace("\n", "\n# "))
                print(f"{'not ok' if fault else 'ok'} {number} - {name}" + (f" # SKIP no {missing}" if missing else ""))
            if number == before:
                failed += 1
                print(f"# no sample in {file}")
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
