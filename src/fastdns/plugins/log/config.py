"""The options of log: which queries are logged, and how a line looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import extend, flag, integer, read_options, store, to_int, words
from fastdns.dns.names import wire_name
from fastdns.plugins.log.format import (
    COMBINED,
    COMMON,
    Part,
    json_parts,
    max_line_bytes,
    parse_format,
    values_of,
)

CLASSES = ("all", "success", "denial", "error")
# Bounds what one query can cost: a format is not meant for poems.
MAX_LINE_BYTES = 32_768
MAX_LIMIT_LINES_S = 10_000_000
MAX_SAMPLE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """Queries for name or below it whose reply is of one of these classes are logged in this format.

    name: fully qualified, as it was written. parts: the format, taken apart. sample: of so many queries, one is
    logged. limits: lines a second of each serving thread, for replies of these classes together.
    """

    name: str = "."
    format: str = COMMON
    classes: frozenset[str] = frozenset({"all"})
    parts: tuple[Part, ...] = parse_format(COMMON)
    sample: int = 1
    limits: tuple[tuple[frozenset[str], int], ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """The names of the values that the format shows, in order."""
        return values_of(self.parts)


@dataclass(frozen=True, slots=True)
class Config:
    """The first rule whose name holds the qname decides; where its classes do not, nothing is logged."""

    rules: tuple[Rule, ...]


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Every occurrence adds rules. Raises CorefileError."""
    rules: list[Rule] = []
    for _ in d.occurrences():
        names, text = _names_and_format(d.remaining_args())
        parts = _parts(d, text, block)
        for name in names:
            _check_name(d, name, block)
        fields: dict[str, Any] = {}
        read_options(d, OPTIONS, fields)
        classes = frozenset(fields.get("classes", ("all",)))
        if fields.get("json"):
            parts = json_parts(parts)
        _check_size(d, parts)
        bounds = fields.get("sample", 1), fields.get("limits", ())
        rules += [Rule(_qualified(name), text, classes, parts, *bounds) for name in names]
    return Config(tuple(rules))


def _names_and_format(args: list[str]) -> tuple[list[str], str]:
    """The last of two arguments or more is a format if it has a brace; a single one is always a name."""
    if len(args) < 2 or "{" not in args[-1]:
        return args or ["."], COMMON
    return args[:-1], args[-1].replace("{common}", COMMON).replace("{combined}", COMBINED)


def _parts(d: Dispenser, text: str, block: BlockContext) -> tuple[Part, ...]:
    parts = parse_format(text)
    _check_size(d, parts)
    if block.value_zones is None:
        for name in values_of(parts):
            block.warnings.append(
                f"plugin/log: {d.file}:{d.line} - {{/{name}}} is always '-': values can be read only where the "
                "block has metadata"
            )
    return parts


def _check_size(d: Dispenser, parts: tuple[Part, ...]) -> None:
    size = max_line_bytes(parts)
    if size > MAX_LINE_BYTES:
        raise d.error(f"the format makes lines of up to {size} bytes; at most {MAX_LINE_BYTES} are written")


def _check_name(d: Dispenser, name: str, block: BlockContext) -> None:
    try:
        wire_name(name)
    except ValueError as error:
        raise d.error(str(error)) from None
    # CoreDNS takes these for names, too, and logs nothing.
    if "{" in name:
        block.warnings.append(
            f"plugin/log: {d.file}:{d.line} - {name!r} is taken for a name, and nothing is logged; "
            "a format stands after a name: log . FORMAT"
        )
    elif "/" in name:
        block.warnings.append(
            f"plugin/log: {d.file}:{d.line} - {name!r} is taken for a name, and nothing is logged; "
            "a network is named by its reverse zone here"
        )


def _qualified(name: str) -> str:
    return name if name.endswith(".") else name + "."


def _classes(d: Dispenser) -> tuple[str, ...]:
    return _named(d, words(d, "all, success, denial or error"))


def _named(d: Dispenser, named: Sequence[str]) -> tuple[str, ...]:
    for word in named:
        if word not in CLASSES:
            raise d.error(f"{word!r} is no class; there are {', '.join(CLASSES)}")
    return tuple(named)


def _limit(d: Dispenser) -> tuple[tuple[frozenset[str], int], ...]:
    """``limit LINES_S [CLASSES...]``."""
    number, *named = words(d)
    lines_s = to_int(d, number, "the lines a second of limit", 1, MAX_LIMIT_LINES_S)
    return ((frozenset(_named(d, named)) or frozenset({"all"}), lines_s),)


OPTIONS = {
    "class": extend("classes", _classes),
    "json": store("json", flag),
    "limit": extend("limits", _limit),
    "sample": store("sample", integer(1, MAX_SAMPLE)),
}
