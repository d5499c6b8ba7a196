# SPDX-License-Identifier: MIT
"""The markup of manual pages, for the two programs that make them."""
import email.utils
import pathlib
import re
import textwrap

CHANGELOG = pathlib.Path(__file__).parent.parent / "debian" / "changelog"
MANUAL = "libatfork"
WIDTH = 78  # of input lines
CHARACTERS = str.maketrans({"\\": "\\e", "…": "...", "~": "\\(ti", "^": "\\(ha", "µ": "\\(mc"})
REFERENCE = re.compile(r"(?<![\w-])(_?[A-Za-z][\w-]*)\((\d)\)")
LITERAL = re.compile(r"`([^`]*)`")


def date():
    """The day of the version, which the newest entry of the changelog has."""
    when = re.search(r"^ -- .*>  (.*)$", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)
    return email.utils.parsedate_to_datetime(when[1]).date().isoformat()


def title(name, section, version):
    """Without hyphenation and adjustment: both make names hard to read."""
    return [f'.TH {code(name.upper())} {section} {date()} "libatfork {version}" {MANUAL}', ".nh", ".ad l"]


def guard(line):
    """A line that roff does not take for a request."""
    return "\\&" + line if line[:1] in (".", "'") else line


def code(text):
    """Text in which nothing is markup; for a line of its own, guard it."""
    return text.translate(CHARACTERS).replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")


def reference(name, section):
    return f"\\fB{code(name)}\\fP({section})"


def words(text):
    """Text with *new words* and references such as fork(2).  A hyphen between letters stays a hyphen."""
    parts, at = [], 0
    for match in REFERENCE.finditer(text):
        parts += [hyphens(text[at : match.start()]), reference(match[1], match[2])]
        at = match.end()
    return re.sub(r"(?<!\S)\*([a-z ]+)\*(?!\w)", r"\\fI\1\\fP", "".join([*parts, hyphens(text[at:])]))


def hyphens(text):
    return re.sub(r"(?<![A-Za-z])-|-(?![A-Za-z])", r"\\-", text.translate(CHARACTERS))


def inline(text):
    """Text with `code` as well."""
    parts = LITERAL.split(text)
    return "".join(f"\\fB{code(part)}\\fP" if number % 2 else words(part) for number, part in enumerate(parts))


def sentences(text):
    """A paragraph as roff has it: each sentence begins a line."""
    parts = [inline(each) for each in re.split(r"(?<=[.?!:])\s{2,}", text.strip()) if each]
    return [guard(line) for part in parts for line in textwrap.wrap(part, WIDTH, break_long_words=False, break_on_hyphens=False)]


def example(lines):
    """Code; .EE turns hyphenation on again."""
    return [".PP", ".in +4n", ".EX", *(guard(code(line)) for line in lines), ".EE", ".nh", ".in"]


def tidy(lines):
    """Without paragraphs that begin where one begins anyway."""
    begins = (".SH", ".SS", ".TP", ".IP")
    return [line for before, line in zip(["", *lines], lines) if line != ".PP" or not before.startswith(begins)]


def see_also(references):
    """The section, of (name, section) pairs."""
    ordered = sorted(set(references), key=lambda each: (each[1], each[0]))
    lines = [f".BR \\%{code(name)} ({section})," for name, section in ordered]
    return [".SH SEE ALSO", *lines[:-1], lines[-1].rstrip(",")]
