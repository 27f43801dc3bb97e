"""The options of dnssec: zones, keys, and how many signatures are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, integer, read_options, store, to_zones
from fastdns.dns.signing_keys import file_base

DEFAULT_CAPACITY = 10_000
# CoreDNS's cache has 256 shards of at least four entries.
MIN_CAPACITY = 1024
MAX_CAPACITY = 10_000_000
MAX_KEYS = 16
FILE = "file"
SOURCES = (FILE, "aws_secretsmanager")


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a key is. source: of SOURCES. name: of a file, resolved against the root, without .key or .private; or
    of a secret."""

    source: str
    name: str


@dataclass(frozen=True, slots=True)
class Config:
    """zones: that are signed, the longest first. capacity: RRsets whose signatures are kept."""

    zones: tuple[str, ...]
    keys: tuple[KeySource, ...] = ()
    capacity: int = DEFAULT_CAPACITY


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once a block. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        zones = to_zones(d, d.remaining_args()) or block.zones
        fields["zones"] = tuple(sorted(dict.fromkeys(zones), key=lambda zone: -len(zone)))

        def key(d: Dispenser, fields: dict[str, Any]) -> None:
            fields["keys"] = (*fields.get("keys", ()), *_sources(d, block))
            if len(fields["keys"]) > MAX_KEYS:
                raise d.error(f"more than {MAX_KEYS} keys")

        options: dict[str, Option] = {
            "key": key,
            "cache_capacity": store("capacity", integer(0, MAX_CAPACITY)),
        }
        read_options(d, options, fields)
        if not fields.get("keys"):
            block.warnings.append("plugin/dnssec: no key is given: nothing will be signed")
    return Config(**fields)


def _sources(d: Dispenser, block: BlockContext) -> list[KeySource]:
    source = d.text if d.next_arg() else ""
    if source not in SOURCES:
        raise d.arg_error(f"{' or '.join(SOURCES)}, and keys")
    names = d.remaining_args()
    if not names:
        raise d.arg_error("one key at least")
    if source == FILE:
        names = [block.resolve(file_base(name)) for name in names]
    return [KeySource(source, name) for name in names]
