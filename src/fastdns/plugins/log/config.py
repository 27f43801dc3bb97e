"""The options of log: which queries are logged, and how a line looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import extend, read_options, words
from fastdns.dns.names import wire_name
from fastdns.plugins.log.format import COMBINED, COMMON, Part, max_line_bytes, parse_format, values_of

CLASSES = ("all", "success", "denial", "error")
# Bounds what one query can cost: a format is not meant for poems.
MAX_LINE_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Rule:
    """Queries for name or below it whose reply is of one of these classes are logged in this format.

    name: fully qualified, as it was written. parts: the format, taken apart.
    """

    name: str = "."
    format: str = COMMON
    classes: frozenset[str] = frozenset({"all"})
    parts: tuple[Part, ...] = parse_format(COMMON)

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
        rules += [Rule(_qualified(name), text, classes, parts) for name in names]
    return Config(tuple(rules))


def _names_and_format(args: list[str]) -> tuple[list[str], str]:
    """The last of two arguments or more is a format if it has a brace; a single one is always a name."""
    if len(args) < 2 or "{" not in args[-1]:
        return args or ["."], COMMON
    return args[:-1], args[-1].replace("{common}", COMMON).replace("{combined}", COMBINED)


def _parts(d: Dispenser, text: str, block: BlockContext) -> tuple[Part, ...]:
    parts = parse_format(text)
    size = max_line_bytes(parts)
    if size > MAX_LINE_BYTES:
        raise d.error(f"the format makes lines of up to {size} bytes; at most {MAX_LINE_BYTES} are written")
    if block.value_zones is None:
        for name in values_of(parts):
            block.warnings.append(
                f"plugin/log: {d.file}:{d.line} - {{/{name}}} is always '-': values can be read only where the "
                "block has metadata"
            )
    return parts


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
    named = words(d)
    for word in named:
        if word not in CLASSES:
            raise d.error(f"{word!r} is no class; there are {', '.join(CLASSES)}")
    return named


OPTIONS = {"class": extend("classes", _classes)}
