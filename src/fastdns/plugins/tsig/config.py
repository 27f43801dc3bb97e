"""The options of tsig: secrets, and which messages must be signed."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import one, read_options, to_zones
from fastdns.dns import mnemonics
from fastdns.dns.names import wire_name

ALL, NONE = "all", "none"
TYPES = {name: number for number, name in mnemonics.TYPES.items()}
OPCODES = {"QUERY": 0, "IQUERY": 1, "STATUS": 2, "NOTIFY": 4, "UPDATE": 5}


@dataclass(frozen=True, slots=True)
class Config:
    """zones: whose messages are looked at. secrets: by the key's name in lowercased wire form, in their order.
    files: of more secrets. qtypes, opcodes: of messages that must be signed; None: of all."""

    zones: tuple[str, ...]
    secrets: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    files: tuple[str, ...] = ()
    qtypes: frozenset[int] | None = frozenset()
    opcodes: frozenset[int] | None = frozenset()


def to_key_name(text: str) -> bytes:
    """A key's name in lowercased wire form. Raises ValueError."""
    return wire_name(text)


def to_secret(text: str) -> bytes:
    """What is shared. The error does not repeat it. Raises ValueError."""
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the secret is not base64: {error}") from None
    if not secret:
        raise ValueError("the secret is empty")
    return secret


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Parse the directive, which a block may have once. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        fields["zones"] = to_zones(d, d.remaining_args()) or block.zones
        options = {
            "secret": _secret,
            "secrets": _secrets,
            "require": _require("qtypes", TYPES, "query type"),
            "require_opcode": _require("opcodes", OPCODES, "opcode"),
        }
        read_options(d, options, fields)
    return Config(**fields)


def _secret(d: Dispenser, fields: dict[str, Any]) -> None:
    args = d.remaining_args()
    if len(args) != 2:
        raise d.arg_error("the name of a key and its secret in base64")
    try:
        name, secret = to_key_name(args[0]), to_secret(args[1])
    except ValueError as error:
        raise d.error(str(error)) from None
    known = fields.get("secrets", ())
    if name in dict(known):
        raise d.error(f"key {args[0]!r} redefined")
    fields["secrets"] = (*known, (name, secret))


def _secrets(d: Dispenser, fields: dict[str, Any]) -> None:
    fields["files"] = (*fields.get("files", ()), one(d))


def _require(field_name: str, numbers: dict[str, int], what: str) -> Any:
    def read(d: Dispenser, fields: dict[str, Any]) -> None:
        args = d.remaining_args()
        if not args:
            raise d.arg_error(f"at least one {what}, {ALL} or {NONE}")
        word = args[0] if args[0] in (ALL, NONE) else ""
        if word and len(args) > 1:
            raise d.error(f"unexpected {args[1]!r} behind {word}")
        for text in () if word else args:
            if text not in numbers:
                raise d.error(f"unknown {what} {text!r}")
        listed = frozenset(numbers[text] for text in args if not word)
        # As in CoreDNS: the last line counts, but no line takes back all.
        if word == ALL:
            fields[field_name] = None
        elif fields.get(field_name, listed) is not None:
            fields[field_name] = listed

    return read
