"""The options of grpc: which names go to which servers, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import one, one_of, read_options, store, to_host_port, to_zones, words
from fastdns.netaddrs import canonical_address
from fastdns.transports import table

# CoreDNS's limit of what is named.
MAX_TO = 15
DNS, GRPC = table.DEFAULT_SCHEME, table.GRPC.scheme
UNIX = "unix"
RANDOM, ROUND_ROBIN, SEQUENTIAL = "random", "round_robin", "sequential"

# A text that is meant as an address, and no file's name: it ends with a port, or is one of numbers.
_ADDRESS = re.compile(r"\[.*\](:.*)?|[0-9.]+(:.*)?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server. address: of IP, or the path of a socket, whose port is 0."""

    address: str
    port: int

    @property
    def to(self) -> str:
        """As metrics label it, and as the log says it."""
        if not self.port:
            return f"{UNIX}://{self.address}"
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class NameserverFile:
    """A file like resolv.conf(5), whose nameservers are asked at port 53."""

    path: str


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. "": no certificate of a client, or the system's authorities."""

    certificate: str = ""
    key: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """from_zone: normalized. exceptions: zones below it that go to the next plugin.

    tls: None where nothing is encrypted. tls_servername: that certificates must bear; "": the upstream's address.
    fallthrough: zones whose names go to the next plugin where there is no such name, or no answer; None: none.
    """

    from_zone: str
    to: tuple[Upstream | NameserverFile, ...]
    exceptions: tuple[str, ...] = ()
    tls: TlsFiles | None = None
    tls_servername: str = ""
    policy: str = RANDOM
    fallthrough: tuple[str, ...] | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once in a block. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        args = d.remaining_args()
        if len(args) < 2:
            raise d.arg_error("a zone, and at least one upstream: an IP address, a socket or a file")
        if len(args) - 1 > MAX_TO:
            raise d.error(f"at most {MAX_TO} upstreams may be named, got {len(args) - 1}")
        fields["from_zone"] = to_zones(d, args[:1])[0]
        fields["to"] = tuple(_to(d, text, block) for text in args[1:])
        read_options(d, OPTIONS, fields)
    files = fields.pop("tls", None)
    if files is not None:
        fields["tls"] = _tls_files([block.resolve(file) for file in files])
    elif fields.get("tls_servername"):
        fields["tls"] = TlsFiles()
    return Config(**fields)


def _to(d: Dispenser, text: str, block: BlockContext) -> Upstream | NameserverFile:
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        scheme, rest = DNS, text
    if scheme == UNIX and rest:
        return Upstream(block.resolve(rest), 0)
    if scheme not in (DNS, GRPC) or not rest:
        raise d.error(f"{text!r} is no upstream; expected an address, {UNIX}://PATH, or a file like resolv.conf")
    bare = rest.removeprefix("[").removesuffix("]")
    if canonical_address(bare.partition("%")[0]) is None and not _ADDRESS.fullmatch(rest):
        return NameserverFile(block.resolve(rest))
    address, port = to_host_port(d, bare if canonical_address(bare) else rest, table.DEFAULT_PORTS[scheme])
    return Upstream(address, port)


def _tls_files(files: list[str]) -> TlsFiles:
    if len(files) == 1:
        return TlsFiles(authority=files[0])
    return TlsFiles(*files)


def _tls(d: Dispenser) -> tuple[str, ...]:
    files = d.remaining_args()
    if len(files) > 3:
        raise d.arg_error("at most three files: CERT KEY CA")
    return tuple(files)


def _fallthrough(d: Dispenser) -> tuple[str, ...]:
    return to_zones(d, d.remaining_args()) or (".",)


def _except(d: Dispenser, fields: dict[str, Any]) -> None:
    names = words(d, "the names that are not asked here")
    fields["exceptions"] = (*fields.get("exceptions", ()), *to_zones(d, list(names)))


OPTIONS = {
    "except": _except,
    "tls": store("tls", _tls),
    "tls_servername": store("tls_servername", one),
    "policy": store("policy", one_of(RANDOM, ROUND_ROBIN, SEQUENTIAL)),
    "fallthrough": store("fallthrough", _fallthrough),
}
