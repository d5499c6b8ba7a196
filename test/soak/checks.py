# SPDX-License-Identifier: MIT
"""What each answer must say of the process that gives it, and of all processes together."""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Tuple

C_ORDER, SCRIPT_ORDER = "abc", "12"


class Identity(NamedTuple):
    """Names a process for good."""

    pid: int
    birth: int


def compare(ran: str, due: str) -> List[str]:
    """Which hooks ran, by their letters, against those that were due."""
    found = [f"missed: hook {letter}, of {due}, did not run: {ran!r}" for letter in due if letter not in ran]
    found += [f"doubled: hook {letter} ran again: {ran!r}" for letter in due if ran.count(letter) > 1]
    if not found and ran != due:
        found.append(f"error: the hooks ran in the order {ran!r}")
    return found


class Server:
    """What the processes of one server have said."""

    def __init__(self, every: "Everything") -> None:
        self.every = every
        self.hooks = 0  # how many there are: known from the first answer
        self.processes: Dict[Identity, str] = {}
        self.lineages: Dict[Tuple[str, str], Identity] = {}

    def check(self, answer: Dict[str, Any]) -> List[str]:
        """What is wrong with an answer: each begins with missed, doubled, or error."""
        found = self.check_process(answer)
        if answer.get("wrong"):
            found.append(answer["wrong"])
        if "child" in answer:
            found += self.check_child(answer, answer["child"])
        return found

    def check_child(self, answer: Dict[str, Any], child: Dict[str, Any]) -> List[str]:
        """A child that a worker made in a request."""
        found = self.check_process(child)
        if child["c"]["ppid"] != answer["pid"] or child["c"]["parent"] != answer["lineage"]:
            found.append("error: the child is another's")
        return [f"{text} (in a child of a request)" for text in found]

    def check_process(self, answer: Dict[str, Any]) -> List[str]:
        c = answer["c"]
        identity = Identity(c["pid"], c["birth"])
        found = compare(c["order"], C_ORDER) + compare(answer["order"], SCRIPT_ORDER)
        wrong = {
            "two answers of one process differ in its lineage": self.processes.setdefault(identity, c["lineage"])
            != c["lineage"],
            "two processes have one lineage": self.lineages.setdefault((c["run"], c["lineage"]), identity) != identity,
            "the lineage is not of its parent's": c["lineage"].rpartition(".")[0] != c["parent"],
            "the generation is not the depth of the lineage": c["generation"] != c["lineage"].count("."),
            "C and the script disagree": [answer[key] for key in ("pid", "lineage", "generation")]
            != [c[key] for key in ("pid", "lineage", "generation")],
            "prepare has had no parent or child": c["balance"] != 0,
            "a value of another process": answer["connection"] != [answer["pid"], 1],
            "hooks were left behind, or went": self.changed(c["hooks"]),
        }
        found += [f"error: {text}" for text, is_so in wrong.items() if is_so]
        return found + self.every.check(identity, c["seed"], c["random"], answer["random"])

    def changed(self, hooks: int) -> bool:
        self.hooks = self.hooks or hooks
        return hooks != self.hooks


class Everything:
    """Of all servers' processes no two draw the same."""

    def __init__(self) -> None:
        self.drawn: Dict[Tuple[str, str], Identity] = {}

    def check(self, identity: Identity, seed: str, random: str, script: str) -> List[str]:
        found = []
        for what, value in (("seed", seed), ("random number", random), ("random number of the script", script)):
            if self.drawn.setdefault((what, value), identity) != identity:
                found.append(f"error: two processes have one {what}")
        return found
