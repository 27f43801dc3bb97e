"""The options of nomad: the agents that are asked, as whom, for which services; and the zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, at_most_one, extend, integer, one, read_options, store, to_zones, words

ZONE = "service.nomad."
TTL_S = 30
MAX_TTL_S = 3600


@dataclass(frozen=True, slots=True)
class Config:
    """The options of one nomad directive.

    addresses: URLs of agents, http, https or unix; none: that of the environment. filter: an expression of Nomad's.
    """

    zone: str = ZONE
    addresses: tuple[str, ...] = ()
    filter: str = ""
    token: str = ""
    ttl_s: int = TTL_S


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        zone = at_most_one(d)
        if zone is not None:
            fields["zone"], *more = to_zones(d, [zone])
            if more:
                raise d.error(f"{zone!r} is several zones; expected one")
        read_options(d, OPTIONS, fields, ENDING)
    return Config(**fields)


def _addresses(d: Dispenser) -> tuple[str, ...]:
    return tuple(to_address(d, text) for text in words(d, "an address, such as http://127.0.0.1:4646"))


def to_address(d: Dispenser, text: str) -> str:
    """The URL of an agent."""
    if not is_address(text):
        raise d.error(f"{text!r} is no address; one looks like http://127.0.0.1:4646 or unix:///secrets/api.sock")
    return text.rstrip("/")


def is_address(text: str) -> bool:
    """Whether this is the URL of an agent."""
    try:
        parts = urlsplit(text)
        if parts.scheme == "unix":
            return bool(parts.path) and not parts.query
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        return False
    return bool(usable) and not parts.query and not parts.fragment and parts.username is None


# CoreDNS reads the names of these options in any case.
class AnyCase(dict[str, Option]):
    """Options by their names, whose case does not count."""

    def get(self, name: str, default: Any = None) -> Any:
        """The option of a name."""
        return super().get(name.lower(), default)


OPTIONS = AnyCase({
    "address": extend("addresses", _addresses),
    "filter": store("filter", one),
    "token": store("token", one),
    "ttl": store("ttl_s", integer(0, MAX_TTL_S)),
})  # fmt: skip

# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING = {"address": 1}
