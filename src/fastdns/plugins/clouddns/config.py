"""The options of clouddns: managed zones, and as whom Google Cloud is asked for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, one, read_options, store
from fastdns.errors import FastdnsError
from fastdns.hostedzones.config import (
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

CREDENTIAL_TYPES = ("service_account", "authorized_user", "impersonated_service_account", "external_account")
MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Access:
    """credentials: a file with them; "": those that Google's own tools would use."""

    credentials: str = ""


def parse(d: Dispenser, block: BlockContext) -> Config:
    """As in CoreDNS, each directive has its own options. Raises CorefileError."""
    listings: list[Listing] = []
    falls: list[str] = []
    for _ in d.occurrences():
        zones = _zones(d)
        fields: dict[str, Any] = {}
        read_options(d, OPTIONS, fields, ENDING)
        if fields.pop("upstream", None):
            block.warnings.append(warn_of_upstream("clouddns"))
        falls += overlap(zones, fields.pop("fallthrough", ()))
        listings.append(Listing(zones, Access(**fields)))
        check_layers(d, (one for listing in listings for one in listing.zones))
    return Config(tuple(listings), tuple(dict.fromkeys(falls)))


def _zones(d: Dispenser) -> tuple[HostedZone, ...]:
    """ZONE:PROJECT_ID:HOSTED_ZONE_NAME..."""
    zones: list[HostedZone] = []
    for text in d.remaining_args():
        zone, project, name = split(d, text, 3, "zone")
        made = HostedZone(to_zone(d, zone), f"{project}:{name}")
        if made in zones:
            raise d.error(f"conflict zone {text!r}")
        zones.append(made)
    return tuple(zones)


def check_credentials(file: str) -> None:
    """Whether a file has credentials of a kind that is allowed. Raises FastdnsError without them."""
    said = f"invalid credentials file {file!r}"
    try:
        with Path(file).open("rb") as opened:
            found = json.loads(opened.read(MAX_FILE_BYTES))
    except OSError as error:
        raise FastdnsError(f"{said}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise FastdnsError(f"{said}: it is no JSON") from None
    kind = found.get("type") if isinstance(found, dict) else None
    if not kind:
        raise FastdnsError(f"{said}: missing `type` field in credential")
    if kind not in CREDENTIAL_TYPES:
        raise FastdnsError(f"{said}: its type is none of {', '.join(CREDENTIAL_TYPES)}")


OPTIONS: dict[str, Option] = {
    "credentials": store("credentials", one),
    "fallthrough": store("fallthrough", fallthrough),
    "upstream": store("upstream", upstream),
}

# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING = {"credentials": 1, "fallthrough": 0, "upstream": 0}
