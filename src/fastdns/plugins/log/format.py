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
# Of a value that a plugin provides; what is longer is cut. In a line a byte takes at most four.
MAX_VALUE_BYTES = 255


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a format: placeholder, a key of PLACEHOLDERS; or the value of that name; or else literal."""

    placeholder: str
    literal: str = ""
    value: str = ""


def parse_format(text: str) -> tuple[Part, ...]:
    """The parts of a format.

    A closing brace is paired with the last opening one before it, so ``{ {name} }`` has one placeholder.
    """
    parts: list[Part] = []
    literal = ""
    at = 0
    while (end := text.find("}", at) + 1) > 0:
        start = text.rfind("{", at, end)
        label = text[start:end] if start >= 0 else ""
        if label in PLACEHOLDERS or (label.startswith(METADATA) and label != METADATA + "}"):
            literal += text[at:start]
            parts += [Part("", literal)] if literal else []
            parts.append(Part(label) if label in PLACEHOLDERS else Part("", value=label[len(METADATA) : -1]))
            literal = ""
        elif label.startswith(METADATA):
            literal += text[at:start] + EMPTY
        else:
            literal += text[at:end]
        at = end
    literal += text[at:]
    if literal:
        parts.append(Part("", literal))
    return tuple(parts)


def values_of(parts: tuple[Part, ...]) -> tuple[str, ...]:
    """The names of the values that a format shows, in order."""
    return tuple(part.value for part in parts if part.value)


def max_line_bytes(parts: tuple[Part, ...]) -> int:
    """The most bytes that a line of this format takes, without its prefix and newline."""
    return sum(
        4 * MAX_VALUE_BYTES if part.value else PLACEHOLDERS.get(part.placeholder, 0) + len(part.literal.encode())
        for part in parts
    )
