"""The zone files of a directory and the directories below it: which zone each of them holds, by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastdns.dns.names import wire_name
from fastdns.plugins.auto.config import Directory
from fastdns.regex import Regex

# Files of one directory that are looked at; what is behind them is left out, and said.
MAX_FILES = 100_000
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))?", re.ASCII)


@dataclass(slots=True)
class Found:
    """zones: by name in wire form, (name, file). problems: what is passed over, and why."""

    zones: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def scan(directory: Directory) -> Found | None:
    """Look through a directory; None where there is none that can be read."""
    found = Found()
    pattern = Regex(directory.pattern)
    # As CoreDNS does: the directory itself may be a symbolic link.
    top = Path(directory.path).resolve()
    try:
        with os.scandir(top):
            pass
    except OSError:
        return None
    for number, path in enumerate(files_below(top, found)):
        if number == MAX_FILES:
            found.problems.append(f"{directory.path} has more than {MAX_FILES} files; the others are not looked at")
            break
        origin = origin_of(pattern, directory.template, path.name)
        if origin is None:
            continue
        try:
            name = wire_name(origin)
        except ValueError as error:
            found.problems.append(f"{path}: {error}")
            continue
        if name in found.zones:
            found.problems.append(
                f'Multiple zone files match origin "{origin}": using "{found.zones[name][1]}" instead of "{path}"'
            )
            continue
        found.zones[name] = (origin, str(path))
    return found


def files_below(top: Path, found: Found) -> Iterator[Path]:
    """Every file, in the order of their names. Directories that begin with two dots are the kubelet's: symbolic
    links beside them lead to what is in them."""
    try:
        entries = sorted(os.scandir(top), key=lambda entry: entry.name)
    except OSError as error:
        found.problems.append(f"error reading {top}: {error.strerror}")
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".."):
                    yield from files_below(top / entry.name, found)
            elif not entry.is_dir():
                yield top / entry.name
        except OSError as error:
            found.problems.append(f"error reading {entry.path}: {error.strerror}")


def origin_of(pattern: Regex, template: str, name: str) -> str | None:
    """The zone that a file of this name holds, fully qualified; None where it holds none."""
    data = os.fsencode(name)
    spans = pattern.search(data)
    if spans is None:
        return None
    groups = [
        None if begin < 0 else data[begin:end] for begin, end in zip(spans[::2], spans[1::2], strict=True)
    ]
    origin = expand(template, groups, pattern.names)
    return origin.removesuffix(".") + "." if origin else None


def expand(template: str, groups: list[bytes | None], names: tuple[str, ...]) -> str:
    """Go's Regexp.Expand: ``$1``, ``${1}``, ``$name``, ``${name}`` and ``$$``. What no group has is empty."""

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        name = match[2] or match[3]
        if name is None:
            return "$"
        if name.isdecimal() and (name == "0" or name[0] != "0"):
            number = int(name)
            taken = groups[number] if number < len(groups) else None
        else:
            own = [taken for taken, of in zip(groups, names, strict=True) if of == name and taken is not None]
            taken = own[0] if own else None
        return os.fsdecode(taken or b"")

    return _VARIABLE.sub(value, template)
