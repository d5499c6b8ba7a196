#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the manual pages, and runs their examples.  Speaks the Test Anything Protocol.

man.py MAP HEADERS EXAMPLES LIBRARY_DIR INCLUDE_DIR CC -- PAGE...     HEADERS, in INCLUDE_DIR, and CC are words in one argument
"""
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

COLUMNS = 80
# As man-pages(7) orders them; a section of the page's own comes after OPTIONS.
ORDER = """NAME LIBRARY SYNOPSIS CONFIGURATION DESCRIPTION OPTIONS COMMANDS * EXIT_STATUS RETURN_VALUE ERRORS ENVIRONMENT FILES
    ATTRIBUTES VERSIONS STANDARDS HISTORY NOTES CAVEATS BUGS EXAMPLES AUTHORS REPORTING_BUGS COPYRIGHT SEE_ALSO"""
ORDER = [each.replace("_", " ") for each in ORDER.split()]
NEEDED = {"1": ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]}
NEEDED["3"] = ["NAME", "SYNOPSIS", "DESCRIPTION", "HISTORY", "SEE ALSO"]
# Names in a header that are none of its users' business.
PRIVATE = re.compile(r"ATFORK_(H|API|BUILDING|TEXT_OF|SYMBOL|OPTIONAL_.*)|atfork_(word|module|optional_\w+|\w+_inline)")
# Of the systems; where they are not installed, nobody can look.
ELSEWHERE = """_exit(2) clone(2) clone3(2) exec(3) exit(3) fork(2) vfork(2) pthread_atfork(3) pthread_create(3) pthread_once(3)
    dlclose(3) dlsym(3) posix_spawn(3) signal-safety(7) snprintf(3)""".split()


# ---- Pages ----


def name_of(path):
    return path.name.rsplit(".", 1)


def is_link(path):
    return path.read_text(encoding="utf-8").startswith(".so ")


@functools.cache
def shown(path):
    """The page as a terminal of 80 columns has it."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": str(COLUMNS), "MAN_KEEP_FORMATTING": ""}
    return run(["man", "--local-file", "--pager=cat", path], environment).stdout


def run(command, environment=None):
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=tap.PATIENCE)


def sections(text):
    return re.findall(r"(?m)^([A-Z][A-Z ]+)$", text)


def by_lint(path):
    said = run(["mandoc", "-Tlint", path])
    return (said.stdout + said.stderr).splitlines()


def by_groff(path):
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": str(COLUMNS)}
    command = ["man", "--warnings", "-E", "UTF-8", "--local-file", "-Tutf8", "-Z", path]
    return run(command, environment).stderr.splitlines()


def by_hyphen(path):
    """Names are whole: no word is broken at the end of a line."""
    return [line for line in shown(path).splitlines() if line.endswith("\u2010")]


def by_width(path):
    return [line for line in shown(path).splitlines() if len(line) > COLUMNS]


def by_order(path):
    """The sections that are out of order, or missing."""
    found = sections(shown(path))
    places = [ORDER.index(each) if each in ORDER else ORDER.index("*") for each in found]
    wrong = [each for each, place, before in zip(found[1:], places[1:], places) if place < before]
    return wrong + [f"no {each}" for each in NEEDED[name_of(path)[1]] if each not in found]


def by_name(path):
    """NAME is one line: the page's own name, and a summary of some words."""
    name = shown(path).split("\nNAME\n")[1].split("\n\n")[0].splitlines()
    return [] if len(name) == 1 and re.fullmatch(rf"       {name_of(path)[0]} - [a-z]\S* .*\w\S*", name[0]) else name


def references(path):
    """What the page refers to, in SEE ALSO: (name, section) pairs."""
    last = shown(path).split("\nSEE ALSO\n")[1].rsplit("\n\n", 1)[0]
    return re.findall(r"([\w-]+)\((\d)\)", last)


# ---- What must have a page ----


