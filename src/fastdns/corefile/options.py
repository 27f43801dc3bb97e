"""Readers of option values, and the table that a plugin makes of them: one line an option.

A Reader stands on an option's name, reads its arguments and returns the value; it raises CorefileError.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.keys import KeyProblem, parse_zones
from fastdns.corefile.removed import removed
from fastdns.netaddrs import canonical_address

Reader = Callable[[Dispenser], Any]
# Reads one option into the fields of the plugin's Config that is being made.
Option = Callable[[Dispenser, dict[str, Any]], None]
# Reads a line that begins with no option's name. Returns whether such a line may stand here.
Line = Callable[[Dispenser, dict[str, Any]], bool]

_DURATION = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
# Go's time.Duration counts nanoseconds in 63 bits.
_MAX_DURATION_S = (2**63 - 1) / 1e9
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_CIDR = re.compile(r"[0-9a-fA-F.:]+/[0-9]{1,3}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

A_DURATION = "a duration, such as 30s, 500ms or 1h30m"

NOTHING: Mapping[str, int] = {}


def parse_duration_s(text: str) -> float:
    """Seconds of a duration in Go's syntax, ``1h2m3.5s``: each number has a unit. Raises ValueError.

    Units are ns, us, ms, s, m and h; ``0`` may do without; one sign may lead.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    parts = _DURATION.findall(unsigned)
    if unsigned != "0" and (not parts or "".join(parts) != unsigned):
        raise ValueError(f"{text!r} is no duration; one looks like 30s, 500ms or 1h30m")
    total = 0.0
    for part in parts:
        number = part.rstrip("nuµμmsh")
        total += float(number) * _UNIT_S[part[len(number) :]]
    if total > _MAX_DURATION_S:
        raise ValueError(f"the duration {text!r} is too long")
    return -total if text.startswith("-") else total


def _with(expected: str, what: str) -> str:
    return f"{expected}: {what}" if what else expected


# Readers


def words(d: Dispenser, what: str = "") -> tuple[str, ...]:
    """One argument at least. what: names one in the error."""
    args = d.remaining_args()
    if not args:
        raise d.arg_error(_with("at least one argument", what))
    return tuple(args)


def one(d: Dispenser, what: str = "") -> str:
    """Exactly one argument. what: names it in the error."""
    args = d.remaining_args()
    if len(args) != 1:
        raise d.arg_error(_with("one argument", what))
    return args[0]


def at_most_one(d: Dispenser) -> str | None:
    """The one argument, or None."""
    args = d.remaining_args()
    if len(args) > 1:
        raise d.arg_error("at most one argument")
    return args[0] if args else None


def flag(d: Dispenser) -> bool:
    """No argument: the option's name is all."""
    if d.remaining_args():
        raise d.arg_error("no argument")
    return True


def one_of(*choices: str) -> Reader:
    """One of some words."""

    def read(d: Dispenser) -> str:
        word = one(d, " or ".join(choices))
        if word not in choices:
            raise d.error(f"{word!r} is none of {', '.join(choices)}")
        return word

    return read


def to_int(d: Dispenser, text: str, what: str, low: int, high: int | None = None) -> int:
    """text as a whole number within bounds; ``what`` names it in the error."""
    if not _INTEGER.fullmatch(text):
        raise d.error(f"{what} must be {_whole(low, high)}, got {text!r}")
    value = int(text)
    if value < low or (high is not None and value > high):
        raise d.error(f"{what} must be {_whole(low, high)}, got {value}")
    return value


def _whole(low: int, high: int | None) -> str:
    return f"a whole number {f'of at least {low}' if high is None else f'from {low} to {high}'}"


def integer(low: int, high: int | None = None) -> Reader:
    """One whole number within bounds."""

    def read(d: Dispenser) -> int:
        name = d.text
        return to_int(d, one(d, _whole(low, high)), name, low, high)

    return read


def number(low: float) -> Reader:
    """One number, with or without a fraction."""

    def read(d: Dispenser) -> float:
        name, text = d.text, one(d, f"a number of at least {low:g}")
        value = float(text) if _NUMBER.fullmatch(text) else None
        if value is None or value == float("inf"):
            raise d.error(f"{name} must be a number of at least {low:g}, got {text!r}")
        if value < low:
            raise d.error(f"{name} must be a number of at least {low:g}, got {value:g}")
        return value

    return read


def to_duration_s(
    d: Dispenser, text: str, what: str, low_s: float = 0.0, high_s: float | None = None
) -> float:
    """text as a duration within bounds, in seconds; ``what`` names it in the error."""
    try:
        value = parse_duration_s(text)
    except ValueError as error:
        raise d.error(f"{what}: {error}") from None
    if value < low_s or (high_s is not None and value > high_s):
        bounds = f"at least {low_s:g}s" if high_s is None else f"from {low_s:g}s to {high_s:g}s"
        raise d.error(f"{what} must be {bounds}, got {text}")
    return value


