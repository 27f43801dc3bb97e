"""The table of plugins in docs/reference/plugins.md, made of the plugins' code and READMEs.

    python -m tests.plugins_table            say whether it is as it should be
    python -m tests.plugins_table --write    write it

``tests/test_plugins_table.py`` tests it.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from fastdns.plugins.api import Plugin
from fastdns.plugins.order import ORDER, available, load
from tests.reading import ROOT

PAGE = ROOT / "docs" / "reference" / "plugins.md"
FOLDERS = ROOT / "src" / "fastdns" / "plugins"
BEGIN = "<!-- Written by `python -m tests.plugins_table --write` from the plugins; a test compares. -->"
END = "<!-- Up to here. -->"

# What runs where, by the parts of a Plugin that a plugin has, in the order in which they are told.
PARTS = (
    ("step", "native step"),
    ("python_step", "Python step"),
    ("filter", "filter"),
    ("value", "values"),
    ("source", "source"),
    ("in_worker", "worker"),
    ("in_supervisor", "supervisor"),
    ("endpoint", "HTTP"),
    ("settings", "settings"),
    ("context", "settings"),
)


def has(plugin: Plugin, part: str) -> bool:
    """Whether a plugin has a part of its own."""
    return getattr(type(plugin), part) is not getattr(Plugin, part)


def how(plugin: Plugin) -> str:
    """How a plugin runs."""
    return ", ".join(dict.fromkeys(text for part, text in PARTS if has(plugin, part)))


def section(text: str, title: str) -> str:
    """What a README says under a title of its second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip("\n") if found else ""


def description(text: str, name: str) -> str:
    """The one line of a README's Name, without the name."""
    line = " ".join(section(text, "Name").split("\n\n")[0].split())
    said = line.removeprefix(f"*{name}* - ")
    if said == line or not said:
        raise SystemExit(f"{name}/README.md: expected '*{name}* - ' and what it does under Name, got {line!r}")
    return said


def syntax(text: str) -> tuple[list[str], list[str]]:
    """The forms of a directive, and the options in the blocks of all of them, each once.

    A form is a line of the indented examples under Syntax; its options are indented further.
    """
    forms: list[str] = []
    options: list[str] = []
    for line in section(text, "Syntax").splitlines():
        if not line.startswith("    ") or line.strip() in ("", "}"):
            continue
        if line.startswith("     "):
            options.append(line.strip().split()[0])
        else:
            forms.append(line.strip().removesuffix("{").strip())
    return list(dict.fromkeys(forms)), list(dict.fromkeys(options))


def code(words: list[str], between: str) -> str:
    """Words as code, in a cell of a table."""
    return between.join(f"`{word}`".replace("|", "\\|") for word in words)


def row(name: str) -> str:
    """One plugin."""
    text = (FOLDERS / name / "README.md").read_text()
    forms, options = syntax(text)
    link = f"[{name}](../../src/fastdns/plugins/{name}/README.md)"
    cells = (link, description(text, name), how(load(name)), code(forms, "<br>"), code(options, ", ") or "none")
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """All plugins, in their order, and the names of those that there are not."""
    lines = ["| plugin | what it does | how it runs | syntax | options |", "| --- | --- | --- | --- | --- |"]
    lines += [row(name) for name in available()]
    missing = [name for name in ORDER if name not in available()]
    lines += ["", f"CoreDNS's plugins that fastdns refuses: {', '.join(missing) or 'none'}."]
    return "\n".join(lines)


def with_table(page: str, made: str) -> str:
    """The page with what is between its two marks replaced."""
    before, begin, rest = page.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"\n{END}")
    if not begin or not end:
        raise SystemExit(f"{PAGE}: expected once each, in this order: {BEGIN!r} and {END!r}")
    return f"{before}{begin}{made}{end}{after}"


def written(page: Path = PAGE) -> str:
    """The page as it should be."""
    return with_table(page.read_text(), table())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.plugins_table", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into docs/reference/plugins.md")
    write = parser.parse_args().write
    made = written()
    if write:
        PAGE.write_text(made)
    elif PAGE.read_text() != made:
        print(
            "docs/reference/plugins.md: its table is not what the plugins say: run it with --write", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
