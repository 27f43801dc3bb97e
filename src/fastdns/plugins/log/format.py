"""The format of a log line: literals and placeholders, split as CoreDNS splits them."""

from __future__ import annotations

from dataclasses import dataclass

COMMON = (
    '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" '
    "{rcode} {>rflags} {rsize} {duration}"
)
COMBINED = COMMON + ' "{>opcode}"'

# What a value is where there is none.
EMPTY = "-"
# Each placeholder, and the most bytes that its value takes. Other braces stand for themselves.
PLACEHOLDERS = {
    "{type}": 16,
    "{name}": 1024,         # 255 bytes, each as \DDD, and a root
    "{class}": 16,
    "{proto}": 3,
    "{size}": 10,
    "{remote}": 48,
    "{port}": 5,
    "{local}": 48,
    "{>id}": 5,
    "{>opcode}": 3,
    "{>do}": 5,
    "{>bufsize}": 5,
    "{rcode}": 16,
    "{rsize}": 10,
    "{duration}": 32,
    "{>rflags}": 32,
}  # fmt: skip
METADATA = "{/"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a format. placeholder: a key of PLACEHOLDERS, or "" where literal is all."""

    placeholder: str
    literal: str = ""


def parse_format(text: str) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The parts of a format, and the metadata placeholders that it has; those are EMPTY without metadata.

    A closing brace is paired with the last opening one before it, so ``{ {name} }`` has one placeholder.
    """
    parts: list[Part] = []
    metadata: list[str] = []
    literal = ""
    at = 0
    while (end := text.find("}", at) + 1) > 0:
        start = text.rfind("{", at, end)
        label = text[start:end] if start >= 0 else ""
        if label in PLACEHOLDERS:
            literal += text[at:start]
            parts += [Part("", literal)] if literal else []
            parts.append(Part(label))
            literal = ""
        elif label.startswith(METADATA):
            literal += text[at:start] + EMPTY
            metadata.append(label)
        else:
            literal += text[at:end]
        at = end
    literal += text[at:]
    if literal:
        parts.append(Part("", literal))
    return tuple(parts), tuple(metadata)


def max_line_bytes(parts: tuple[Part, ...]) -> int:
    """The most bytes that a line of this format takes, without its prefix and newline."""
    return sum(PLACEHOLDERS.get(part.placeholder, 0) + len(part.literal.encode()) for part in parts)
