#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a forge runs and shows, in .github: it parses, and what it calls exists.  Speaks the Test Anything Protocol.

check.py SOURCE
"""
import itertools
import os
import pathlib
import re
import subprocess
import sys

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

SOURCE = pathlib.Path(sys.argv[1])
EXPRESSION = re.compile(r"\$\{\{ *([\w.]+) *\}\}")
ELEMENTS = {"markdown": "value", "input": "label", "textarea": "label", "dropdown": "label", "checkboxes": "label"}


class Loader(yaml.SafeLoader):
    """YAML lets a key stand twice, and the last one wins without a word."""


def unique_mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    doubled = {key for key in keys if keys.count(key) > 1}
    if doubled:
        raise AssertionError(f"{node.start_mark}: {doubled} stand twice")
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, unique_mapping)


def load(pattern):
    """Each file's name and content; there is one at least."""
    found = {path.name: yaml.load(path.read_text(encoding="utf-8"), Loader) for path in sorted(SOURCE.glob(pattern))}
    assert found, f"no {pattern}"
    return found


WORKFLOWS = load(".github/workflows/*.yml")
JOBS = [(f"{file}, {name}", job) for file, workflow in WORKFLOWS.items() for name, job in workflow["jobs"].items()]


def combinations(job):
    """What the matrix of a job makes it run with, as a forge combines it: `include` adds to them."""
    matrix = dict(job.get("strategy", {}).get("matrix", {}))
    more = matrix.pop("include", [])
    rows = [dict(zip(matrix, values)) for values in itertools.product(*matrix.values())]
    return rows + [row for row in more if row not in rows]


def filled_in(text, row):
    def value(found):
        name = found.group(1)
        return str(row[name[len("matrix.") :]]) if name.startswith("matrix.") else "x"

    return EXPRESSION.sub(value, text)


def commands():
    """(job, text) of all that a shell is given."""
    for name, job in JOBS:
        for row in combinations(job):
            for step in job["steps"]:
                if "run" in step:
                    yield name, filled_in(step["run"], row)


# ---- Workflows ----


def test_workflows_have_few_rights():
    for name, workflow in WORKFLOWS.items():
        tap.equal((name, workflow["permissions"]), (name, {"contents": "read"}))
        # YAML 1.1 takes the word for a truth value.
        assert workflow.get("on", workflow.get(True)), f"{name} never runs"


def test_jobs_end():
    for name, job in JOBS:
        assert 0 < job["timeout-minutes"] <= 90, name
        assert job["runs-on"], name


def test_steps_run_or_use_something():
    for name, job in JOBS:
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), f"{name}: {step}"
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1")), f"{name}: {step}"


def test_expressions_have_values():
    known = re.compile(r"matrix\.\w+|github\.(workflow|ref)|hashFiles\('([^']+)'\)")
    for file in WORKFLOWS:
        text = (SOURCE / ".github" / "workflows" / file).read_text(encoding="utf-8")
        for expression in re.findall(r"\$\{\{ *(.*?) *\}\}", text):
            found = known.fullmatch(expression)
            assert found, expression
            assert not found.group(2) or (SOURCE / found.group(2)).exists(), expression


def test_shells_understand_the_commands():
    for name, text in commands():
        run = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
        tap.equal((name, text, run.stderr), (name, text, ""))


def test_scripts_that_are_called_exist():
    called = {word for _, text in commands() for word in re.findall(r"(?:^|[\s'\"])((?:script|test|\.ci)/[\w./-]+)", text)}
    assert called
    tap.equal([word for word in sorted(called) if not os.access(SOURCE / word, os.X_OK)], [])


def test_every_build_is_made():
    known = re.search(r"^all='(.*)'$", (SOURCE / "script/test").read_text(encoding="utf-8"), re.MULTILINE).group(1)
    made = {word for _, text in commands() for words in re.findall(r"script/test (.+)", text) for word in words.split()}
    tap.equal(sorted(made), sorted(known.split()))


def test_suites_are_those_of_clean_roots():
    usage = (SOURCE / "script/clean-root").read_text(encoding="utf-8")
    known = set(re.search(r"--suite   (.*)$", usage, re.MULTILINE).group(1).replace(" (the default)", "").split(", "))
    for name, job in JOBS:
        image = re.fullmatch(r"debian:(.*)", job["container"]["image"]).group(1)
        suites = {filled_in(image, row) for row in combinations(job)} | {row["suite"] for row in combinations(job)}
        tap.equal((name, suites - known), (name, set()))


# ---- Forms ----


def test_forms_ask_for_what_can_be_asked():
    forms = load(".github/ISSUE_TEMPLATE/*.yml")
    config = forms.pop("config.yml")
    assert all(set(link) == {"name", "url", "about"} for link in config["contact_links"])
    for name, form in forms.items():
        assert form["name"] and form["description"], name
        fields = [element for element in form["body"] if element["type"] != "markdown"]
        tap.equal((name, len({field["id"] for field in fields})), (name, len(fields)))
        for element in form["body"]:
            assert element["attributes"][ELEMENTS[element["type"]]], f"{name}: {element}"


def test_the_bug_form_asks_for_a_program():
    body = load(".github/ISSUE_TEMPLATE/*.yml")["bug.yml"]["body"]
    required = {field.get("id") for field in body if field.get("validations", {}).get("required")}
    assert {"version", "system", "program"} <= required, required


def test_templates_name_scripts_that_exist():
    text = (SOURCE / ".github/PULL_REQUEST_TEMPLATE.md").read_text(encoding="utf-8")
    for word in re.findall(r"`(\S+/\S+|\S+\.md)", text):
        assert (SOURCE / word).exists(), word


sys.exit(tap.run(globals()))
