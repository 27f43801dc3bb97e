"""The rules of field edns0: EDNS options of the question (RFC 6891 section 6.1.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import to_value_name

SET, APPEND, REPLACE, UNSET = ACTIONS = ("set", "append", "replace", "unset")
VARIABLES = ("qname", "qtype", "client_ip", "client_port", "protocol", "server_ip", "server_port")
OPTION_NSID = 3
OPTION_SUBNET = 8
# What an option has beside its data, of the bytes that a question may have for upstreams.
MAX_DATA_BYTES = 512 - 4


@dataclass(frozen=True, slots=True)
class OptionRule:
    """What becomes of the option ``code``. data: what it says; variable: what says it, one of VARIABLES or the name
    of a value, ``plugin/name``; subnet_bits: of a client subnet, the length of an IPv4 and an IPv6 prefix.

    local: clients are shown it. revert: but for what this rule has made of it.
    """

    stop: bool
    action: str
    code: int
    data: bytes = b""
    variable: str = ""
    subnet_bits: tuple[int, int] = (0, 0)
    local: bool = False
    revert: bool = False


def option_rule(d: Dispenser, stop: bool, args: list[str]) -> OptionRule:
    """``local|nsid|subnet ACTION …``."""
    if len(args) < 2:
        raise d.error("an edns0 rule needs local, nsid or subnet, and an action")
    kind, action = args[0].lower(), args[1].lower()
    if action not in ACTIONS:
        raise d.error(f"invalid action {action!r}; it is set, append, replace or unset")
    if kind not in _READERS:
        raise d.error(f"invalid edns0 rule {args[0]!r}; it is local, nsid or subnet")
    revert = action != UNSET and args[-1] == "revert"
    rest = args[2:-1] if revert else args[2:]
    return _READERS[kind](d, stop, action, rest, revert)


def _local(d: Dispenser, stop: bool, action: str, args: list[str], revert: bool) -> OptionRule:
    if len(args) != (1 if action == UNSET else 2):
        raise d.error("a local rule takes a code" if action == UNSET else "a local rule takes a code and its data")
    code = _number(d, args[0], "the code of a local option", 0xFFFF)
    if action == UNSET:
        return OptionRule(stop, action, code, local=True)
    text = args[1]
    if text.startswith("{") and text.endswith("}"):
        return OptionRule(stop, action, code, variable=_variable(d, text[1:-1]), local=True, revert=revert)
    return OptionRule(stop, action, code, data=_data(d, text), local=True, revert=revert)


def _nsid(d: Dispenser, stop: bool, action: str, args: list[str], revert: bool) -> OptionRule:
    if args:
        raise d.error(f"an nsid rule takes no data, got {args[0]!r}")
    return OptionRule(stop, action, OPTION_NSID, revert=revert)


def _subnet(d: Dispenser, stop: bool, action: str, args: list[str], revert: bool) -> OptionRule:
    if action == UNSET:
        if args:
            raise d.error(f"subnet unset takes no argument, got {args[0]!r}")
        return OptionRule(stop, action, OPTION_SUBNET)
    if len(args) != 2:
        raise d.error("a subnet rule takes the length of the IPv4 prefix and that of the IPv6 prefix")
    bits = (
        _number(d, args[0], "the length of the IPv4 prefix", 32),
        _number(d, args[1], "the length of the IPv6 prefix", 128),
    )
    return OptionRule(stop, action, OPTION_SUBNET, subnet_bits=bits, revert=revert)


_READERS = {"local": _local, "nsid": _nsid, "subnet": _subnet}


def _number(d: Dispenser, text: str, what: str, high: int) -> int:
    """Decimal, or as Go writes other bases: 0x10, 0o20, 020, 0b10000."""
    expected = f"{what} must be a whole number from 0 to {high}, got {text!r}"
    if not re.fullmatch(r"[0-9][0-9a-zA-Z_]*", text):
        raise d.error(expected)
    octal = re.fullmatch(r"0_?[0-7_]+", text)
    try:
        value = int(text, 8) if octal else int(text, 0)
    except ValueError:
        raise d.error(expected) from None
    if value > high:
        raise d.error(expected)
    return value


def _data(d: Dispenser, text: str) -> bytes:
    """The bytes of a text, or after 0x those of hexadecimal digits."""
    data = text.encode("utf-8", "surrogateescape")
    if text.startswith("0x"):
        if not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", text[2:]):
            raise d.error(f"{text!r} is no hexadecimal data: pairs of digits expected after 0x")
        data = bytes.fromhex(text[2:])
    if len(data) > MAX_DATA_BYTES:
        raise d.error(f"an option has at most {MAX_DATA_BYTES} bytes of data, got {len(data)}")
    return data


def _variable(d: Dispenser, name: str) -> str:
    if name in VARIABLES:
        return name
    if "/" not in name:
        raise d.error(f"unknown variable {{{name}}}; there are {', '.join(VARIABLES)}, and values {{PLUGIN/NAME}}")
    return to_value_name(d, name)
