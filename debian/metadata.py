# SPDX-License-Identifier: MIT
"""Writes the METADATA of the Python package that the distribution has installed.

metadata.py PYPROJECT VERSION
"""
import sys
import tomllib


def main(path: str, version: str) -> None:
    with open(path, "rb") as file:
        project = tomllib.load(file)["project"]
    print("Metadata-Version: 2.1")
    print(f"Name: {project['name']}")
    print(f"Version: {version}")
    print(f"Summary: {project['description']}")
    print(f"Home-page: {project['urls']['Homepage']}")
    print(f"Requires-Python: {project['requires-python']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
