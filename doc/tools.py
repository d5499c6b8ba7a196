#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the commands that tools.md is about, and draws what they write in a terminal.

tools.py ATFORK SERVER FOLDER     SERVER is made of tools/server.c; the pictures go into FOLDER
"""
import fcntl
import html
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios

COLUMNS, ROWS = 110, 40
COLOURS = {"1": 'font-weight="bold"', "2": 'fill="#8a939c"', "31": 'fill="#c8322b"', "32": 'fill="#2c8a58"', "36": 'fill="#1a7f93"'}


class Commands:
    def __init__(self, atfork, server, work):
        self.folder = os.path.dirname(os.path.abspath(server))
        path = f"{os.path.dirname(os.path.abspath(atfork))}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        self.work = pathlib.Path(work)
        (self.work / "server").symlink_to(os.path.abspath(server))

    def installed(self, text):
        """The text as it is where server and library are installed."""
        text = text.replace(self.folder, "/srv")
        return re.sub(r"/[\w./+-]*/libatfork\.so\.[\d.]+", "/usr/local/lib/libatfork.so.0", text)

    def in_terminal(self, command):
        """What is left on the screen, as lines with codes for colours."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.work)
            sys.stdin.read(1)  # until the terminal has its size
            os.execvpe("sh", ["sh", "-c", f"stty -echo; exec {command}"], self.environment)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.write(terminal, b"\n")
        written = b""
        while True:
            try:
                written += os.read(terminal, 65536)
            except OSError:  # all have closed it
                break
        os.waitpid(pid, 0)
        text = self.installed(written.decode())
        # After the tree that has grown at the foot comes the whole.
        return text.rsplit("\0338", 1)[-1].replace("\r", "").strip("\n").split("\n")

    def page(self, command):
        path = self.work / "tree.html"
        subprocess.run(f"{command} --html tree.html -- ./server", shell=True, cwd=self.work, env=self.environment, check=True)
        return self.installed(path.read_text(encoding="utf-8"))


# ---- Pictures ----

def spans(line):
    """A line with codes for colours, as SVG."""
    out, style = "", ""
    for code, text in re.findall("(?:\033\\[([0-9]*)m)?([^\033]*)", line):
        style = COLOURS.get(code, "") if code else style
        if text:
            escaped = html.escape(text, quote=False)
            out += f"<tspan {style}>{escaped}</tspan>" if style else escaped
    return out


def wrap(line):
    """Lines that fit; what goes on is set in."""
    lines, visible, at = [], 0, 0
    while at < len(line):
        code = re.compile("\033\\[[0-9]*m").match(line, at)
        if code:
            at = code.end()
            continue
        visible += 1
        if visible > COLUMNS and line[at] == " ":
            lines.append(line[:at])
            line, at, visible = "        " + line[at:].lstrip(), 0, 0
            continue
        at += 1
    return [*lines, line]


def draw(screens):
    """Commands with what each has written, one below the other."""
    lines = []
    for command, written in screens:
        lines += [f"\033[1m$ {command}\033[0m", *(short for line in written for short in wrap(line)), ""]
    lines.pop()
    height, width = len(lines) * 18 + 26, int((COLUMNS + 12) * 7.83) + 30
    rows = [f'<text x="15" y="{28 + number * 18}" xml:space="preserve">{spans(line)}</text>' for number, line in enumerate(lines) if line]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="monospace" font-size="13" fill="#1b1f24">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" rx="8" fill="#f5f7f9"/>', *rows, "</svg>"]) + "\n"


def timeline(page):
    """The page's own, which takes its colours along."""
    style = re.search(r"<style>.*?</style>", page, re.DOTALL)[0]
    picture = re.search(r"<svg.*?</svg>", page, re.DOTALL)[0]
    picture = re.sub(r"</?a\b[^>]*>", "", picture)
    head, rest = picture.split("\n", 1)
    return f'{head}\n{style}\n<rect width="100%" height="100%" style="fill:var(--back)"/>\n{rest}\n'


def pictures(atfork, server):
    """Text of each, by name."""
    with tempfile.TemporaryDirectory() as work:
        commands = Commands(atfork, server, work)
        (commands.work / "priorities.txt").write_text("server -10\n")

        def screen(command):
            return command, commands.in_terminal(command)

        return {
            "tools-tree.svg": draw([screen("atfork tree -- ./server")]),
            "tools-timeline.svg": timeline(commands.page("atfork tree")),
            "tools-doctor.svg": draw([screen("atfork doctor -- ./server --broken")]),
            "tools-explore.svg": draw([screen("atfork explore --probe=work -- ./server")]),
            "tools-run.svg": draw([
                screen("./server --hooks"),
                screen("atfork run --adopt --priorities priorities.txt -- ./server --hooks"),
            ]),
        }


def main(atfork, server, folder):
    for name, text in pictures(atfork, server).items():
        (pathlib.Path(folder) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
