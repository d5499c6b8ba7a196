# SPDX-License-Identifier: MIT
"""Collects the project's Markdown and man pages for Sphinx, which makes the HTML site of them.

The Markdown is written for a forge.  Only its links change: README.md is the site's index, and a source file that a page links to
is a page of the site.
"""
import html
import os
import pathlib
import re
import subprocess

# The order of the navigation: its headings, and the pages below each.  A pattern stands for all pages not named before it.  What
# is not there is left out; a page that no entry names is a warning of Sphinx's.
NAVIGATION = {
    "Guides": [
        "doc/guide/README",
        "doc/guide/ten-minutes",
        "doc/guide/from-pthread-atfork",
        "doc/guide/library",
        "doc/packages",
        "doc/guide/server",
        "doc/guide/random",
        "doc/guide/how-to-break-it",
        "doc/guide/troubleshooting",
        "doc/guide/faq",
        "doc/guide/*",
    ],
    "Reference": ["man/index", "doc/lua", "doc/ruby", "doc/python", "doc/tools", "doc/streams"],
    "Inside": ["doc/design", "doc/memory-orders", "doc/model/README", "doc/abi", "doc/benchmarks", "doc/soak"],
    "Project": ["NEWS", "CONTRIBUTING", "doc/testing", "SECURITY", "test/README", "test/scenarios", "test/peers"],
}
# Folders whose Markdown is not the project's.
FOREIGN = re.compile(r"(\.\w+|build.*|subprojects|debian|_\w+)")
LANGUAGES = {".h": "c", ".sh": "sh", ".py": "python", ".rb": "ruby", ".i": "c"}
PICTURES = {".svg", ".png"}
# Code, which has no links, and then a link's target: inline, of a definition, or in HTML.
LINK = re.compile(
    r"(?P<code>^(?P<fence>`{3,}).*?^(?P=fence)`*$|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<before>\]\(|^\[[^]\n]+\]:[ ]+|\b(?:href|src|srcset)=\")(?P<target>[^)\s\"]+)",
    re.MULTILINE | re.DOTALL,
)
SECTION = re.compile(r'<section class="Sh">\s*<h[12] class="Sh"[^>]*>(.*?)</h[12]>(.*?)(?=<section class="Sh">|\Z)', re.DOTALL)


def page_of(path):
    """Where in the stage the page of a file of the project lies."""
    if path == pathlib.Path("README.md"):
        return pathlib.Path("index.md")
    return path if path.suffix == ".md" else pathlib.Path("source", f"{path}.md")


def is_build(folder, name):
    """Meson builds anywhere: packagers let it build in a folder that is named for the architecture."""
    return pathlib.Path(folder, name, "meson-private").is_dir()


