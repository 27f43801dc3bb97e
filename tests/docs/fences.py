"""The fenced code blocks of the documentation, and what the words behind the language mean.

CONTRIBUTING.md, "Documentation", describes these words for people who write pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "bench/README.md", "deploy/helm/fastdns/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

# What a block may be, and which words may stand behind the language.
LANGUAGES = {
    "console": {"background", "ctrl-c", "eventually", "exit", "not-run"},
    "sh": {"not-run"},
    "corefile": {"file"},
    # values: of the chart in deploy/helm.
    "yaml": {"file", "values"},
    "text": {"file", "log"},
    "json": set(),
    "promql": set(),
    "mermaid": set(),
    "python": {"listing"},
    "cython": {"listing"},
    "toml": {"listing"},
    "diff": set(),
}
FENCE = re.compile(r"^( *)(`{3,})([^`\n]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language, the words behind that, and its lines."""

    page: Path
    line: int
    language: str
    words: dict[str, str] = field(default_factory=dict)
    text: str = ""

    @property
    def place(self) -> str:
        """``docs/README.md:12``"""
        page = self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page
        return f"{page}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether its commands are run."""
        return self.language in ("console", "sh") and "not-run" not in self.words


@dataclass(frozen=True)
class Command:
    """A command as a shell takes it, and the lines that the page shows below it."""

    text: str
    shown: list[str]


def read_words(text: str) -> dict[str, str]:
    """``eventually exit=1`` and ``not-run: REASON``, which takes the rest of the line."""
    words: dict[str, str] = {}
    before, colon, reason = text.partition("not-run:")
    for word in before.split():
        name, _, value = word.partition("=")
        words[name] = value
    if colon:
        words["not-run"] = reason.strip()
    return words


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        indent, _, info, body = match.groups()
        language, _, rest = info.strip().partition(" ")
        lines = "".join(f"{line.removeprefix(indent)}\n" for line in body.splitlines())
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, language, read_words(rest), lines))
    return found


def commands_of(block: Block) -> list[Command]:
    """The commands of a console block: ``$ COMMAND``, ``> `` for its next lines, then what it prints. A block of
    the language sh is one command that may print what it likes."""
    if block.language == "sh":
        return [Command(block.text, ["…"])]
    found: list[Command] = []
    text, shown, goes_on = "", [], False

    def end() -> None:
        if text:
            found.append(Command(text, shown))

    for line in block.text.splitlines():
        if line.startswith("$ "):
            end()
            text, shown = line[2:], []
            goes_on = line.endswith("\\")
        elif text and not shown and (goes_on or line.startswith("> ")):
            text += "\n" + line.removeprefix("> ")
            goes_on = line.endswith("\\")
        elif text:
            shown = [*shown, line]
        else:
            raise ValueError(f"{block.place}: a console block begins with a command: '$ ' expected, got {line!r}")
    end()
    return found
