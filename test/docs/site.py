#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The HTML site: no page left out, no link that leads nowhere, nothing asked of another host.  Speaks the Test Anything Protocol.

site.py SOURCE VERSION LINKCHECKER [MAN_PAGE...]    LINKCHECKER is the program, or "" where there is none
"""
import html.parser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

# Markdown that is no page: the words of forms, and of packages.
NO_PAGES = re.compile(r"(\.github|debian|subprojects)/")
# What a style sheet or a script asks for by itself.
ASKS = re.compile(r"(?:@import\s+|url\(|import\(|fetch\(|\bsrc\s*=\s*)[\s\"']*((?:https?:)?//[^\s\"')]+)")


def make(source, version, work, *man_pages):
    """Makes the site in work/html; returns what Sphinx has to say, and whether all is well."""
    script = pathlib.Path(__file__).parent.parent.parent / "doc" / "site" / "make.py"
    command = [sys.executable, script, source, version, work / "work", work / "html", "--strict", *man_pages]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run.stdout, run.returncode == 0


def broken_links(linkchecker, site):
    """Links of the site to files that are not there, as (page, link)."""
    run = subprocess.run([linkchecker, "--no-status", "--output=csv", f"file://{site}/index.html"], capture_output=True, text=True)
    rows = [line.split(";") for line in run.stdout.splitlines() if not line.startswith("#")]
    broken = [(row[1].rpartition("/html/")[2], row[0]) for row in rows[1:]]
    if run.returncode not in (0, 1) or bool(broken) != bool(run.returncode):
        raise AssertionError(f"linkchecker: {run.returncode}\n{run.stdout}\n{run.stderr}")
    return broken


class Anchors(html.parser.HTMLParser):
    """The anchors of a page, and the links in it that name one."""

    def __init__(self):
        super().__init__()
        self.names, self.links = set(), []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or tag == "a" and name == "name":
                self.names.add(value)
            if tag == "a" and name == "href" and "#" in value and not re.match(r"\w+:", value):
                self.links.append(value)


def broken_anchors(site):
    """Links of the site to anchors that are not there, as (page, link).  linkchecker has a plugin, which takes 20 times as long."""
    pages = {}
    for path in site.rglob("*.html"):
        pages[path] = Anchors()
        pages[path].feed(path.read_text(encoding="utf-8"))
    broken = []
    for path, page in pages.items():
        for link in page.links:
            file, _, anchor = link.partition("#")
            there = pages.get(pathlib.Path(os.path.normpath(path.parent / file)) if file else path)
            if there and anchor and urllib.parse.unquote(anchor) not in there.names:
                broken.append((str(path.relative_to(site)), link))
    return broken


class Requests(html.parser.HTMLParser):
    """What a page asks of another host without being clicked."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            is_link = tag == "a" or tag == "link" and dict(attrs).get("rel") == "canonical"
            names_a_place = name in ("src", "srcset", "href", "data", "poster", "action") and not is_link
            if names_a_place and re.match(r"(https?:)?//", value or ""):
                self.found.append(value)


def requests_of(site):
    """What the files of a site ask of other hosts, as (file, address)."""
    found = []
    for path in site.rglob("*"):
        if path.suffix in (".html", ".svg"):
            parser = Requests()
            parser.feed(path.read_text(encoding="utf-8"))
            found += [(path.name, address) for address in parser.found]
        if path.suffix in (".html", ".css", ".js", ".svg"):
            found += [(path.name, address) for address in ASKS.findall(path.read_text(encoding="utf-8"))]
    return found


