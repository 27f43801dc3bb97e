"""The options of route53: hosted zones, and how AWS is asked for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, duration, one, read_options, store
from fastdns.hostedzones.config import (
    REFRESH_S,
    Config,
    HostedZone,
    Listing,
    check_layers,
    fallthrough,
    overlap,
    split,
    to_zone,
    upstream,
    warn_of_upstream,
)

# No time is too short for CoreDNS, but 0.
LEAST_REFRESH_S = 1e-9


@dataclass(frozen=True, slots=True)
class Access:
    """How AWS is asked. key_id, secret_key: static credentials, or both "". profile, shared_file: of shared
    credentials.

    endpoint: a URL in place of AWS's own.
    """

    endpoint: str = ""
    profile: str = ""
    shared_file: str = ""
    key_id: str = ""
    secret_key: str = field(default="", repr=False)


def parse(d: Dispenser, block: BlockContext) -> Config:
    """As in CoreDNS, each directive has its own options. Raises CorefileError."""
    listings: list[Listing] = []
    falls: list[str] = []
    for _ in d.occurrences():
        zones = _zones(d)
        fields: dict[str, Any] = {}
        read_options(d, OPTIONS, fields, ENDING)
        if fields.pop("upstream", None):
            block.warnings.append(warn_of_upstream("route53"))
        if "key_id" in fields:
            block.warnings.append(
                "plugin/route53: Save aws_access_key in Corefile has been deprecated, please use other "
                "authentication methods instead"
            )
        falls += overlap(zones, fields.pop("fallthrough", ()))
        refresh_s = fields.pop("refresh_s", REFRESH_S)
        listings.append(Listing(zones, Access(**fields), refresh_s))
        check_layers(d, (one for listing in listings for one in listing.zones))
    return Config(tuple(listings), tuple(dict.fromkeys(falls)))


def _zones(d: Dispenser) -> tuple[HostedZone, ...]:
    """ZONE:HOSTED_ZONE_ID..."""
    zones: list[HostedZone] = []
    for text in d.remaining_args():
        zone, its_id = split(d, text, 2, "zone")
        made = HostedZone(to_zone(d, zone), its_id)
        if made in zones:
            raise d.error(f"conflict zone {text!r}")
        zones.append(made)
    return tuple(zones)


def _access_key(d: Dispenser, fields: dict[str, Any]) -> None:
    """No error shows what stands there."""
    args = d.remaining_args()
    if len(args) != 2:
        raise d.error(f"aws_access_key needs an access key ID and a secret access key, got {len(args)} arguments")
    fields["key_id"], fields["secret_key"] = args


def _credentials(d: Dispenser, fields: dict[str, Any]) -> None:
    args = d.remaining_args()
    if len(args) not in (1, 2):
        raise d.arg_error("a profile, and optionally a file")
    fields["profile"] = args[0]
    fields["shared_file"] = args[1] if len(args) == 2 else ""


def _endpoint(d: Dispenser) -> str:
    text = one(d)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable:
        raise d.error(f"{text!r} is no endpoint; one looks like https://route53.example.com")
    return text


OPTIONS: dict[str, Option] = {
    "aws_access_key": _access_key,
    "aws_endpoint": store("endpoint", _endpoint),
    "credentials": _credentials,
    "fallthrough": store("fallthrough", fallthrough),
    "refresh": store("refresh_s", duration(LEAST_REFRESH_S, bare_seconds=True)),
    "upstream": store("upstream", upstream),
}

# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING = {
    "aws_access_key": 2, "aws_endpoint": 1, "credentials": 2, "fallthrough": 0, "refresh": 1, "upstream": 0,
}  # fmt: skip
