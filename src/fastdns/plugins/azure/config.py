"""The options of azure: zones, and as whom Azure is asked for them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, one, one_of, read_options, store
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
)

# Of a cloud: where tokens come from, and where the API is.
CLOUDS = {
    "AZURECLOUD": ("https://login.microsoftonline.com", "https://management.azure.com"),
    "AZUREPUBLICCLOUD": ("https://login.microsoftonline.com", "https://management.azure.com"),
    "AZURECHINACLOUD": ("https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn"),
    "AZUREGERMANCLOUD": ("https://login.microsoftonline.de", "https://management.microsoftazure.de"),
    "AZUREUSGOVERNMENT": ("https://login.microsoftonline.us", "https://management.usgovcloudapi.net"),
    "AZUREUSGOVERNMENTCLOUD": ("https://login.microsoftonline.us", "https://management.usgovcloudapi.net"),
}
# The cloud whose endpoints a file has, which the environment names.
STACK = "AZURESTACKCLOUD"
STACK_FILE = "AZURE_ENVIRONMENT_FILEPATH"
MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Access:
    """How Azure is asked. secret "": as whom its own tools would ask. private: for private zones."""

    tenant: str = ""
    client: str = ""
    secret: str = field(default="", repr=False)
    subscription: str = ""
    environment: str = "AZUREPUBLICCLOUD"
    private: bool = False


def parse(d: Dispenser, block: BlockContext) -> Config:
    """As in CoreDNS, all directives of a block together have one set of options, except for access, which is for
    the zones of its directive. Raises CorefileError."""
    fields: dict[str, Any] = {}
    by_directive: list[tuple[tuple[HostedZone, ...], bool]] = []
    seen: set[HostedZone] = set()
    for _ in d.occurrences():
        zones = _zones(d, seen)
        read_options(d, OPTIONS, fields, ENDING)
        by_directive.append((zones, fields.pop("access", "public") == "private"))
        check_layers(d, seen)
    named = fields.pop("fallthrough", ())
    listings = tuple(Listing(zones, Access(private=private, **fields)) for zones, private in by_directive)
    return Config(listings, overlap((one for listing in listings for one in listing.zones), named))


def _zones(d: Dispenser, seen: set[HostedZone]) -> tuple[HostedZone, ...]:
    """RESOURCE_GROUP:ZONE..."""
    zones: list[HostedZone] = []
    for text in d.remaining_args():
        group, zone = split(d, text, 2, "resource group/zone")
        made = HostedZone(to_zone(d, zone), group)
        if made in seen:
            raise d.error(f"conflicting zone: {text!r}")
        seen.add(made)
        zones.append(made)
    return tuple(zones)


def endpoints(environment: str) -> tuple[str, str]:
    """Of a cloud, see CLOUDS. Raises FastdnsError."""
    if environment != STACK:
        return CLOUDS[environment]
    file = os.environ.get(STACK_FILE, "")
    try:
        with Path(file).open("rb") as opened:
            found = json.loads(opened.read(MAX_FILE_BYTES))
        login, manager = found["activeDirectoryEndpoint"], found["resourceManagerEndpoint"]
        return login.rstrip("/"), manager.rstrip("/")
    except OSError as error:
        raise FastdnsError(f"{STACK_FILE} names {file!r}: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        expected = "activeDirectoryEndpoint and resourceManagerEndpoint"
        raise FastdnsError(f"{STACK_FILE} names {file!r}: expected JSON with {expected}") from None


def _environment(d: Dispenser) -> str:
    text = one(d)
    if text.upper() not in (*CLOUDS, STACK):
        raise d.error(
            f"cannot set azure environment: there is no cloud environment matching the name {text!r}; "
            f"expected one of {', '.join((*CLOUDS, STACK))}"
        )
    return text.upper()


def _secret(d: Dispenser) -> str:
    """No error shows what stands there."""
    args = d.remaining_args()
    if len(args) != 1:
        raise d.error(f"secret needs one argument, got {len(args)}")
    return args[0]


OPTIONS: dict[str, Option] = {
    "tenant": store("tenant", one),
    "client": store("client", one),
    "secret": store("secret", _secret),
    "subscription": store("subscription", one),
    "environment": store("environment", _environment),
    "fallthrough": store("fallthrough", fallthrough),
    "access": store("access", one_of("public", "private")),
}

# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING = {
    "tenant": 1, "client": 1, "secret": 1, "subscription": 1, "environment": 1, "fallthrough": 0, "access": 1,
}  # fmt: skip