def duration(low_s: float = 0.0, high_s: float | None = None, *, bare_seconds: bool = False) -> Reader:
    """One duration within bounds, in seconds. bare_seconds: a number without a unit counts seconds."""

    def read(d: Dispenser) -> float:
        name, text = d.text, one(d, A_DURATION)
        if bare_seconds and _INTEGER.fullmatch(text):
            text += "s"
        return to_duration_s(d, text, name, low_s, high_s)

    return read


def to_value_name(d: Dispenser, text: str) -> str:
    """The name of a value that plugins provide (plugins/values.py): a slash, and something on both sides of it."""
    if not 0 < text.find("/") < len(text) - 1:
        raise d.error(f"{text!r} names no value; expected PLUGIN/NAME")
    return text


def to_zones(d: Dispenser, texts: list[str]) -> tuple[str, ...]:
    """Zone arguments, normalized, CIDRs expanded."""
    try:
        return parse_zones(texts)
    except KeyProblem as problem:
        raise d.error(str(problem)) from None


def to_network(d: Dispenser, text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """text as a network in CIDR notation; bits of its address behind the prefix do not count."""
    try:
        if not _CIDR.fullmatch(text):
            raise ValueError("expected an address and a prefix length, such as 10.0.0.0/8 or fd00::/8")
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise d.error(f"invalid CIDR {text!r}: {error}") from None


def address(d: Dispenser, default: tuple[str, int]) -> tuple[str, int]:
    """At most one argument ``[HOST]:PORT``, IPv6 in brackets. An empty HOST is every address."""
    text = at_most_one(d)
    if text is None:
        return default
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not colon or (":" in bare and not bracketed) or "[" in bare or "]" in bare:
        raise d.error(f"{text!r} is no address; one looks like :8080, localhost:8080 or [::1]:8080")
    return bare, to_int(d, port, f"the port of {text!r}", 0, 65535)


def to_host_port(d: Dispenser, text: str, default_port: int) -> tuple[str, int]:
    """text as an IP address, perhaps with a port behind it: 10.0.0.1, 10.0.0.1:5300, ::1, [::1]:5300."""
    host = canonical_address(text)
    if host is not None:
        return host, default_port
    bare, colon, port = text.rpartition(":")
    if bare.startswith("[") and bare.endswith("]") and ":" in bare:
        host = canonical_address(bare[1:-1])
    elif ":" not in bare:
        host = canonical_address(bare)
    if host is None or not colon:
        raise d.error(f"must specify an IP address: {text!r}; one looks like 10.0.0.1, 10.0.0.1:5300 or [::1]:5300")
    return host, to_int(d, port, f"the port of {text!r}", 1, 65535) if port else default_port


# Tables


def store(name: str, reader: Reader) -> Option:
    """The option sets a field of the Config; where it is repeated, the last counts."""

    def read(d: Dispenser, fields: dict[str, Any]) -> None:
        fields[name] = reader(d)

    return read


def store_once(name: str, reader: Reader) -> Option:
    """As store, of an option that may not be repeated."""

    def read(d: Dispenser, fields: dict[str, Any]) -> None:
        if name in fields:
            raise d.error(f"{name} already defined for this server block")
        fields[name] = reader(d)

    return read


def extend(name: str, reader: Reader) -> Option:
    """The option adds to a field that is a tuple."""

    def read(d: Dispenser, fields: dict[str, Any]) -> None:
        fields[name] = (*fields.get(name, ()), *reader(d))

    return read


def only_options(d: Dispenser, table: Mapping[str, Option]) -> dict[str, Any]:
    """The fields of a directive that has no arguments, is there once, and has only these options."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        flag(d)
        read_options(d, table, fields)
    return fields


def read_options(
    d: Dispenser, table: Mapping[str, Option], fields: dict[str, Any], ending: Mapping[str, int] = NOTHING,
    other: Line | None = None,
) -> int:  # fmt: skip
    """Reads the block that may open here into fields; returns how many options it had.

    other: what reads the lines that are no options; None: there are none.
    ending: the options behind which CoreDNS takes the block's closing brace on the same line, with how many
    arguments they must have for that. It depends on how each of them reads its arguments there.
    """
    count = 0
    while d.next_block():
        count += 1
        right = False
        with d.mistakes.noted():
            _read_option(d, table, fields, ending, other)
            right = True
        d.ends_after = None
        if not right and d.ends_with_line():
            break
    return count


def _read_option(
    d: Dispenser, table: Mapping[str, Option], fields: dict[str, Any], ending: Mapping[str, int],
    other: Line | None,
) -> None:  # fmt: skip
    option = table.get(d.text)
    if option is None:
        if other is not None and other(d, fields):
            return
        import difflib

        near = difflib.get_close_matches(d.text[:64], table, n=1)
        others = f"; expected one of {', '.join(table)}" if table else "; there are no options"
        hint = removed(d.removed_options.get(d.text)) or (f"; did you mean {near[0]!r}?" if near else others)
        raise d.error(f"unknown option {d.text!r}{hint}")
    d.ends_after = ending.get(d.text)
    option(d, fields)
