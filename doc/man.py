#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the manual pages of section 3 from the comments of a public header, so that there is one text.

man.py list|write pages|links VERSION EXAMPLES OUTDIR HEADER...     EXAMPLES has NAME.c for the page NAME

A header's first comment becomes the page of the header's own name.  Each other comment becomes the page of the function
that follows it; further functions that follow, and the types and macros that the page shows, become links to it.

In a comment, "---- Words ----" is a heading, four spaces begin code, "- " an item of a list, and two spaces or more
come after the name of a parameter, after "Returns" and after an error.  The last paragraph begins with "Thread-safe".
"""
import dataclasses
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import roff  # noqa: E402 pylint: disable=wrong-import-position

COMMENT = re.compile(r"^/\*\n((?:(?!^ \*/$).)*?)^ \*/\n", re.MULTILINE | re.DOTALL)
FUNCTION = re.compile(r"(?:ATFORK_API|static inline) ([^;{]*?\b(atfork_\w+)\((.*?)\))(?:;| \{)\n", re.DOTALL)
BETWEEN = re.compile(r"(?:#(?!define)[^\n]*\n)*")
TYPE = re.compile(r"^(?:(?:struct|enum) (\w+) \{.*?^\}|typedef \w+ (\w+)|enum \{[^}]*\});\n", re.MULTILINE | re.DOTALL)
PRIVATE = {"atfork_word", "atfork_optional_layout", "atfork_optional_registering"}
ITEM = re.compile(r"^(\w+) {2,}(\S.*)$")
ERROR = re.compile(r"^ {8,}(E[A-Z]+) {2,}(\S.*)$")
COLUMNS = 70
LIBRARY = [".SH LIBRARY", "libatfork", '.RI ( libatfork ", " \\-latfork ;', "for", ".BR pkg\\-config :", ".IR atfork )"]

# Names that no type or function of a header defines, and the pages that explain them.
LINKS = {
    "ATFORK_CHECK_VERSION": "atfork_version",
    "ATFORK_MODULE": "atfork_register_for",
    "ATFORK_ONCE_INIT": "atfork_once",
    "ATFORK_VERSION_MAJOR": "atfork_version",
    "ATFORK_VERSION_MICRO": "atfork_version",
    "ATFORK_VERSION_MINOR": "atfork_version",
}

# What a reader of a page may look for next, where its text does not name it.
RELATED = {
    "atfork_child_token": ["atfork_spawned"],
    "atfork_generation": ["atfork_lineage", "atfork_once", "atfork_poll"],
    "atfork_launcher": ["atfork_adopt"],
    "atfork_lineage": ["atfork_generation", "atfork_place", "atfork_seed"],
    "atfork_mark": ["atfork_generation"],
    "atfork_once": ["atfork_generation"],
    "atfork_place": ["atfork_lineage"],
    "atfork_poll": ["atfork_generation", "atfork_register"],
    "atfork_register": ["atfork_register_after_fork", "atfork_register_mutex", "atfork_unregister"],
    "atfork_register_after_fork": ["atfork_unregister"],
    "atfork_register_mutex": ["atfork_unregister"],
    "atfork_run": ["atfork_seed"],
    "atfork_seed": ["atfork_lineage", "atfork_seed_bytes"],
    "atfork_spawned": ["atfork_adopt", "atfork_child_token"],
    "atfork_unregister": ["atfork_register"],
}


# ---- What a header says ----


@dataclasses.dataclass
class Text:
    """A comment, in its parts."""

    summary: str = ""
    sections: list = dataclasses.field(default_factory=lambda: [("", [])])  # of (heading, blocks)
    parameters: list = dataclasses.field(default_factory=list)
    returns: str = ""
    errors: list = dataclasses.field(default_factory=list)
    safety: str = ""


def parse(comment):
    """A comment of a function, or of a header."""
    lines = [line[3:].rstrip() for line in comment.splitlines()]
    text = Text(summary=re.sub(r"^\w+(-\w+)?: ", "", lines.pop(0)))
    for paragraph in re.split(r"\n{2,}", "\n".join(lines).strip("\n")):
        heading = re.fullmatch(r"---- (.*) ----", paragraph)
        if heading:
            text.sections.append((heading[1], []))
        elif re.match(r"\w+ {2,}\S", paragraph) and text.sections[-1][0] != "Environment":
            parse_items(text, paragraph)
        elif paragraph.startswith("    ") and text.sections[-1][1] and text.sections[-1][1][-1].startswith("    "):
            text.sections[-1][1][-1] += "\n\n" + paragraph
        else:
            text.sections[-1][1].append(paragraph)
    return text


def parse_items(text, paragraph):
    """The last paragraph: parameters, result, errors, and safety."""
    items, safety = paragraph.split("\nThread-safe", 1)
    text.safety = "Thread-safe" + " ".join(safety.split("\n"))
    for line in items.splitlines():
        item, error = ITEM.match(line), ERROR.match(line)
        if error:
            text.errors.append([error[1], error[2]])
        elif item:
            text.parameters.append([item[1], item[2]])
        else:
            (text.errors or text.parameters)[-1][1] += " " + line.strip()
    if text.parameters[-1][0] == "Returns":
        text.returns = text.parameters.pop()[1]


def functions_after(header, end):
    """Yields (prototype, name, parameters) of those that follow a comment."""
    at = BETWEEN.match(header, end).end()
    types = TYPE.match(header, at)
    at = types.end() if types else at
    while match := FUNCTION.match(header, at):
        yield match[1], match[2], match[3]
        at = BETWEEN.match(header, match.end()).end()


def types_of(header, prototype):
    """The definitions of the types that a prototype names, and that these name, in the header's order."""
    found, text = [], prototype
    for match in reversed(list(TYPE.finditer(header))):
        name = match[1] or match[2]
        is_priority = name is None and "struct atfork_hook {" in text
        if name not in PRIVATE and name != "atfork_once" and (is_priority or name and re.search(rf"\b{name}\b", text)):
            found.insert(0, match)
            text += match[0]
    return found


