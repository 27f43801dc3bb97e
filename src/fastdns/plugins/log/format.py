"""The format of a log line: literals and placeholders, split as CoreDNS splits them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fastdns.plugins.placeholders import placeholders

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
# Those that are numbers, or true and false.
BARE = {"{size}", "{port}", "{>id}", "{>opcode}", "{>do}", "{>bufsize}", "{rsize}", "{duration}"}
# What one byte of text may become in a JSON string.
MAX_ESCAPED = 6
METADATA = "{/"
# Of a value that a plugin provides; what is longer is cut. In a line a byte takes at most four.
MAX_VALUE_BYTES = 255


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a format: placeholder, a key of PLACEHOLDERS; or the value of that name; or else literal.

    in_json: of a line that is a JSON object.
    """

    placeholder: str
    literal: str = ""
    value: str = ""
    in_json: bool = False


def parse_format(text: str) -> tuple[Part, ...]:
    """The parts of a format."""
    parts: list[Part] = []
    literal = ""
    for before, label in placeholders(text):
        literal += before
        if label in PLACEHOLDERS:
            made = Part(label)
        elif label.startswith(METADATA) and label != METADATA + "}":
            made = Part("", value=label[len(METADATA) : -1])
        else:
            literal += EMPTY if label.startswith(METADATA) else label
            continue
        parts += [Part("", literal), made] if literal else [made]
        literal = ""
    return (*parts, Part("", literal)) if literal else tuple(parts)


def json_parts(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """A line that is a JSON object, with the values that a format shows; nothing of what stands between them.

    Keys are the placeholders without ``{``, ``}``, ``>``, and the names of values.
    """
    made: list[Part] = []
    keys: set[str] = set()
    before = "{"
    for part in parts:
        key = part.value or part.placeholder.strip("{}>")
        if not key or key in keys:
            continue
        keys.add(key)
        quote = "" if part.placeholder in BARE else '"'
        made.append(Part("", f"{before}{json.dumps(key)}:{quote}", in_json=True))
        made.append(Part(part.placeholder, value=part.value, in_json=True))
        before = f"{quote},"
    return (*made, Part("", f"{before.rstrip(',') if made else before}}}", in_json=True))


def values_of(parts: tuple[Part, ...]) -> tuple[str, ...]:
    """The names of the values that a format shows, in order."""
    return tuple(part.value for part in parts if part.value)


def max_line_bytes(parts: tuple[Part, ...]) -> int:
    """The most bytes that a line of this format takes, without its prefix and newline."""
    return sum(map(max_part_bytes, parts))


def max_part_bytes(part: Part) -> int:
    """The most bytes that a part takes."""
    if part.value:
        return (MAX_ESCAPED if part.in_json else 4) * MAX_VALUE_BYTES
    size = PLACEHOLDERS.get(part.placeholder, 0)
    # A name in JSON has its backslashes and quotes escaped.
    return (2 * size if part.in_json and part.placeholder == "{name}" else size) + len(part.literal.encode())