def exported(script):
    """The symbols of the version script."""
    body = re.search(r"global:(.*?)local:", script, re.DOTALL)[1]
    return re.findall(r"\w+", body)


def public(header):
    """The names that a header gives its users."""
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    names = re.findall(r"(?m)^#define (ATFORK_\w+)", code)
    names += re.findall(r"\b(?:struct|enum) (atfork_\w+) \{|typedef \w+ (atfork_\w+)", code)
    names += re.findall(r"\b(ATFORK_[A-Z_]+)(?= *[,=]|\n\})", "".join(re.findall(r"enum[ \w]*\{.*?\}", code, re.DOTALL)))
    names += re.findall(r"\b(atfork_\w+)\((?=[^;{]*\)(?: \{|;))", code)
    flat = {each for name in names for each in ([name] if isinstance(name, str) else name) if each}
    return sorted(name for name in flat if not PRIVATE.fullmatch(name))


# ---- Examples ----


def samples_in(header):
    """The programs in a header's comments."""
    comment = re.search(r"/\*\n \* atfork.*?\n \*/", header, re.DOTALL)[0]
    lines = re.findall(r"(?m)^ \*(?:     (.*))?$", comment.split("---- Example ----")[1].split(" * ----")[0])
    return "\n".join(lines).strip("\n") + "\n"


def promised(text):
    """What a program says that it prints."""
    block = re.search(r"/\* prints[^\n]*:\n(.*?)\*/", text, re.DOTALL)
    line = re.search(r"// prints: (.*\n)", text)
    return block[1] if block else line[1] if line else None


def build(text, work, options):
    """Compiles a program, with all that its author may be warned of."""
    library, include, compiler = options
    source, program = pathlib.Path(work) / "example.c", pathlib.Path(work) / "example"
    source.write_text(text, encoding="utf-8")
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{include}"]
    link = ["-c"] if "int main" not in text else []
    if "<atfork.h>" in text:
        link += [f"-L{library}", f"-Wl,-rpath,{library}", "-latfork"] if not link else []
    return run([*compiler, *flags, source, "-o", program, *link]), program