class Site:
    """The files of the stage, by path, as bytes."""

    def __init__(self, source):
        self.source = source
        self.files = {}  # what is to lie in the stage
        self.read = set()  # what it is made of
        self.faults = []  # links that lead nowhere

    @classmethod
    def of(cls, source, man_pages):
        """All of the project in the folder `source`."""
        site = cls(pathlib.Path(source))
        for path in site.markdown():
            site.add_markdown(path)
        if man_pages:
            site.add_source(pathlib.Path("lib/atfork.h"))
            site.add_man_pages([pathlib.Path(path) for path in man_pages])
        site.add_navigation()
        return site

    def markdown(self):
        """The project's Markdown files, relative to its root.  A folder changes when a file is added to it."""
        found = []
        for folder, folders, names in os.walk(self.source):
            folders[:] = sorted(name for name in folders if not FOREIGN.fullmatch(name) and not is_build(folder, name))
            pages = [pathlib.Path(folder, name).relative_to(self.source) for name in sorted(names) if name.endswith(".md")]
            self.read |= {pathlib.Path(folder)} if pages else set()
            found += pages
        return found

    def bytes_of(self, path):
        self.read.add(self.source / path)
        return (self.source / path).read_bytes()

    def add(self, path, text):
        self.files[pathlib.Path(path)] = text.encode()

    def add_markdown(self, path):
        text = self.bytes_of(path).decode()
        self.add(page_of(path), LINK.sub(lambda match: self.relinked(path, match), text))

    def relinked(self, path, match):
        target = match["target"]
        if match["code"] or re.match(r"\w+:|#", target):
            return match[0]
        file, hash_, anchor = target.partition("#")
        there = pathlib.Path(os.path.normpath(path.parent / file))
        if not (self.source / there).exists():
            self.faults.append(f"{path}: there is no {target}")
            return match[0]
        if there.suffix in PICTURES:
            self.files[there] = self.bytes_of(there)
            return match[0]
        if there.suffix != ".md":
            self.add_source(there)
        page = page_of(there)
        if match["before"].startswith("href"):  # HTML, which Sphinx leaves as it is
            page = page.with_suffix(".html")
        return match["before"] + os.path.relpath(page, page_of(path).parent) + hash_ + anchor

    def add_source(self, path):
        """A page of a source file, or of what is in a folder."""
        file = self.source / path
        if file.is_dir():
            text = "\n".join(sorted(child.name + "/" * child.is_dir() for child in file.iterdir()))
        else:
            text = self.bytes_of(path).decode().rstrip("\n")
        fence = "`" * (3 + max([0, *map(len, re.findall(r"`{3,}", text))]))
        language = LANGUAGES.get(path.suffix, path.suffix[1:])
        head = "---\norphan: true\nnosearch: true\n---\n"
        self.add(page_of(path), f"{head}# `{path}`\n\n{fence}{language}\n{text}\n{fence}\n")

    def add_man_pages(self, paths):
        names = {path.name for path in paths}
        rows = []
        for path in sorted(paths, key=lambda path: (path.suffix, path.name)):
            page, says = man_page(path, names)
            self.add(f"man/{path.name}.md", page)
            rows.append(f"- [{path.stem}({path.suffix[1:]})]({path.name}.md): {says}")
        self.add("man/index.md", MAN_INDEX.format(rows="\n".join(rows)) + toctree("", sorted(names)))

    def add_navigation(self):
        index = self.files[pathlib.Path("index.md")].decode()
        left = {path.with_suffix("") for path in self.files}
        for heading, entries in NAVIGATION.items():
            there = []
            for entry in entries:
                matching = sorted(page for page in left if page.match(entry))
                left.difference_update(matching)
                there += map(str, matching)
            index += toctree(heading, there)
        self.add("index.md", index)

    def write(self, stage):
        for path in stage.rglob("*"):
            if path.is_file() and path.relative_to(stage) not in self.files:
                path.unlink()
        for path, content in self.files.items():
            file = stage / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists() or file.read_bytes() != content:
                file.write_bytes(content)


MAN_INDEX = """# C: man pages

`#include <atfork.h>`; the header [`lib/atfork.h`](../source/lib/atfork.h.md) has the same text as the pages of section 3.

{rows}
"""


def toctree(caption, entries):
    lines = ["", "```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), "", *entries, "```", ""]
    return "\n".join(lines)


def man_page(path, names):
    """The page of a man page, and what its NAME section says of it."""
    fragment = subprocess.check_output(["mandoc", "-Thtml", "-Ofragment", path], text=True)
    fragment = fragment.replace("<br/>\n", "")  # mandoc's, where lines are kept as they are
    sections = SECTION.findall(fragment)
    if not sections:
        raise ValueError(f"{path}: mandoc gives no sections")
    parts = [f"# {path.stem}({path.suffix[1:]})\n"]
    for title, body in sections:
        body = linked(body.replace("</section>\n</div>", "").rsplit("</section>", 1)[0], names)
        heading = " ".join(html.unescape(re.sub(r"<[^>]*>", "", title)).split()).capitalize()
        parts.append(f"## {heading}\n\n```{{raw}} html\n<div class=\"manual\">\n{body.strip()}\n</div>\n```\n")
    says = html.unescape(re.sub(r"<[^>]*>", "", sections[0][1]))
    return "\n".join(parts), " ".join(re.split(r"\s[-\u2013\u2014\u2212]\s", says, maxsplit=1)[-1].split())


def linked(body, names):
    """With a link wherever a page of ours is named, as in atfork(3)."""

    def link(match):
        name = f"{match[1]}.{match[2]}"
        return f'<a href="{name}.html">{match[0]}</a>' if name in names else match[0]

    return re.sub(r"<[bi]>([\w-]+)</[bi]>\((\d)\)", link, body)
