#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Completion in real shells, and the man pages.  Speaks the Test Anything Protocol.

completions.py ATFORK COMPLETIONS [PAGE...]     COMPLETIONS is the folder of atfork.bash and _atfork
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import tap  # noqa: E402

ATFORK, COMPLETIONS = map(os.path.abspath, sys.argv[1:3])
PAGES = [pathlib.Path(path) for path in sys.argv[3:]]
UTF8 = {"LC_ALL": "C.UTF-8"}


def told(*arguments):
    return subprocess.run([ATFORK, *arguments, "--help"], stdout=subprocess.PIPE, universal_newlines=True, encoding="utf-8",
                          env={**os.environ, **UTF8}, check=True).stdout


COMMANDS = re.findall(r"^  atfork (\w+)", told(), re.MULTILINE)[:-1]
OPTIONS = {name: re.findall(r"^  (?:-\w, )?(--[\w-]+=?)", told(name), re.MULTILINE) for name in COMMANDS}


def test_help_tells_all_commands():
    assert {"tree", "doctor", "explore", "run"} <= set(COMMANDS), COMMANDS
    assert {"--help", "--json=", "--all"} <= set(OPTIONS["tree"]), OPTIONS


# ---- bash ----

# As readline calls it; the words of the line are those after the marker.
ASK = r"""
[ -z "$LOADER" ] || . "$LOADER"
. "$FILE"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
compopt() { :; }
specification=$(complete -p atfork) || exit 1
function=${specification#*-F }; function=${function%% *}
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""
LOADERS = [""] + [path for path in ["/usr/share/bash-completion/bash_completion"] if os.path.exists(path)]


def bash(*words, loader=""):
    environment = {**os.environ, **UTF8, "FILE": f"{COMPLETIONS}/atfork.bash", "LOADER": loader}
    ran = subprocess.run(["bash", "--norc", "-c", ASK, "bash", ATFORK, *words], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, universal_newlines=True, env=environment,
                         timeout=tap.PATIENCE, check=False)
    tap.equal((ran.returncode, ran.stderr), (0, ""))
    return sorted(ran.stdout.split())


def test_bash_completes_commands():
    tap.equal(bash(""), sorted([*COMMANDS, "--help", "--version"]))
    tap.equal(bash("tr"), ["tree"])


def test_bash_completes_options():
    for name in COMMANDS:
        tap.equal(bash(name, "-"), sorted([*OPTIONS[name], "--"]))
    tap.equal(bash("tree", "--ht"), ["--html="])


def test_bash_completes_values():
    tap.equal(bash("doctor", "--fail-on", "=", ""), ["error", "never", "note", "warning"])
    tap.equal(bash("doctor", "--fail-on", "w"), ["warning"])
    with tempfile.TemporaryDirectory() as work:
        (pathlib.Path(work) / "page.html").touch()
        tap.equal(bash("tree", "--html", "=", work + "/p"), [work + "/page.html"])
        tap.equal(bash("tree", "-o", work + "/p"), [work + "/page.html"])


def test_bash_knows_which_options_take_a_word():
    for words in (["explore", "--seed", "5"], ["explore", "--sarif"], ["tree", "-o", "x"], ["tree", "-a"], ["doctor", "--json"]):
        assert "true" in bash(*words, "tru"), words
    assert "true" not in bash("tree", "--json", "tru")


def test_bash_completes_the_program_and_its_arguments():
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work) / "a-program"
        path.touch(0o755)
        for loader in LOADERS:
            assert "true" in bash("tree", "--html", "=", "x", "--", "tru", loader=loader)
            tap.equal(bash("tree", "--", "ls", work + "/a", loader=loader), [str(path)])
            # The option is the program's.
            tap.equal([word for word in bash("tree", "--", "ls", "--ht", loader=loader) if word == "--html="], [])


def test_each_value_that_is_offered_is_taken():
    for value in bash("doctor", "--fail-on", ""):
        ran = subprocess.run([ATFORK, "doctor", "--fail-on", value, "-o", "/dev/null", "--", "true"],
                             timeout=tap.PATIENCE,
                             check=False)
        tap.equal((value, ran.returncode), (value, 0))


# ---- zsh ----

# A shell of its own in a terminal: only there does it complete.
SETUP = r"""
PS1='> '; unsetopt zle_bracketed_paste prompt_cr prompt_sp; fpath=($COMPLETIONS $fpath)
autoload -U compinit; compinit -u -D
zstyle ':completion:*' list-prompt ''; zstyle ':completion:*' menu no; LISTMAX=10000
bindkey '^I' complete-word
show() { print -r -- "<<$BUFFER>>" >$SAID }; zle -N show; bindkey '^X' show
zle-line-init() { print -r -- ready >$SAID }; zle -N zle-line-init
"""


def zsh(line):
    """What the line becomes, completed."""
    with tempfile.TemporaryDirectory() as work:
        said = pathlib.Path(work) / "said"
        (pathlib.Path(work) / ".zshrc").write_text(SETUP)
        os.mkfifo(said)
        pid, terminal = pty.fork()
        if pid == 0:
            path = f"{os.path.dirname(ATFORK)}:{os.environ['PATH']}"
            environment = {**UTF8, "PATH": path, "ZDOTDIR": work, "COMPLETIONS": COMPLETIONS, "SAID": str(said), "TERM": "xterm"}
            os.execvpe("zsh", ["zsh", "-i", "-d"], environment)
        try:
            tap.equal(listen(said, terminal), "ready")
            os.write(terminal, line.encode() + b"\t\x18")
            return re.fullmatch("<<(.*)>>", listen(said, terminal))[1]
        finally:
            os.close(terminal)
            os.waitpid(pid, 0)


def listen(fifo, terminal):
    """A line from the fifo, while what the shell shows is taken away."""
    heard, reader = b"", os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while not heard.endswith(b"\n"):
            ready = select.select([reader, terminal], [], [], tap.PATIENCE)[0]
            assert ready, f"zsh says nothing after {heard}"
            if terminal in ready:
                os.read(terminal, 65536)
            if reader in ready:
                try:
                    heard += os.read(reader, 65536)
                except BlockingIOError:  # it was ready by the end of one writer, and now there is the next
                    pass
        return heard.decode().strip()
    finally:
        os.close(reader)


def test_zsh_completes_commands_options_and_programs():
    if not shutil.which("zsh"):
        raise tap.Skipped("no zsh")
    tap.equal(zsh("atfork tr"), "atfork tree ")
    tap.equal(zsh("atfork tree --ht"), "atfork tree --html=")
    tap.equal(zsh("atfork doctor --fail-on=w"), "atfork doctor --fail-on=warning ")
    tap.equal(zsh("atfork doctor --sarif -- mkfif"), "atfork doctor --sarif -- mkfifo ")
    tap.equal(zsh("atfork tree --all -- atfork doctor --sar"), "atfork tree --all -- atfork doctor --sarif ")
    with tempfile.TemporaryDirectory() as work:
        (pathlib.Path(work) / "only-file").touch()
        tap.equal(zsh(f"atfork tree --all -- cat {work}/o"), f"atfork tree --all -- cat {work}/only-file ")


# ---- Man pages ----

def test_each_command_has_a_page_with_its_options():
    if not PAGES:
        raise tap.Skipped("the man pages are not built")
    texts = {path.name: path.read_text() for path in PAGES}
    tap.equal(sorted(texts), sorted(["atfork.1", *(f"atfork-{name}.1" for name in COMMANDS)]))
    for name in COMMANDS:
        assert f"atfork\\-{name} (1)" in texts["atfork.1"], name
        for option in OPTIONS[name]:
            assert option.rstrip("=").replace("-", "\\-") in texts[f"atfork-{name}.1"], (name, option)


def test_groff_has_nothing_to_say_of_the_pages():
    if not PAGES or not shutil.which("groff"):
        raise tap.Skipped("no groff, or the man pages are not built")
    ran = subprocess.run(["groff", "-man", "-ww", "-z", *map(str, PAGES)], stderr=subprocess.PIPE, check=False)
    tap.equal((ran.returncode, ran.stderr), (0, b""))


if __name__ == "__main__":
    sys.exit(tap.run(globals()))