def small(work, change):
    """Makes a site of three pages and a source file, after `change`."""
    source = work / "source"
    (source / "doc").mkdir(parents=True)
    (source / "README.md").write_text("# A\n\n[Lua](doc/lua.md#a-b) [C](a.c) ![](a.svg)\n\n```\n[code](no.md)\n```\n`[](no.md)`\n")
    (source / "doc" / "lua.md").write_text("# Lua\n\n## A `b`\n\n[up](../README.md) [here](#a-b) <https://example.org/>\n")
    (source / "NEWS.md").write_text("# News\n")
    (source / "a.c").write_text("int a;\n")
    (source / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n')
    change(source)
    return make(source, "1", work)


def cases(source, version, linkchecker, man_pages, work):
    said, well = make(source, version, work, *man_pages)
    site = work / "html"

    def test_is_made_without_a_warning():
        tap.equal((said, well), ("", True))

    def test_each_document_is_a_page():
        if not shutil.which("git"):
            raise tap.Skipped("there is no git")
        listed = subprocess.run(["git", "-C", source, "ls-files", "*.md"], capture_output=True, text=True)
        if listed.returncode != 0:
            raise tap.Skipped("this is no checkout")
        names = [name for name in listed.stdout.split() if not NO_PAGES.match(name) and (source / name).exists()]
        pages = [site / ("index.html" if name == "README.md" else name.replace(".md", ".html")) for name in names]
        tap.equal(("README.md" in names, [str(page) for page in pages if not page.exists()]), (True, []))

    def test_each_man_page_is_a_page():
        names = [pathlib.Path(page).name for page in man_pages]
        tap.equal([name for name in names if not (site / "man" / f"{name}.html").exists()], [])

    def test_each_link_leads_somewhere():
        if not linkchecker:
            raise tap.Skipped("there is no linkchecker: script/bootstrap test")
        tap.equal(broken_links(linkchecker, site), [])

    def test_each_anchor_is_there():
        tap.equal(broken_anchors(site), [])

    def test_asks_nothing_of_another_host():
        tap.equal(requests_of(site), [])

    def test_search_needs_no_server():
        page = (site / "search.html").read_text(encoding="utf-8")
        tap.equal(bool(re.search(r'<script[^>]* src="searchindex\.js"', page)), True)
        tap.equal("pthread_atfork" in (site / "searchindex.js").read_text(encoding="utf-8"), True)

    return locals()


def test_takes_a_small_project(work):
    tap.equal(small(work, lambda source: None), ("", True))
    page = (work / "html" / "index.html").read_text(encoding="utf-8")
    tap.equal([link in page for link in ('href="doc/lua.html#a-b"', 'href="source/a.c.html"', "[code](no.md)")], [True] * 3)


def test_notices_a_broken_link_in_markdown(work):
    def change(source):
        (source / "README.md").write_text("# A\n\n[1](doc/no.md) [2](no.c) [3](doc/lua.md#no-one) ![](no.svg)\n[4](#no-two)\n")
        (source / "lonely.md").write_text("# B\n")

    said, well = small(work, change)
    names = ["doc/no.md", "no.c", "no-one", "no.svg", "no-two", "lonely.md"]
    tap.equal(([name for name in names if name not in said], well), ([], False))


def test_notices_a_broken_link_in_html(work, linkchecker):
    if not linkchecker:
        raise tap.Skipped("there is no linkchecker: script/bootstrap test")
    os.chmod(work, 0o755)  # linkchecker becomes another user
    small(work, lambda source: None)
    site, page = work / "html", work / "html" / "index.html"
    tap.equal((broken_links(linkchecker, site), broken_anchors(site)), ([], []))
    page.write_text(page.read_text(encoding="utf-8").replace("doc/lua.html#a-b", "doc/lua.html#b-a").replace("a.c.html", "b.c.html"))
    tap.equal(broken_links(linkchecker, site), [("index.html", "source/b.c.html")])
    tap.equal(broken_anchors(site), [("index.html", "doc/lua.html#b-a")])


def test_notices_a_request(work):
    (work / "a.html").write_text('<a href="https://1.example">1</a><img src="//2.example/a"><link rel="stylesheet" href="https://3.example">')
    (work / "a.css").write_text("@import url(https://4.example/a); @import 'http://5.example'; a { background: url( '//6.example/a' ) }")
    (work / "a.js").write_text('// https://7.example\nfetch("https://8.example")')
    asked = "".join(sorted(re.search(r"\d", address)[0] for address in {address for _, address in requests_of(work)}))
    tap.equal(asked, "234568")


def main(source, version, linkchecker, *man_pages):
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        os.chmod(work, 0o755)  # linkchecker becomes another user
        tests = cases(pathlib.Path(source), version, linkchecker, man_pages, work)
        for test in (test_takes_a_small_project, test_notices_a_broken_link_in_markdown, test_notices_a_request):
            tests[test.__name__] = in_a_folder(test)
        tests["test_notices_a_broken_link_in_html"] = in_a_folder(test_notices_a_broken_link_in_html, linkchecker)
        return tap.run(tests)


def in_a_folder(test, *arguments):
    def run():
        with tempfile.TemporaryDirectory() as name:
            test(pathlib.Path(name), *arguments)

    return run


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
