#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the HTML site by Sphinx, in the folder OUT.

make.py SOURCE VERSION WORK OUT [--strict] [MAN_PAGE...]    SOURCE is the project's root; WORK keeps what makes the next run quick

Writes OUT.d, which tells Ninja on which files the site depends.  With --strict a warning is an error, and so is a
link that leads nowhere.
"""
import os
import pathlib
import shutil
import subprocess
import sys

import collect


def run_sphinx(version, stage, trees, out, strict):
    options = ["-W", "--keep-going"] if strict else []
    here = pathlib.Path(__file__).resolve().parent
    names = ["-D", f"version={version}", "-D", f"release={version}", "-D", f"html_title=libatfork {version}"]
    return subprocess.call([sys.executable, "-m", "sphinx", "-q", "-b", "html", *options, *names, "-c", here, "-d", trees, stage, out])


def forget_old_pages(site, stage, out, trees):
    """Sphinx leaves the pages of documents that are gone."""
    if {path.relative_to(stage) for path in stage.rglob("*") if path.is_file()} - set(site.files):
        for folder in (out, trees):
            shutil.rmtree(folder, ignore_errors=True)


def write_dependencies(site, out):
    paths = [str(path).replace(" ", "\\ ") for path in sorted(site.read)]
    pathlib.Path(f"{out}.d").write_text(f"{out}: {' '.join(paths)}\n")


def main(source, version, work, out, *arguments):
    site = collect.Site.of(source, [argument for argument in arguments if argument != "--strict"])
    stage, trees = pathlib.Path(work, "stage"), pathlib.Path(work, "trees")
    forget_old_pages(site, stage, out, trees)
    site.write(stage)
    for fault in site.faults:
        print(fault, file=sys.stderr)
    strict = "--strict" in arguments
    failed = run_sphinx(version, stage, trees, out, strict)
    shutil.rmtree(pathlib.Path(out, "_sources"), ignore_errors=True)  # Sphinx 9 makes it, and leaves it empty
    write_dependencies(site, out)
    os.utime(out)
    return 1 if failed or strict and site.faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
