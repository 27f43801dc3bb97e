"""Which shared libraries programs need, read from their ELF headers, of whatever architecture they are."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

NEEDED = re.compile(r"^File: (?P<file>.*)$|\(NEEDED\).*\[(?P<name>[^]]+)\]$", re.MULTILINE)


def needed(files: Iterable[Path]) -> dict[Path, list[str]]:
    """The names of the libraries that each file asks for."""
    files = list(files)
    # With one file, readelf does not print its name.
    command = ["readelf", "--wide", "--dynamic", *map(str, files), "/dev/null"]
    printed = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    found: dict[Path, list[str]] = {file: [] for file in files}
    file = None
    for match in NEEDED.finditer(printed):
        if match["file"] is not None:
            file = found.get(Path(match["file"]))
        elif file is not None:
            file.append(match["name"])
    return found


def closure(files: Iterable[Path], folder: Path) -> tuple[set[Path], dict[Path, str]]:
    """The libraries in folder that files and these libraries need, and what is missing there, by who needs it.

    What a Python wheel brings beside its modules (NAME.libs) is not looked for: it finds that itself.
    """
    there = {path.name: path for path in folder.iterdir() if ".so" in path.name}
    libraries: set[Path] = set()
    missing: dict[Path, str] = {}
    asking = set(files)
    while asking:
        names = [(file, name) for file, wanted in needed(sorted(asking)).items() for name in wanted]
        missing |= {file: name for file, name in names if name not in there}
        asking = {there[name] for _, name in names if name in there} - libraries
        libraries |= asking
    return libraries, missing
