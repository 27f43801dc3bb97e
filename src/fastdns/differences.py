"""What the plugins of a Corefile do otherwise than CoreDNS's: their READMEs are the one place that says so."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fastdns.plugins.api import Plugin

SECTION = "## Differences from CoreDNS"


@dataclass(frozen=True, slots=True)
class Difference:
    """One of them. text: Markdown, in one line."""

    plugin: str
    text: str


def readme_of(plugin: Plugin) -> str:
    """The README beside the module that defines a plugin; "" where its package has none."""
    # It brings much that a server does not need.
    from importlib import resources

    package = sys.modules[type(plugin).__module__].__package__
    try:
        return resources.files(package or "").joinpath("README.md").read_text(encoding="utf-8") if package else ""
    except OSError:
        return ""


def listed(readme: str) -> Iterator[str]:
    """Items, paragraphs and rows of the section about differences; lines that end with a colon are headings."""
    section = readme.partition(f"\n{SECTION}\n")[2].partition("\n## ")[0]
    for paragraph in re.split(r"\n\n|\n(?=[*-] )", section):
        if paragraph.startswith("|"):
            yield from rows(paragraph)
            continue
        text = " ".join(re.sub(r"^\s*[*-] ", "", paragraph).split())
        if text and not text.endswith(":"):
            yield text


def rows(table: str) -> Iterator[str]:
    """The rows of a table as ``FIRST CELL: SECOND HEADING: SECOND CELL; …``."""
    heads, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    for first, *others in lines:
        yield f"{first}: " + "; ".join(f"{head}: {cell}" for head, cell in zip(heads[1:], others, strict=True))


def differences(plugins: Iterable[Plugin]) -> Iterator[Difference]:
    """What these plugins do otherwise, in their order."""
    for plugin in plugins:
        for text in listed(readme_of(plugin)):
            yield Difference(plugin.name, text)
