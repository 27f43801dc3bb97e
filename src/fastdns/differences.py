"""What the plugins of a Corefile do otherwise than CoreDNS's: their READMEs are the one place that says so.

Each item of a README's section begins with a verdict, and the options that it is about:

    * **better**: A change is visible at once.
    * **different**, `ttl`, `{local}`: What the option does. To do: what an operator does about it.

Without options it is about the directive. An option that holds more than letters, digits, hyphens and underscores
is looked for inside of words. An item without a verdict has that of the heading above it, a line that ends with a
colon; else it is ``different``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from fastdns.plugins.api import Plugin

SECTION = "## Differences from CoreDNS"

# same: nobody has to know. better: nothing that CoreDNS did right has changed. different: somebody may rely on
# CoreDNS's way. unsupported: CoreDNS has it, fastdns has not. error: fastdns refuses what CoreDNS passes over, and
# says so where it stands.
Verdict = Literal["same", "better", "different", "unsupported", "error"]
VERDICTS: tuple[Verdict, ...] = ("same", "better", "different", "unsupported", "error")

_LABEL = re.compile(r"\*\*(same|better|different|unsupported|error)\*\*((?:, `[^`]+`)*): ")
_TO_DO = " To do: "


@dataclass(frozen=True, slots=True)
class Difference:
    """One of them. text, todo: Markdown, in one line. options: those it is about; none: the directive."""

    plugin: str
    text: str
    verdict: Verdict = "different"
    options: tuple[str, ...] = ()
    todo: str = ""

    def concerns(self, words: Sequence[str], *, directive: bool) -> bool:
        """Whether it is about a line of a Corefile, as words. directive: it is the line of the plugin's name."""
        if not self.options:
            return directive
        return any(
            option in words if re.fullmatch(r"[\w-]+", option) else any(option in word for word in words)
            for option in self.options
        )


def readme_of(plugin: Plugin) -> str:
    """The README beside the module that defines a plugin; "" where its package has none."""
    # It brings much that a server does not need.
    from importlib import resources

    package = sys.modules[type(plugin).__module__].__package__
    try:
        return resources.files(package or "").joinpath("README.md").read_text(encoding="utf-8") if package else ""
    except OSError:
        return ""


def listed(readme: str, plugin: str = "") -> Iterator[Difference]:
    """Items, paragraphs and rows of the section about differences."""
    section = readme.partition(f"\n{SECTION}\n")[2].partition("\n## ")[0]
    heading: Verdict = "different"
    for paragraph in re.split(r"\n\n|\n(?=[*-] )", section):
        if paragraph.startswith("|"):
            for row in rows(paragraph):
                yield Difference(plugin, row, heading)
            continue
        text = " ".join(re.sub(r"^\s*[*-] ", "", paragraph).split())
        verdict, options = heading, ()
        if label := _LABEL.match(text):
            verdict = label[1]  # type: ignore[assignment]
            options = tuple(re.findall(r"`([^`]+)`", label[2]))
            text = text[label.end() :]
        if text.endswith(":"):
            heading = verdict if label else "different"
        elif text:
            text, _, todo = text.partition(_TO_DO)
            yield Difference(plugin, text, verdict, options, todo)


def rows(table: str) -> Iterator[str]:
    """The rows of a table as ``FIRST CELL: SECOND HEADING: SECOND CELL; …``."""
    heads, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    for first, *others in lines:
        yield f"{first}: " + "; ".join(f"{head}: {cell}" for head, cell in zip(heads[1:], others, strict=True))


def differences(plugins: Iterable[Plugin]) -> Iterator[Difference]:
    """What these plugins do otherwise, in their order."""
    for plugin in plugins:
        yield from listed(readme_of(plugin), plugin.name)
