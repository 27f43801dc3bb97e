"""The options of etcd: where it is, who asks it, which keys are served, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, duration, flag, one, read_options, store, to_zones, words

ENDPOINTS = ("http://localhost:2379",)
PATH = "/skydns"
MIN_LEASE_TTL_S = 30
MAX_LEASE_TTL_S = 86400
MAX_U32 = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """The options of one etcd directive.

    path: of the keys, clean: a slash before each element, "" for the root of etcd. tls: what the option names, the
    certificate and key of a client, and the authority: 0 to 3 files; None: the option is not given. fallthrough:
    zones whose unknown names go to the next plugin; None for none.
    """

    zones: tuple[str, ...]
    path: str = PATH
    endpoints: tuple[str, ...] = ENDPOINTS
    username: str = ""
    password: str = ""
    tls: tuple[str, ...] | None = None
    min_lease_ttl_s: int = MIN_LEASE_TTL_S
    max_lease_ttl_s: int = MAX_LEASE_TTL_S
    fallthrough: tuple[str, ...] | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        fields["zones"] = to_zones(d, d.remaining_args()) or block.zones
        read_options(d, OPTIONS, fields, ENDING)
    for option in fields.pop("idle", ()):
        block.warnings.append(f"plugin/etcd: the option {option} does nothing, as in CoreDNS; remove the line")
    if fields.get("tls") is not None:
        fields["tls"] = tuple(block.resolve(file) for file in fields["tls"])
    return Config(**fields)


def clean_path(text: str) -> str:
    """A path as Go's path.Clean has it, without the slash at its end: "" for the root."""
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "".join(f"/{part}" for part in parts)


# Options


def _path(d: Dispenser) -> str:
    return clean_path(one(d, "a path, such as /skydns"))


def _endpoints(d: Dispenser) -> tuple[str, ...]:
    return tuple(_url(d, text) for text in words(d, "the URL of a server, such as http://localhost:2379"))


def _url(d: Dispenser, text: str) -> str:
    """An endpoint as a URL. One without a scheme uses TLS where the block has the option tls."""
    url = text if "://" in text else f"//{text}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https", "") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable or parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise d.error(f"{text!r} is no endpoint; one looks like http://localhost:2379 or https://etcd.example:2379")
    return f"{url.rstrip('/')}"


def _credentials(d: Dispenser, fields: dict[str, Any]) -> None:
    args = d.remaining_args()
    if len(args) != 2:
        raise d.arg_error("a user name and a password")
    fields["username"], fields["password"] = args


def _tls(d: Dispenser) -> tuple[str, ...]:
    files = tuple(d.remaining_args())
    if len(files) > 3:
        raise d.arg_error("at most three files: certificate, key and CA")
    return files


def _lease_ttl(name: str, default: int) -> Option:
    read_s = duration(0, MAX_U32, bare_seconds=True)

    def read(d: Dispenser, fields: dict[str, Any]) -> None:
        # CoreDNS takes 0 for the default.
        fields[name] = int(read_s(d)) or default

    return read


def _fallthrough(d: Dispenser) -> tuple[str, ...]:
    return to_zones(d, d.remaining_args()) or (".",)


def _idle(d: Dispenser, fields: dict[str, Any]) -> None:
    """An option that SkyDNS had."""
    name = d.text
    if name == "upstream":
        d.remaining_args()
    else:
        flag(d)
    fields["idle"] = (*fields.get("idle", ()), name)


OPTIONS: dict[str, Option] = {
    "fallthrough": store("fallthrough", _fallthrough),
    "path": store("path", _path),
    "endpoint": store("endpoints", _endpoints),
    "credentials": _credentials,
    "tls": store("tls", _tls),
    "min-lease-ttl": _lease_ttl("min_lease_ttl_s", MIN_LEASE_TTL_S),
    "max-lease-ttl": _lease_ttl("max_lease_ttl_s", MAX_LEASE_TTL_S),
    "stubzones": _idle,
    "upstream": _idle,
    "debug": _idle,
}

# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING = {
    "fallthrough": 0, "path": 1, "endpoint": 1, "min-lease-ttl": 1, "max-lease-ttl": 1, "stubzones": 0,
    "upstream": 0, "debug": 0,
}  # fmt: skip
