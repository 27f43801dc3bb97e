"""Plots as SVG: the same bytes for the same figures, one element a line, so that they diff; no script, no fonts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
LABEL_WIDTH = 190
VALUE_WIDTH = 150
BAR = 15
GAP = 5
GROUP_GAP = 16
HEAD = 40
COLOURS = (
    "#3b6ea5", "#e08e45", "#6a9a58", "#9a6aa5", "#8a8a8a", "#b5524d", "#4d9ba0", "#c2a83e", "#707a3f", "#5c5c8a",
)  # fmt: skip
STYLE = "text{font:12px sans-serif;fill:#333}.t{font-weight:bold;font-size:14px}.l{stroke:#ccc}.w{stroke:#333}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its spread; of a series, which gives the colour."""

    label: str
    value: float
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Bars that belong together, under a heading."""

    label: str
    bars: Sequence[Bar]


def number(value: float) -> str:
    """A coordinate: one decimal, never an exponent."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, words: str, *, anchor: str = "start", css: str = "") -> str:
    """A text element."""
    kind = f' class="{css}"' if css else ""
    return f'<text x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A straight line."""
    return f'<line x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}" class="{css}"/>'


def svg(height: float, title: str, parts: Sequence[str]) -> str:
    """The whole picture."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {number(height)}" role="img">'
    frame = f'<rect width="{WIDTH}" height="{number(height)}" fill="#fff"/>'
    about = f"<title>{escape(title)}</title>"
    heading = text(8, 20, title, css="t")
    return "\n".join([head, about, f"<style>{STYLE}</style>", frame, heading, *parts, "</svg>", ""])


def bars(title: str, groups: Sequence[Group], *, digits: int = 2, unit: str = "", mark: float | None = None) -> str:
    """Horizontal bars in groups, each with its value, and a whisker from the least to the most.

    A series has its colour by the order in which labels are first seen. mark: a line at this value.
    """
    ends = [bar.most if bar.most is not None else bar.value for group in groups for bar in group.bars]
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max([*ends, mark or 0.0, 1e-9])
    colours: dict[str, str] = {}
    parts = []
    y = float(HEAD)
    for group in groups:
        parts.append(text(8, y + 12, group.label, css="t"))
        y += BAR + GAP
        for bar in group.bars:
            colour = colours.setdefault(bar.label, COLOURS[len(colours) % len(COLOURS)])
            end = LABEL_WIDTH + bar.value * scale
            parts.append(text(LABEL_WIDTH - 6, y + 12, bar.label, anchor="end"))
            parts.append(
                f'<rect x="{LABEL_WIDTH}" y="{number(y)}" width="{number(bar.value * scale)}" height="{BAR}" '
                f'fill="{colour}"/>'
            )
            words = f"{bar.value:.{digits}f}{unit}"
            if bar.least is not None and bar.most is not None:
                low, end = LABEL_WIDTH + bar.least * scale, max(end, LABEL_WIDTH + bar.most * scale)
                parts.append(line(low, y + BAR / 2, LABEL_WIDTH + bar.most * scale, y + BAR / 2, "w"))
                words += f" ({bar.least:.{digits}f}-{bar.most:.{digits}f})"
            parts.append(text(end + 5, y + 12, words))
            y += BAR + GAP
        y += GROUP_GAP
    if mark is not None:
        at = LABEL_WIDTH + mark * scale
        parts.append(line(at, HEAD, at, y - GROUP_GAP, "l"))
    return svg(y, title, parts)


def shares(title: str, values: Sequence[float], *, unit: str) -> str:
    """Of how many values, in percent, each value is an upper bound; the axis of values is logarithmic."""
    ordered = sorted(max(value, 1e-6) for value in values)
    left, right, top, bottom = 60.0, WIDTH - 20.0, float(HEAD), 280.0
    first = math.floor(math.log10(ordered[0])) if ordered else 0
    last = max(first + 1, math.ceil(math.log10(ordered[-1]))) if ordered else 1
    parts = []
    for exponent in range(first, last + 1):
        x = left + (right - left) * (exponent - first) / (last - first)
        parts += [line(x, top, x, bottom, "l"), text(x, bottom + 16, f"{10.0**exponent:g} {unit}", anchor="middle")]
    for percent in (0, 25, 50, 75, 90, 99):
        y = bottom - (bottom - top) * percent / 100
        parts += [line(left, y, right, y, "l"), text(left - 6, y + 4, f"{percent}%", anchor="end")]
    points = [
        f"{number(left + (right - left) * (math.log10(value) - first) / (last - first))},"
        f"{number(bottom - (bottom - top) * (i + 1) / len(ordered))}"
        for i, value in enumerate(ordered)
    ]
    # Neighbours that fall on the same tenth of a pixel are one point.
    unique = list(dict.fromkeys(points))
    parts.append(f'<polyline fill="none" stroke="{COLOURS[0]}" stroke-width="2" points="{" ".join(unique)}"/>')
    return svg(bottom + 30, title, parts)
