"""Draws docs/terminal.svg: what a terminal shows of the commands in a page.

``python -m tests.docs.picture`` writes it anew from README.md; a test compares it with the page.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from tests.docs.fences import ROOT, blocks_of, commands_of

PICTURE = ROOT / "docs/terminal.svg"
LINE_PX = 19
CHARACTER_PX = 8
MARGIN_PX = 16
TITLE_PX = 30
STYLE = (
    "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}"
    ".o{fill:#c9d1d9}.p{fill:#7ee787}.c{fill:#ffffff;font-weight:bold}"
)


def lines_of(page: Path) -> list[str]:
    """The commands of a page that are run and end well, each with what it prints, in order."""
    lines = []
    for block in blocks_of(page):
        if block.language == "console" and block.runs and "exit" not in block.words:
            for command in commands_of(block):
                lines += [f"$ {command.text}", *filter(None, command.shown)]
    return lines


def drawn(lines: list[str]) -> str:
    """The picture of these lines."""
    width = 2 * MARGIN_PX + CHARACTER_PX * max(map(len, lines))
    height = TITLE_PX + 2 * MARGIN_PX + LINE_PX * len(lines) - LINE_PX // 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
        "<title>Terminal: fastdns demo, and dig</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
    ]
    for index, colour in enumerate(("#ff5f56", "#ffbd2e", "#27c93f")):
        parts.append(f'<circle cx="{MARGIN_PX + 6 + 20 * index}" cy="{TITLE_PX // 2 + 4}" r="6" fill="{colour}"/>')
    for index, line in enumerate(lines):
        y = TITLE_PX + MARGIN_PX + LINE_PX * index + 4
        if line.startswith("$ "):
            words = f'<tspan class="p">$ </tspan><tspan class="c">{escape(line[2:])}</tspan>'
        else:
            words = f'<tspan class="o">{escape(line)}</tspan>'
        parts.append(f'<text x="{MARGIN_PX}" y="{y}" xml:space="preserve">{words}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(drawn(lines_of(ROOT / "README.md")))
