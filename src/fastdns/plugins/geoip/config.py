"""The options of geoip: the database, and whose address is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import flag, one, read_options, store


@dataclass(frozen=True, slots=True)
class Config:
    """file: of the database. edns_subnet: a client subnet in the query counts in place of the client's address."""

    file: str
    edns_subnet: bool = False


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Parse the directive, which a block may have once. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        fields["file"] = one(d, "a database file")
        read_options(d, {"edns-subnet": store("edns_subnet", flag)}, fields)
    return Config(**fields)