# ---- Roff ----


def block(paragraph):
    """A paragraph, an example or a list."""
    if paragraph.startswith("    "):
        return roff.example(line[4:] for line in paragraph.splitlines())
    if re.match(r"\w+ {2,}\S", paragraph):
        items = [re.sub(r"\n\s+", " ", item) for item in re.split(r"\n(?=\S)", paragraph)]
        return [line for item in items for line in tagged("B", *item.split(None, 1))]
    lead, *items = re.split(r"(?:^|\n)- ", paragraph)
    out = [".PP", *described_by(lead)] if lead else []
    for item in items:
        out += [".IP \\(bu 3", *described_by(item)]
    return out


def described_by(text):
    return roff.sentences(linked(plain(text)))


def plain(text):
    return re.sub(r"\n\s*", lambda match: "  " if text[match.start() - 1] in ".:" else " ", text)


def tagged(font, tag, text):
    return [".TP", f".{font} {roff.code(tag)}", *described_by(sentence(text))]


def sentence(text):
    text = text[0].upper() + text[1:]
    return text if text.endswith((".", ":")) else text + "."


def linked(text):
    """Text in which functions of ours have their pages, and other names are code."""
    parts = re.split(r"(`[^`]*`)", text)
    for number in range(0, len(parts), 2):
        part = re.sub(r"\b(atfork_\w+)\(\)", r"\1(3)", parts[number])
        parts[number] = re.sub(r"(?<![\w$-])(ATFORK_[A-Z_]+|_*[a-z]+_[a-z_]+(?:\(\))?)(?![\w(])", r"`\1`", part)
    return "".join(parts)


