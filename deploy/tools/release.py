"""Checks that a tag, the version of the package and of the chart, and the changelog say the same; prints its notes.

``python -m deploy.tools.release v0.1.0`` prints the changelog's section of that version, and exits with 1 where
something differs. Without a tag it checks the changelog's form only, as each change does.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADING = re.compile(r"^## (?P<version>\S+) \((?P<day>\S+)\)$")
VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)$")
UNRELEASED = "unreleased"


@dataclass(frozen=True)
class Section:
    """The changes of a version."""

    version: str
    # None: it is not released yet.
    day: date | None
    notes: str

    @property
    def number(self) -> tuple[int, ...]:
        """What versions are ordered by."""
        return tuple(map(int, self.version.split(".")))


def sections(text: str) -> list[Section]:
    """The sections of a changelog, in its order. Raises ValueError, with the line, where its form is another one.

    The newest version stands first. Only the first may be unreleased. Each has at least one item.
    """
    found: list[Section] = []
    lines = text.splitlines()
    if lines[:1] != ["# Changelog"]:
        raise ValueError("line 1: expected '# Changelog'")
    headings = [number for number, line in enumerate(lines) if line.startswith("## ")]
    if not headings:
        raise ValueError("it has no version")
    for number, end in zip(headings, [*headings[1:], len(lines)], strict=True):
        try:
            section = section_of(lines[number], "\n".join(lines[number + 1 : end]).strip())
            if found:
                check_order(found[-1], section)
        except ValueError as error:
            raise ValueError(f"line {number + 1}: {error}") from None
        found.append(section)
    return found


def section_of(line: str, notes: str) -> Section:
    """A section, of its heading and what stands below it. Raises ValueError."""
    heading = HEADING.match(line)
    if heading is None or not VERSION.match(heading["version"]):
        raise ValueError(f"expected '## X.Y.Z (YYYY-MM-DD)' or '## X.Y.Z (unreleased)', got {line!r}")
    if not notes.startswith("- "):
        raise ValueError(f"{heading['version']} has no items; expected lines that begin with '- '")
    if heading["day"] == UNRELEASED:
        return Section(heading["version"], None, notes)
    try:
        return Section(heading["version"], date.fromisoformat(heading["day"]), notes)
    except ValueError:
        raise ValueError(f"{heading['day']} is no day; expected YYYY-MM-DD") from None


def check_order(newer: Section, older: Section) -> None:
    """Raises ValueError unless a section may stand below another one."""
    if older.number >= newer.number:
        raise ValueError(f"{older.version} stands below {newer.version}; expected the newest version first")
    if older.day is None:
        raise ValueError(f"{older.version} is unreleased, but stands below {newer.version}")
    if newer.day is not None and older.day > newer.day:
        raise ValueError(f"{older.version} is younger than {newer.version}, which stands above it")


def stated(path: Path, pattern: str) -> str:
    """What a file says, by a pattern with one group. Raises ValueError."""
    match = re.search(pattern, path.read_text(), re.MULTILINE)
    if match is None:
        raise ValueError(f"{path.name}: no line like {pattern}")
    return match[1]


def versions(root: Path) -> dict[str, str]:
    """The version that each file states."""
    chart = root / "deploy" / "helm" / "fastdns" / "Chart.yaml"
    return {
        "src/fastdns/__init__.py": stated(root / "src" / "fastdns" / "__init__.py", r'^__version__ = "(.*)"$'),
        "deploy/helm/fastdns/Chart.yaml: version": stated(chart, r"^version: (.*)$"),
        "deploy/helm/fastdns/Chart.yaml: appVersion": stated(chart, r"^appVersion: (.*)$"),
    }


def problems(root: Path, tag: str | None) -> tuple[list[str], str]:
    """What keeps a tag from being released, and the notes of the release."""
    try:
        newest = sections((root / "CHANGELOG.md").read_text())[0]
    except ValueError as error:
        return [f"CHANGELOG.md: {error}"], ""
    try:
        said = versions(root)
    except ValueError as error:
        return [str(error)], ""
    found = [
        f"{where} says {version}, CHANGELOG.md {newest.version}"
        for where, version in said.items()
        if version != newest.version
    ]
    if tag is not None:
        if tag != f"v{newest.version}":
            found.append(f"the tag is {tag}; expected v{newest.version}, the newest version of CHANGELOG.md")
        if newest.day is None:
            found.append(f"CHANGELOG.md: {newest.version} is unreleased: give it the day")
    return found, newest.notes


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.tools.release", description=__doc__)
    parser.add_argument("tag", nargs="?", help="the tag that is released, such as v0.1.0")
    found, notes = problems(ROOT, parser.parse_args().tag)
    for text in found:
        print(f"release: {text}", file=sys.stderr)
    if not found:
        print(notes)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
