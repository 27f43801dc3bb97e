"""A profile as a flame graph: an SVG image whose boxes tell their names and shares. The callers are below."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from zlib import crc32

from fastdns.plugins.pprof.profiler import Profile
from fastdns.plugins.pprof.stacks import stacks

WIDTH, ROW, MARGIN, TOP = 1200, 17, 10, 40
# Boxes that are narrower are left out, and names of narrower ones.
MIN_BOX, MIN_NAME, LETTER = 0.5, 30.0, 6.6


@dataclass(slots=True)
class Box:
    """A function as called from another one: how many samples saw it there, and what it called."""

    count: int = 0
    called: dict[str, Box] = field(default_factory=dict)

    def add(self, names: list[str], count: int) -> None:
        """A stack, the outermost first."""
        box = self
        box.count += count
        for name in names:
            box = box.called.setdefault(name, Box())
            box.count += count

    def depth(self) -> int:
        """How many rows it takes."""
        deepest, level = 0, [self]
        while level:
            deepest += 1
            level = [below for box in level for below in box.called.values()]
        return deepest


def boxes(profile: Profile) -> Box:
    """The tree of a profile: processes, their threads, and what those did."""
    root = Box()
    for one in stacks(profile):
        names = [frame.function for frame in reversed(one.frames)]
        root.add([one.process, f"thread {one.thread}", *names], one.count)
    return root


def drawn(profile: Profile) -> bytes:
    """The image."""
    root = boxes(profile)
    height = TOP + root.depth() * ROW + MARGIN
    seconds = profile.took_ns / 1e9
    what = "time that passed" if profile.wall else "CPU time"
    title = f"{what} of {seconds:.1f} s, {root.count} samples, one each {profile.interval_ns / 1e6:g} ms"
    if profile.lost:
        title += f"; {profile.lost} more had no room"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{MARGIN}" y="22" font-size="14">fastdns: {escape(title)}</text>',
    ]
    per_sample = (WIDTH - 2 * MARGIN) / max(1, root.count)
    left = [("all", root, float(MARGIN), height - MARGIN - ROW)]
    while left:
        name, box, x, y = left.pop()
        width = box.count * per_sample
        if width < MIN_BOX:
            continue
        share = f"{escape(name)}: {box.count} samples, {100 * box.count / max(1, root.count):.1f}%"
        shown = name if len(name) * LETTER < width - 4 else name[: max(0, int((width - 10) / LETTER))] + ".."
        text = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(shown)}</text>' if width >= MIN_NAME else ""
        lines.append(
            f'<g><title>{share}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" '
            f'fill="{colour(name)}"/>{text}</g>'
        )
        for called, below in sorted(box.called.items()):
            left.append((called, below, x, y - ROW))
            x += below.count * per_sample
    return "\n".join([*lines, "</svg>", ""]).encode()


def colour(name: str) -> str:
    """The same for the same name: yellow to red."""
    number = crc32(name.encode())
    return f"rgb({205 + number % 50},{80 + number // 50 % 130},{number // 6500 % 55})"


def folded(profile: Profile) -> bytes:
    """A line for each stack, as flamegraph.pl and speedscope read them."""
    lines = []
    for one in stacks(profile):
        names = [one.process, one.thread, *(frame.function for frame in reversed(one.frames))]
        lines.append(f"{';'.join(name.replace(';', ',') for name in names)} {one.count}\n")
    return "".join(sorted(lines)).encode()