def wrapped(prototype):
    """A prototype in lines that are not too long; names of parameters in italics."""
    head, parameters = " ".join(prototype.split()).split("(", 1)
    lines = [head + "("]
    for parameter in separate(parameters[:-1]):
        if len(lines[-1]) + len(parameter) > COLUMNS:
            lines.append("    ")
        lines[-1] += parameter + ", "
    lines = [line.rstrip() for line in lines]
    lines[-1] = lines[-1].removesuffix(",") + ");"
    return [f"\\fB{italic(roff.guard(roff.code(line)))}\\fP" for line in lines]


def separate(parameters):
    """The parameters; those of a parameter that is a function stay together."""
    parts = [""]
    for each in parameters.split(", "):
        whole = parts[-1].count("(") == parts[-1].count(")")
        if parts[-1] and whole:
            parts.append(each)
        else:
            parts[-1] += ", " + each if parts[-1] else each
    return parts


def italic(line):
    return re.sub(r"(?<=[ *])(\w+)(?=,|\)|$)(?!\);$)|(?<=[ *])(\w+)(?=\);$)", named, line)


def named(match):
    name = match[1] or match[2]
    return name if name == "void" else f"\\fI{name}\\fB"


def synopsis(include, types, prototypes):
    out = [".SH SYNOPSIS", ".nf", f".B #include <{include}>"]
    for match in types:
        out += [".PP", *(roff.guard(roff.code(line)) for line in match[0].rstrip().splitlines())]
    for prototype in prototypes:
        out += [".PP", *wrapped(prototype)]
    return [*out, ".fi"]


def name_and_library(name, summary):
    words = summary[0].lower() + re.sub(r"^(\w+)s\b", r"\1", summary)[1:]
    return [".SH NAME", f"{roff.code(name)} \\- {roff.inline(words)}", *([] if "optional" in name else LIBRARY)]


def example_section(examples, name):
    path = examples / f"{name}.c"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [".SH EXAMPLES", *roff.example(line for line in lines if "SPDX" not in line)]


def attributes(safety):
    threads, rest = re.split(r"\s+Async-signal-safe: ", safety)
    signals, more = re.split(r"\.\s+", rest, maxsplit=1)
    since = more.split("Since ", 1)[1]
    threads = threads.replace("Thread-safe.", "Safe.").replace("Thread-safe, ", "Safe, ")
    out = [".SH ATTRIBUTES", ".TP", "Thread safety", *roff.sentences(threads), ".TP", "Async-signal safety"]
    out += described_by(sentence(signals))
    if "Not on Windows" in more:
        out += [".SH VERSIONS", "There is no such function on Windows."]
    return [*out, ".SH HISTORY", f"libatfork {since}"]


def returned(text):
    """What the comment says before it lists the errors, as a sentence."""
    text = re.sub(r"and errno\b([^:]*):$", r"and *errno* is set\1.", text)
    return [".SH RETURN VALUE", *described_by(sentence(text))]


def references(name, text):
    """The pages that a comment names."""
    found = {(each, section) for each, section in roff.REFERENCE.findall(linked(text)) if each != name}
    found |= {(each, "3") for each in RELATED.get(name, [])}
    return found | {("fork", "2"), ("atfork", "3"), ("pthread_atfork", "3")}


def described(text):
    """DESCRIPTION, with its subsections, and what is a section of its own: (roff, others by heading)."""
    out, others = [".SH DESCRIPTION"], {}
    for heading, blocks in text.sections:
        lines = [line for each in blocks for line in block(each)]
        if heading in ("Environment", "Example"):
            others[heading] = lines
        elif heading:
            out += [f".SS {heading}", *lines]
        else:
            parameters = [line for name, what in text.parameters for line in tagged("I", name, what)]
            out += [*lines, *parameters]
    return out, others


