# SPDX-License-Identifier: MIT
"""python3 -m atfork: shows the version, what is supported, and the place of this process."""
from __future__ import annotations

import importlib.util
import multiprocessing
import platform

import atfork


def main() -> None:
    rows = {
        "atfork": atfork.version(),
        "Python": platform.python_version(),
        "start methods": ", ".join(multiprocessing.get_all_start_methods()),
        "forks by C code": "noticed, by a pending call",
        "Dask": "yes" if importlib.util.find_spec("distributed") else "no",
        "generation": atfork.generation(),
        "lineage": atfork.lineage(),
        "hooks": len(atfork.hooks()),
    }
    for name, value in rows.items():
        print(f"{name:16}{value}")


if __name__ == "__main__":
    main()
