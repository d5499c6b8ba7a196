#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs each code sample of the documents.  Speaks the Test Anything Protocol.

check.py LIBRARY_DIR INCLUDE_DIR CC -- FILE.md...     (LUA_CPATH, RUBYLIB, PYTHON and PYTHONPATH are set)
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

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


def main(arguments):
    library, include = arguments[:2]
    split = arguments.index("--")
    cc, files = arguments[2:split], arguments[split + 1 :]
    number = failed = 0
    with tempfile.TemporaryDirectory() as work:
        environment = {**os.environ, "TMPDIR": work}
        for file in map(pathlib.Path, files):
            for index, (language, text) in enumerate(FENCE.findall(file.read_text()), 1):
                path = pathlib.Path(work) / f"{file.stem}{index}.{ {'ruby': 'rb', 'python': 'py'}.get(language, language) }"
                path.write_text(text)
                commands = command_for(language, path, library, include, cc)
                if commands is None:
                    continue
                number += 1
                for command in commands:
                    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment)
                    # A child's failure shows on stderr only.
                    if run.returncode != 0 or run.stderr:
                        failed += 1
                        print(f"not ok {number} - {file.name}, sample {index} ({language})")
                        print("# " + (run.stdout + run.stderr).replace("\n", "\n# "))
                        break
                else:
                    print(f"ok {number} - {file.name}, sample {index} ({language})")
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