def function_page(header, include, comment, found, version, examples):
    name = found[0][1]
    text = parse(comment)
    prototypes = [prototype for prototype, _, _ in found]
    types = types_of(header, " ".join(prototypes))
    description, _ = described(text)
    out = [
        *roff.title(name, 3, version),
        *name_and_library(name, text.summary),
        *synopsis(include, types, prototypes),
        *description,
        *(returned(text.returns) if text.returns else []),
    ]
    if text.errors:
        out += [".SH ERRORS", *(line for error, what in text.errors for line in tagged("B", error, what))]
    out = [line.replace(roff.reference(name, 3), f"\\fB{roff.code(name)}\\fP()") for line in out]
    out += [*attributes(text.safety), *example_section(examples, name), *roff.see_also(references(name, comment))]
    names = [other for _, other, _ in found[1:]] + [each for match in types for each in names_in(match[0])]
    return name, written(out), names


def names_in(definition):
    """The type that is defined, and its constants."""
    tag = re.match(r"(?:struct|enum) (\w+)|typedef \w+ (\w+)", definition)
    constants = re.findall(r"\b(ATFORK_[A-Z_]+)\b(?=[ ,]|\n)", re.sub(r"/\*.*?\*/", "", definition))
    return ([tag[1] or tag[2]] if tag else []) + constants


def header_page(include, comment, since, pages, version):
    """The page of a header as a whole, with a list of its functions."""
    name = include.removesuffix(".h")
    text = parse(comment)
    description, others = described(text)
    functions = [".SS Functions"]
    for page, summary in pages:
        functions += [".TP", f".BR {page} (3)", *roff.sentences(sentence(summary))]
    headings = [number for number, line in enumerate(description) if line.startswith(".SS")]
    second = headings[1]
    out = [
        *roff.title(name, 3, version),
        *name_and_library(name, text.summary),
        *synopsis(include, [], []),
        *([".PP", "cc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs atfork)"] if name == "atfork" else []),
        *description[:second],
        *functions,
        *description[second:],
    ]
    if "Environment" in others:
        out += [".SH ENVIRONMENT", *others["Environment"]]
    out += [".SH HISTORY", f"libatfork {since}."]
    out += [".SH EXAMPLES", *others["Example"]]
    related = {("fork", "2"), ("clone", "2"), ("pthread_atfork", "3"), ("signal-safety", "7"), ("atfork", "3")}
    related |= {("atfork-optional", "3"), ("atfork", "1"), *((page, "3") for page, _ in pages)}
    return name, written(out + roff.see_also(related - {(name, "3")}))


def written(lines):
    return "\n".join(roff.tidy(lines)) + "\n"


def pages_of(path, version, examples):
    """All pages of a header, by name; a link is a page, too."""
    header = path.read_text(encoding="utf-8")
    texts, links, listed = {}, {}, []
    first, *comments = list(COMMENT.finditer(header))
    for match in comments:
        found = list(functions_after(header, match.end()))
        if not found:
            continue
        name, text, names = function_page(header, path.name, match[1], found, version, examples)
        texts[name] = text
        listed.append((name, parse(match[1]).summary))
        for other in names:
            links.setdefault(other, name)
    since = min(re.findall(r"Since ([\d.]+)\.", header), key=lambda each: [int(part) for part in each.split(".")])
    name, text = header_page(path.name, first[1], since, listed, version)
    links |= {other: page for other, page in LINKS.items() if re.search(rf"#define {other}\b", header)}
    return {name: text, **{other: f".so man3/{page}.3\n" for other, page in links.items()}, **texts}


def main(action, kind, version, examples, outdir, *headers):
    for header in headers:
        for name, text in pages_of(pathlib.Path(header), version, pathlib.Path(examples)).items():
            if text.startswith(".so ") != (kind == "links"):
                continue
            if action == "list":
                print(f"{name}.3")
            else:
                (pathlib.Path(outdir) / f"{name}.3").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 7 or sys.argv[1] not in ("list", "write") or sys.argv[2] not in ("pages", "links"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
