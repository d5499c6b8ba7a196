#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test/README.md lists each test file by the sentence at its head.  Speaks the Test Anything Protocol.

layout.py TEST [--write]     TEST is the folder test; --write puts the lists there that the files ask for
"""
import ast
import pathlib
import re
import sys
import tempfile
import textwrap

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

# Folders whose files are listed; of all others the page says one line.
LISTED = ["lib", "core", "torture", "lua", "ruby", "python", "hosts", "tools"]
ENDINGS = {".c", ".h", ".py", ".rb", ".lua", ".sh"}
WIDTH = 100


def block_of(text, mark):
    """The first comment, which comes before all code, of lines that begin with `mark`."""
    lines = []
    for line in text.splitlines():
        says = line.startswith(mark) and not re.match(rf"{mark}(!| frozen_| shellcheck |.*SPDX-)", line)
        if says and line.strip() != mark:
            lines.append(line[len(mark) :].strip())
        elif lines or line and not line.startswith(mark):
            break
    return " ".join(lines)


def comment_of(text):
    """The first of C's comments that is no licence, if it comes before all code."""
    found = re.match(r"(?:/\* SPDX-[^\n]*\n)?\s*/\*(.*?)\*/", text, re.DOTALL)
    return re.sub(r"\n \*", "\n", found.group(1)) if found else ""


def head_of(path):
    """The first sentence at the head of a file; "" when there is none."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        head = ast.get_docstring(ast.parse(text)) or ""
    elif path.suffix in (".c", ".h"):
        head = comment_of(text)
    else:
        head = block_of(text, "--" if path.suffix == ".lua" else "#")
    found = re.match(r".*?\.(?=\s|$)", " ".join(head.split()))
    return found.group(0) if found else ""


def files_in(folder):
    """Its test files; a source that has a header, and no head, is listed by that."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS)
    return [path for path in files if head_of(path) or path.suffix != ".c" or not path.with_suffix(".h").exists()]


def list_of(test, name):
    """The lines of a folder's list."""
    lines = []
    for path in files_in(test / name):
        text = f"- `{path.relative_to(test / name)}`: {head_of(path)}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return lines


def with_lists(test, page):
    """The page as it must be: in each listed folder's section, the lines from the first of a list on."""
    parts = re.split(r"(?m)^(?=## )", page)
    for index, part in enumerate(parts):
        name = re.match(r"## `(\w+)`", part)
        if name and name.group(1) in LISTED:
            intro = re.split(r"(?m)^- `", part)[0].rstrip("\n")
            parts[index] = "\n".join([intro, "", *list_of(test, name.group(1)), "", ""])
    return "".join(parts).rstrip("\n") + "\n"


def cases(test):
    """The checks of a folder `test`, by name."""
    page = (test / "README.md").read_text(encoding="utf-8")
    promises = (test.parent / "doc" / "design.md").read_text(encoding="utf-8")
    promises = re.findall(r"(?m)^(\d+)\. \*\*", promises.split("\n## Promises\n")[1].split("\n## ")[0])

    def test_each_file_says_what_it_is_for():
        tap.equal([str(path) for name in LISTED for path in files_in(test / name) if not head_of(path)], [])

    def test_each_promise_named_is_one():
        for path in (path for name in LISTED for path in files_in(test / name)):
            numbers = re.match(r"Promises? ((?:\d+(?:, | and )?)*)", head_of(path))
            unknown = set(re.findall(r"\d+", numbers.group(1))) - set(promises) if numbers else set()
            tap.equal((path.name, unknown), (path.name, set()))

    def test_the_page_lists_each_file():
        wanted, found = with_lists(test, page).splitlines(), page.splitlines()
        missing = [line for line in wanted if line not in found] + [line for line in found if line not in wanted]
        tap.equal(missing, [])
        tap.equal(page == with_lists(test, page), True)

    def test_the_page_names_each_folder():
        folders = sorted(path.name for path in test.iterdir() if path.is_dir() and path.name != "__pycache__")
        tap.equal([name for name in folders if f"`{name}`" not in page], [])

    return locals()


def with_a_fault(change):
    """The checks that fail in a small folder that had none, after `change`."""
    with tempfile.TemporaryDirectory() as root:
        test = pathlib.Path(root) / "test"
        for name in LISTED:
            (test / name).mkdir(parents=True)
        (test.parent / "doc").mkdir()
        (test.parent / "doc" / "design.md").write_text("# Design\n\n## Promises\n\n1. **Order.** By priority.\n\n## Next\n")
        (test / "core" / "order.c").write_text("/* Promise 1: order. More. */\n#include <a.h>\n")
        sections = "".join(f"## `{name}`\n\nWhat it is.\n\n" for name in LISTED)
        (test / "README.md").write_text(sections)
        (test / "README.md").write_text(with_lists(test, sections))
        change(test)
        return [name for name, check in cases(test).items() if name.startswith("test_") and not passes(check)]


def passes(check):
    try:
        check()
    except AssertionError:
        return False
    return True


def test_notices_what_is_wrong():
    def write(name, text):
        return lambda test: (test / name).write_text(text)

    page, head, number = "the_page_lists_each_file", "each_file_says_what_it_is_for", "each_promise_named_is_one"
    for change, expected in [
        (lambda test: None, []),
        (write("core/order.c", "/* Promise 1: another order. */\n"), [page]),
        (write("core/order.c", "#include <a.h>\n/* Promise 1: order. */\n"), [head, page]),
        (write("core/order.c", "/* Promise 2: order. */\n"), [number, page]),
        (write("lua/new.lua", "-- New.\n"), [page]),
        (write("lua/new.lua", "local a = 1 -- New.\n"), [head, page]),
        (write("ruby/new.rb", "# frozen_string_literal: true\n\nrequire 'a'\n# New.\n"), [head, page]),
        (write("python/new.py", '"""Says\nit. More."""\n'), [page]),
        (lambda test: (test / "core" / "order.c").unlink(), [page]),
        (lambda test: (test / "more").mkdir(), ["the_page_names_each_folder"]),
    ]:
        tap.equal(with_a_fault(change), ["test_" + name for name in expected])


def main(folder, *arguments):
    test = pathlib.Path(folder)
    if arguments == ("--write",):
        page = test / "README.md"
        page.write_text(with_lists(test, page.read_text(encoding="utf-8")), encoding="utf-8")
        return False
    return tap.run({**cases(test), "test_notices_what_is_wrong": test_notices_what_is_wrong})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
