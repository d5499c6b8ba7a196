# SPDX-License-Identifier: MIT
"""Sphinx's configuration.  No page asks for anything from another host."""
import pathlib
import re

from docutils import nodes
from pygments.lexers.configs import NginxConfLexer
from pygments.lexers.special import TextLexer
from pygments.token import Error, Text

project = "libatfork"
extensions = ["myst_parser"]

# Headings have the anchors that a forge gives them.
myst_heading_anchors = 4
myst_enable_extensions = ["html_image"]
highlight_language = "none"
smartquotes = False

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False
# Debian 12's Furo has these for the reader who asks for dark pages by the button, not for one whose system asks for them.
html_theme_options = {
    "dark_css_variables": {
        "color-problematic": "#ee5151",
        "color-foreground-primary": "#d0d3d8",
        "color-foreground-secondary": "#9ca0a5",
        "color-foreground-muted": "#81868d",
        "color-foreground-border": "#666666",
        "color-background-primary": "#131416",
        "color-background-secondary": "#1a1c1e",
        "color-background-hover": "#1e2124ff",
        "color-background-hover--transparent": "#1e212400",
        "color-background-border": "#303335",
        "color-background-item": "#444444",
        "color-brand-primary": "#4f9ff0",
        "color-brand-content": "#5ca5ee",
        "color-highlighted-background": "#083563",
        "color-highlight-on-target": "#333300",
        "color-admonition-background": "#18181a",
        "color-card-border": "#1a1c1e",
        "color-card-background": "#18181a",
        "color-card-marginals-background": "#1e2124ff",
    }
}


class NginxWithLua(NginxConfLexer):
    """Lua in nginx's configuration is no error."""

    def get_tokens_unprocessed(self, *arguments, **options):
        for index, token, text in super().get_tokens_unprocessed(*arguments, **options):
            yield index, Text if token is Error else token, text


def link_functions(app, doctree, docname):
    """Has `atfork_register()` and `atfork-tree(1)` lead to their man pages."""
    for literal in list(doctree.findall(nodes.literal)):
        match = re.fullmatch(r"(atfork[\w-]*)\((?:(\d)\)|.*\))", literal.astext(), re.DOTALL)
        page = f"man/{match[1]}.{match[2] or 3}" if match else ""
        inside = isinstance(literal.parent, (nodes.reference, nodes.title))
        if page in app.env.all_docs and page != docname and not inside:
            link = nodes.reference("", "", internal=True, refuri=app.builder.get_relative_uri(docname, page))
            literal.replace_self(link)
            link += literal


def take_style_sheets(app, _):
    """Debian's Furo imports a style sheet from Debian's web server: takes its text instead."""
    sheet = pathlib.Path(app.outdir, "_static", "styles", "furo.css")
    if sheet.exists():
        text = sheet.read_text(encoding="utf-8")
        taken = re.sub(r"@import url\((/javascript/[^)]*)\);", lambda match: pathlib.Path(f"/usr/share{match[1]}").read_text(), text)
        sheet.write_text(taken, encoding="utf-8")


def setup(app):
    for name in ("bpftrace", "gdb", "haproxy", "txt"):
        app.add_lexer(name, TextLexer)
    app.add_lexer("nginx", NginxWithLua)
    app.connect("doctree-resolved", link_functions)
    app.connect("build-finished", take_style_sheets)
