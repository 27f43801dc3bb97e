"""Plots as SVG. Equal figures give equal bytes, one element a line, for diff; no script, no fonts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
    """A value with its spread. Its label is its series, which gives the colour."""

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

    Colours are given in the order in which labels first appear. mark: a line at this value.
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


def shares(title: str, values: Sequence[float], *, unit: str, x_label: str = "", y_label: str = "") -> str:
    """The distribution of values: for each value, the percentage that does not exceed it. Logarithmic axis.

    x_label, y_label: what the axes show.
    """
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
    parts += [text(8, top - 4, y_label)] if y_label else []
    parts += [text(right, bottom + 34, x_label, anchor="end")] if x_label else []
    return svg(bottom + (44 if x_label else 30), title, parts)


# ------------------------------------------------------------------------------------------------------ lines

TICKS = 5
PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, PLOT_BOTTOM = 84.0, WIDTH - 20.0, float(HEAD), 260.0


@dataclass(frozen=True, slots=True)
class Line:
    """Points of a plot, and their label."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values: its ticks, how a value is written, and whether it is logarithmic."""

    least: float
    most: float
    ticks: Sequence[float]
    write: Callable[[float], str]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """The place of a value on the axis, from 0 to 1."""
        if self.logarithmic:
            low, high, at = (math.log10(max(one, 1e-9)) for one in (self.least, self.most, value))
        else:
            low, high, at = self.least, self.most, value
        return min(1.0, max(0.0, (at - low) / (high - low)))


def linear(values: Sequence[float], write: Callable[[float], str]) -> Axis:
    """An axis from 0 to a round number at or above all values."""
    most = max([*values, 1e-9])
    power = 10.0 ** math.floor(math.log10(most / TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * TICKS >= most)
    count = max(1, math.ceil(most / step - 1e-9))
    return Axis(0.0, count * step, [step * i for i in range(count + 1)], write)


def logarithmic(values: Sequence[float], write: Callable[[float], str]) -> Axis:
    """An axis of powers of ten around all values above 0."""
    known = [value for value in values if value > 0] or [1.0]
    first, last = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    powers = range(first, max(last, first + 1) + 1)
    return Axis(10.0 ** powers[0], 10.0 ** powers[-1], [10.0**power for power in powers], write, True)


def lines(title: str, drawn: Sequence[Line], x: Axis, y: Axis, *, x_label: str = "", y_label: str = "") -> str:
    """Lines over two axes; with labels above them if there are several. x_label, y_label: what the axes show."""

    def at(value: tuple[float, float]) -> tuple[float, float]:
        wide, high = PLOT_RIGHT - PLOT_LEFT, PLOT_BOTTOM - PLOT_TOP
        return PLOT_LEFT + wide * x.place(value[0]), PLOT_BOTTOM - high * y.place(value[1])

    parts = []
    for tick in x.ticks:
        across, _ = at((tick, y.least))
        parts.append(line(across, PLOT_TOP, across, PLOT_BOTTOM, "l"))
        parts.append(text(across, PLOT_BOTTOM + 16, x.write(tick), anchor="middle"))
    for tick in y.ticks:
        _, down = at((x.least, tick))
        parts.append(line(PLOT_LEFT, down, PLOT_RIGHT, down, "l"))
        parts.append(text(PLOT_LEFT - 6, down + 4, y.write(tick), anchor="end"))
    legend = PLOT_RIGHT
    for i, one in reversed(list(enumerate(drawn))):
        colour = COLOURS[i % len(COLOURS)]
        places = [at(point) for point in one.points]
        points = " ".join(dict.fromkeys(f"{number(across)},{number(down)}" for across, down in places))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>')
        # A line of a single point is not drawn: show the first point.
        parts += [f'<circle fill="{colour}" cx="{number(a)}" cy="{number(b)}" r="3"/>' for a, b in places[:1]]
        if len(drawn) > 1:
            legend -= 7 * len(one.label) + 26
            parts.append(f'<rect fill="{colour}" x="{number(legend)}" y="11" width="10" height="10"/>')
            parts.append(text(legend + 14, 20, one.label))
    if y_label:
        parts.append(text(8, PLOT_TOP - 4, y_label))
    if x_label:
        parts.append(text(PLOT_RIGHT, PLOT_BOTTOM + 34, x_label, anchor="end"))
    return svg(PLOT_BOTTOM + (44 if x_label else 30), title, parts)