def by_running(text, work, options):
    """What is wrong with a program: with its compilation, its end, or what it prints."""
    compiled, program = build(text, work, options)
    if compiled.returncode != 0 or compiled.stderr:
        return compiled.stderr.splitlines()
    if "int main" not in text:
        return []
    ran = run([program], {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"})
    if ran.returncode != 0 or ran.stderr or ran.stdout != promised(text):
        return [f"status {ran.returncode}", ran.stderr, f"printed {ran.stdout!r}", f"promised {promised(text)!r}"]
    return []


# ---- The cases ----


def wrong(check, paths):
    return {path.name: found for path in paths for found in [check(path)] if found}


def cases(script, headers, examples, options, pages):
    """The checks of a set of pages, by name."""
    texts = [path for path in pages if not is_link(path)]
    there = {path.name for path in pages}

    def test_mandoc_finds_nothing():
        need("mandoc")
        tap.equal(wrong(by_lint, texts), {})

    def test_groff_warns_of_nothing():
        need("man")
        tap.equal(wrong(by_groff, texts), {})

    def test_no_line_is_longer_than_a_terminal():
        need("man")
        tap.equal(wrong(by_width, texts), {})

    def test_no_word_is_broken():
        need("man")
        tap.equal(wrong(by_hyphen, texts), {})

    def test_sections_are_there_and_in_order():
        need("man")
        tap.equal(wrong(by_order, texts), {})

    def test_name_is_one_line():
        need("man")
        tap.equal(wrong(by_name, texts), {})

    def test_see_also_names_pages_that_exist():
        need("man")
        unknown = {path.name: {f"{name}({section})" for name, section in references(path) if f"{name}.{section}" not in there}
                   for path in texts}
        tap.equal({page: names - set(ELSEWHERE) for page, names in unknown.items() if names - set(ELSEWHERE)}, {})

    def test_each_page_is_named_by_another():
        need("man")
        named = {f"{name}.{section}" for path in texts for name, section in references(path) if [name, section] != name_of(path)}
        tap.equal(sorted(path.name for path in texts if path.name not in named), [])

    def test_links_lead_to_pages():
        links = {path.name: path.read_text(encoding="utf-8") for path in pages if is_link(path)}
        tap.equal({name: text for name, text in links.items() if text[4:].strip().removeprefix("man3/") not in
                   {path.name for path in texts}}, {})

    def test_each_symbol_has_a_page():
        tap.equal([name for name in exported(script) if f"{name}.3" not in there], [])

    def test_each_public_name_has_a_page():
        tap.equal([name for header in headers for name in public(header) if f"{name}.3" not in there], [])

    def test_each_example_is_on_its_page():
        missing = [path.name for path in examples if f"{path.stem}.3" not in there or "EXAMPLES" not in
                   next((page.read_text(encoding="utf-8") for page in texts if page.name == f"{path.stem}.3"), "")]
        tap.equal(missing, [])

    def test_examples_do_what_they_say():
        programs = {path.name: path.read_text(encoding="utf-8") for path in examples}
        programs |= {f"header {number}": samples_in(header) for number, header in enumerate(headers)}
        with tempfile.TemporaryDirectory() as work:
            found = {name: by_running(text, work, options) for name, text in programs.items()}
        tap.equal({name: each for name, each in found.items() if each}, {})

    return {name: each for name, each in locals().items() if name.startswith("test_")}


def need(command):
    if shutil.which(command) is None:
        raise tap.Skipped(f"there is no {command}")


# ---- The cases notice what is wrong ----

PAGE = """.TH ATFORK_SAMPLE 3 2026-11-29 libatfork libatfork
.nh
.SH NAME
atfork_sample \\- show what a page is
.SH SYNOPSIS
.B int atfork_sample(void);
.SH DESCRIPTION
Does nothing.
.SH HISTORY
libatfork 0.1.
.SH EXAMPLES
.EX
return 0;
.EE
.SH SEE ALSO
.BR fork (2),
.BR atfork_other (3)
"""
HEADER = """/*
 * atfork: a sample
 *
 * ---- Example ----
 *
 *     int sample = 3;
 */
#define ATFORK_H
#define ATFORK_NAME 1
struct atfork_thing {
  int a;
};
enum { ATFORK_ONE, ATFORK_TWO = 2 };
enum atfork_which {
  ATFORK_THREE
};
ATFORK_API int atfork_sample(int (*func)(void *data), void *dso);
"""
NAMES = ["ATFORK_NAME", "ATFORK_ONE", "ATFORK_THREE", "ATFORK_TWO", "atfork_sample", "atfork_thing", "atfork_which"]
EXAMPLE = '#include <stdio.h>\nint main(void) {\n  puts("a");\n  return 0;\n}\n/* prints:\na\n*/\n'
SCRIPT = "{ global: atfork_sample; local: *; };"


def failing(options, change):
    """The cases that fail with a small set of pages that had no fault, after `change`."""
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        files = {"atfork_sample.3": PAGE, "example/atfork_sample.c": EXAMPLE, "header": HEADER, "script": SCRIPT}
        other = PAGE.replace("atfork_other", "@").replace("atfork_sample", "atfork_other").replace("SAMPLE", "OTHER")
        files["atfork_other.3"] = other.replace("@", "atfork_sample")
        files |= {f"{name}.3": ".so man3/atfork_sample.3\n" for name in NAMES if name != "atfork_sample"}
        change(files)
        (work / "example").mkdir()
        for name, text in files.items():
            (work / name).write_text(text, encoding="utf-8")
        tests = cases(files["script"], [files["header"]], sorted((work / "example").iterdir()), options, sorted(work.glob("*.3")))
        return [name.removeprefix("test_") for name, test in tests.items() if not passes(test)]


def passes(test):
    try:
        test()
    except AssertionError:
        return False
    return True


def replaced(name, old, new):
    def change(files):
        assert old in files[name]
        files[name] = files[name].replace(old, new)

    return change


def notices(options):
    lint, groff, order = "mandoc_finds_nothing", "groff_warns_of_nothing", "sections_are_there_and_in_order"
    examples, page = "examples_do_what_they_say", "atfork_sample.3"
    faults = [
        (lambda files: None, []),
        (replaced(page, "2026-11-29", '""'), [lint]),
        (replaced(page, "Does nothing.", "\\*[missing]"), [lint, groff]),
        (replaced(page, "Does nothing.", ".nf\n" + "long " * 20), ["no_line_is_longer_than_a_terminal"]),
        (replaced(page, "Does nothing.", ".hy 4\nIt does\n" + "incomprehensibility\n" * 9), ["no_word_is_broken"]),
        (replaced(page, ".SH DESCRIPTION", ".SH RATIONALE"), [order]),
        (replaced(page, ".SH HISTORY\nlibatfork 0.1.\n", ""), [order]),
        (replaced(page, ".SH SYNOPSIS", ".SH VERSIONS\nall\n.SH SYNOPSIS"), [order]),
        (replaced(page, "show what", "show what, and why, and in which way, and to whom"), ["name_is_one_line"]),
        (replaced(page, "atfork_sample \\-", "atfork_example \\-"), ["name_is_one_line"]),
        (replaced(page, "show what a page is", "\\&.PP"), ["name_is_one_line"]),
        (replaced(page, ".BR fork (2)", ".BR spoon (2)"), ["see_also_names_pages_that_exist"]),
        (replaced("atfork_other.3", "atfork_sample (3)", "fork (2)"), ["each_page_is_named_by_another"]),
        (replaced("ATFORK_NAME.3", "sample", "simple"), ["links_lead_to_pages"]),
        (replaced("script", "atfork_sample", "atfork_sample; atfork_more"), ["each_symbol_has_a_page"]),
        (lambda files: files.pop("atfork_which.3"), ["each_public_name_has_a_page"]),
        (lambda files: files.pop("ATFORK_TWO.3"), ["each_public_name_has_a_page"]),
        (replaced("header", "#define ATFORK_H", "#define ATFORK_HOLE"), ["each_public_name_has_a_page"]),
        (replaced(page, ".SH EXAMPLES", ".SH NOTES"), ["each_example_is_on_its_page"]),
        (replaced("header", "sample = 3;", "sample = ;"), [examples]),
        (replaced("example/atfork_sample.c", 'puts("a")', 'puts("b")'), [examples]),
        (replaced("example/atfork_sample.c", "return 0", "return 1"), [examples]),
        (replaced("example/atfork_sample.c", "  return 0", "  int unused; return 0"), [examples]),
        (replaced("example/atfork_sample.c", 'puts("a")', 'puts("a"); fputs("no", stderr)'), [examples]),
    ]

    def test_notices_what_is_wrong():
        need("mandoc")
        need("man")
        for change, expected in faults:
            tap.equal(failing(options, change), expected)

    def test_knows_public_names():
        tap.equal(public(HEADER), NAMES)

    return {"test_notices_what_is_wrong": test_notices_what_is_wrong, "test_knows_public_names": test_knows_public_names}


def main(script, headers, examples, library, include, compiler, _, *pages):
    options = (library, include, compiler.split())
    texts = [pathlib.Path(include, name).read_text(encoding="utf-8") for name in headers.split()]
    programs = sorted(pathlib.Path(examples).glob("*.c"))
    own = cases(pathlib.Path(script).read_text(encoding="utf-8"), texts, programs, options, [*map(pathlib.Path, pages)])
    return tap.run({**own, **notices(options)})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
