"""The options of forward: which names go to which upstreams, and how.

A server block may have several forward directives. Each is a Stanza, and they are tried in order. Parsing opens no
files and asks no servers: ``upstreams.resolve`` does both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.keys import KeyProblem, normalize
from fastdns.corefile.options import (
    Option,
    duration,
    extend,
    flag,
    integer,
    one,
    one_of,
    read_options,
    store,
    to_duration_s,
    to_int,
    to_zones,
    words,
)
from fastdns.dns import mnemonics
from fastdns.errors import UnsupportedError
from fastdns.netaddrs import canonical_address, interface_index, needs_zone, zone_of
from fastdns.transports import table

# The schemes of upstreams.
DNS, TLS, HTTPS = table.DEFAULT_SCHEME, table.TLS.scheme, table.HTTPS.scheme
HTTPS3, QUIC = table.HTTPS3.scheme, table.QUIC.scheme
PORTS = {scheme: table.DEFAULT_PORTS[scheme] for scheme in (DNS, TLS, HTTPS, HTTPS3, QUIC)}
# DNS over HTTPS, whichever version of HTTP; and what carries many asks on one connection.
HTTP = {HTTPS, HTTPS3}
SHARED = {HTTPS, HTTPS3, QUIC}
ENCRYPTED = {TLS} | SHARED
# RFC 8484 section 4.1.1, as CoreDNS has it.
DOH_PATH = "/dns-query"
# CoreDNS's limit. A file counts once, whatever it contains.
MAX_TO = 15
MAX_COUNT = 2**32 - 1
DEFAULT_ATTEMPTS_PER_UPSTREAM = 2

RANDOM, ROUND_ROBIN, SEQUENTIAL = "random", "round_robin", "sequential"

# The names that CoreDNS accepts. Two codes have a second name.
RCODES = {**{name: number for number, name in mnemonics.RCODES.items()}, "NOTIMPL": 4, "BADVERS": 16}

# HOST[%NAME][:PORT], [IPV6[%NAME]][:PORT], IPV6[%NAME]
_BRACKETED = re.compile(r"\[(?P<host>[^\[\]%]+)(?:%(?P<name>[^\[\]%]+))?\](?::(?P<port>.*))?")
_PLAIN = re.compile(r"(?P<host>[^\[\]%:]+)(?:%(?P<name>[^\[\]%:]+))?(?::(?P<port>[^:]*))?")
_BARE_IPV6 = re.compile(r"(?P<host>[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*)(?:%(?P<name>[^\[\]%:]+))?(?P<port>(?!))?")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Address:
    """A TO that is an IP address. transport: a scheme of PORTS.

    address: a link-local one has its zone. server_name: the text after % of other addresses.
    """

    transport: str
    address: str
    port: int
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class HostName:
    """A TO that is a host name. It is resolved at the start and at each reload."""

    transport: str
    name: str
    port: int
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class NameserverFile:
    """A TO that is a file like resolv.conf(5), whose nameservers are asked over port 53."""

    path: str


To = Address | HostName | NameserverFile


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. None: no client certificate, or the system's certificate authorities."""

    certificate: str | None = None
    key: str | None = None
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The probes. interval_s: the time between two of them. domain: the normalized name of the NS queries."""

    interval_s: float = 0.5
    recursion_desired: bool = True
    domain: str = "."


@dataclass(frozen=True, slots=True)
class Stanza:
    """One forward directive.

    from_zone: normalized. exceptions: zones below it that are not forwarded. policy: None if not given, see
    ``effective_policy``. max_connect_attempts: None if not given, see ``attempts``; 0 is no limit. max_idle_conns,
    max_age_s, max_concurrent: 0 is no limit. max_fails: 0 means never down. next_rcodes: response codes after which
    the next stanza is asked; next_on_nodata: also after an empty answer. failover_rcodes: response codes after
    which the next upstream is asked. resolvers: (address, port) of the servers that resolve HostNames; empty for
    the system's resolver. file and line: the place in the Corefile.
    """

    from_zone: str
    to: tuple[To, ...]
    exceptions: tuple[str, ...] = ()
    force_tcp: bool = False
    prefer_udp: bool = False
    expire_s: float = 10.0
    max_age_s: float = 0.0
    max_idle_conns: int = 0
    read_timeout_s: float = 2.0
    max_fails: int = 2
    max_connect_attempts: int | None = None
    doh_method: str = "POST"
    tls: TlsFiles = TlsFiles()
    tls_servername: str | None = None
    policy: str | None = None
    health_check: HealthCheck = HealthCheck()
    max_concurrent: int = 0
    next_rcodes: tuple[int, ...] = ()
    next_on_nodata: bool = False
    failfast_all_unhealthy_upstreams: bool = False
    failover_rcodes: tuple[int, ...] = ()
    source_address: str | None = None
    resolvers: tuple[tuple[str, int], ...] = ()
    randomize_case: bool = False
    file: str = field(default="Corefile", compare=False)
    line: int = field(default=0, compare=False)

    def effective_policy(self, *, take_turns: bool) -> str:
        """The given policy. Without one: round_robin with take_turns, else random."""
        return self.policy or (ROUND_ROBIN if take_turns else RANDOM)

    def attempts(self, upstreams: int) -> int:
        """The limit on attempts of one query, with so many upstreams; 0 is no limit."""
        if self.max_connect_attempts is None:
            return DEFAULT_ATTEMPTS_PER_UPSTREAM * upstreams
        return self.max_connect_attempts


@dataclass(frozen=True, slots=True)
class Config:
    """The directives of a block, in order: the first whose zone covers the name is asked."""

    stanzas: tuple[Stanza, ...]


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Parse all directives of a block. Raises CorefileError. Options without effect become warnings."""
    stanzas = tuple(_stanza(d, block) for _ in d.occurrences())
    last = stanzas[-1]
    if last.next_rcodes or last.next_on_nodata:
        _warn(block, last.file, last.line, "next and next_on_nodata do nothing here: no forward follows")
    return Config(stanzas)


def _stanza(d: Dispenser, block: BlockContext) -> Stanza:
    fields: dict[str, Any] = {"file": d.file, "line": d.line}
    args = d.remaining_args()
    if len(args) < 2:
        raise d.arg_error("a zone, and at least one upstream: an IP address, a host name or a file")
    if len(args) - 1 > MAX_TO:
        raise d.error(f"at most {MAX_TO} upstreams may be named, got {len(args) - 1}")
    fields["from_zone"] = _from_zone(d, args[0], block)
    fields["to"] = tuple(_to(d, text, block) for text in args[1:])
    read_options(d, OPTIONS, fields, ENDING)
    fields["tls"] = _tls_files(fields.get("tls", ()), block)
    stanza = Stanza(**fields)
    _check_ages(d, stanza)
    _check_server_names(d, stanza)
    _warn_of_what_has_no_effect(stanza, block)
    return stanza


# FROM and TO


def _from_zone(d: Dispenser, text: str, block: BlockContext) -> str:
    zones = to_zones(d, [text])
    if len(zones) > 1:
        _warn(block, d.file, d.line, f"{text} is {len(zones)} zones, of which only {zones[0]} is forwarded")
    return zones[0]


def _to(d: Dispenser, text: str, block: BlockContext) -> To:
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = DNS, text
    if scheme not in PORTS:
        raise d.error(f"{scheme!r} is no transport to an upstream, got {text!r}; {', '.join(PORTS)} are")
    for row in table.of_scheme(scheme):
        if row.package and find_spec(row.package) is None:
            needed = f"{text!r} needs the package {row.package}"
            raise UnsupportedError(needed, f"install fastdns[{row.extra}]", d.file, d.line, d.plugin)
    if scheme in HTTP and "/" in rest:
        raise d.error(f"an {scheme} upstream has no path, which is always {DOH_PATH}, got {text!r}")
    if "/" in rest or _is_file_here(rest):
        return _file(d, text, scheme, rest)
    host, name, port = _split(d, text, rest, PORTS[scheme])
    scoped = canonical_address(f"{host}%{name}") if name is not None else None
    if name is not None and scoped is not None and zone_of(scoped) and (scheme == DNS or interface_index(name)):
        # With TLS it could also be the server's name; that is unlikely to be an interface of this host.
        return Address(scheme, scoped, port, None)
    if name is not None and scheme == DNS:
        # As in CoreDNS: after % stands a server name, and only with TLS.
        _warn(block, d.file, d.line, f"the zone id {name!r} of {text!r} is not used")
        name = None
    elif name is not None:
        name = _server_name(d, name)
    address = canonical_address(host)
    if address is not None:
        return Address(scheme, address, port, name)
    if not _is_host_name(host):
        raise d.error(f"{text!r} is neither an IP address, nor a file that exists, nor a host name")
    return HostName(scheme, host.rstrip(".").lower(), port, name)


def _is_file_here(text: str) -> bool:
    # A file name without a slash takes precedence over a host name, but not over an address.
    return canonical_address(text) is None and Path(text).is_file()


def _file(d: Dispenser, text: str, scheme: str, path: str) -> NameserverFile:
    if scheme != DNS:
        raise d.error(f"the nameservers of a file are asked over dns:// only, got {text!r}")
    if not Path(path).exists():
        raise d.error(f"no such file: {path!r}; a file with lines like 'nameserver 192.0.2.1' is expected")
    if Path(path).is_dir():
        raise d.error(f"{path!r} is a directory; a file with lines like 'nameserver 192.0.2.1' is expected")
    return NameserverFile(path)


def _split(d: Dispenser, text: str, rest: str, default_port: int) -> tuple[str, str | None, int]:
    """The host, the text after %, and the port."""
    parts = _BRACKETED.fullmatch(rest) or _PLAIN.fullmatch(rest) or _BARE_IPV6.fullmatch(rest)
    if parts is None or (rest.startswith("[") and canonical_address(parts["host"]) is None):
        raise d.error(f"{text!r} is no address; one looks like 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53")
    port = parts["port"]
    if port is None:
        return parts["host"], parts["name"], default_port
    return parts["host"], parts["name"], to_int(d, port, f"the port of {text!r}", 1, 65535)


def _is_host_name(text: str) -> bool:
    """RFC 1123 section 2.1, and underscores. If the last label is a number, it is a mistyped address."""
    labels = text.removesuffix(".").split(".")
    return len(text) <= 253 and not labels[-1].isdigit() and all(map(_HOST_LABEL.fullmatch, labels))


def _server_name(d: Dispenser, text: str) -> str:
    """A name to verify certificates against: a host name without its final dot, or an IP address."""
    address = canonical_address(text)
    if address is None and not _is_host_name(text):
        raise d.error(f"{text!r} is no server name; one looks like dns.example")
    return address or text.removesuffix(".").lower()


# Options


def _exceptions(d: Dispenser) -> tuple[str, ...]:
    return to_zones(d, list(words(d, "a zone")))


def _positive_duration(d: Dispenser) -> float:
    name, text = d.text, one(d)
    value = to_duration_s(d, text, name)
    if value == 0:
        raise d.error(f"{name} must be positive, got {text}")
    return value


def _tls(d: Dispenser) -> tuple[str, ...]:
    files = d.remaining_args()
    if len(files) > 3:
        raise d.arg_error("no file, the CA, certificate and key, or certificate, key and CA")
    return tuple(files)


def _tls_files(files: tuple[str, ...], block: BlockContext) -> TlsFiles:
    paths = [block.resolve(path) for path in files]
    if len(paths) == 1:
        return TlsFiles(ca=paths[0])
    return TlsFiles(*paths)


def _tls_servername(d: Dispenser) -> str:
    return _server_name(d, one(d, "the name in the certificate of the upstreams"))


def _health_check(d: Dispenser) -> HealthCheck:
    args = d.remaining_args()
    if not args:
        raise d.arg_error("a duration, and optionally no_rec and domain NAME")
    interval_s = to_duration_s(d, args[0], "the interval of health_check")
    recursion_desired, domain = True, "."
    rest = iter(args[1:])
    for word in rest:
        if word == "no_rec":
            recursion_desired = False
        elif word == "domain":
            domain = _domain(d, next(rest, None))
        else:
            raise d.error(f"health_check: unknown option {word!r}; it takes no_rec and domain NAME")
    return HealthCheck(interval_s, recursion_desired, domain)


def _domain(d: Dispenser, text: str | None) -> str:
    if text is None:
        raise d.arg_error("a domain name")
    try:
        return normalize(text)
    except KeyProblem as problem:
        raise d.error(f"health_check: {problem}") from None


def _rcodes(d: Dispenser) -> tuple[int, ...]:
    return tuple(_rcode(d, text) for text in words(d, "a response code, such as SERVFAIL"))


def _rcode(d: Dispenser, text: str) -> int:
    rcode = RCODES.get(text.upper())
    if rcode is None:
        raise d.error(f"{text!r} is no response code; one looks like SERVFAIL or NXDOMAIN")
    return rcode


def _failover_rcodes(d: Dispenser) -> tuple[int, ...]:
    rcodes = _rcodes(d)
    if RCODES["NOERROR"] in rcodes:
        raise d.error("failover takes codes of failures; NOERROR is none")
    return rcodes


def _resolvers(d: Dispenser) -> tuple[tuple[str, int], ...]:
    return tuple(_resolver(d, text) for text in words(d))


def _resolver(d: Dispenser, text: str) -> tuple[str, int]:
    host, zone, port = _split(d, text, text, PORTS[DNS])
    address = canonical_address(f"{host}%{zone}" if zone else host)
    if address is None or (zone is not None and zone_of(address) != zone):
        raise d.error(f"resolver must be an IP address, with or without a port, got {text!r}")
    return address, port


def _source_address(d: Dispenser) -> str:
    text = one(d)
    address = canonical_address(text)
    if address is None:
        raise d.error(f"source_address must be an IP address, got {text!r}")
    return address


OPTIONS: dict[str, Option] = {
    "except": extend("exceptions", _exceptions),
    "force_tcp": store("force_tcp", flag),
    "prefer_udp": store("prefer_udp", flag),
    "expire": store("expire_s", duration()),
    "max_age": store("max_age_s", duration()),
    "max_idle_conns": store("max_idle_conns", integer(0)),
    "read_timeout": store("read_timeout_s", _positive_duration),
    "max_fails": store("max_fails", integer(0, MAX_COUNT)),
    "max_connect_attempts": store("max_connect_attempts", integer(0, MAX_COUNT)),
    "doh_method": store("doh_method", one_of("POST", "GET")),
    "tls": store("tls", _tls),
    "tls_servername": store("tls_servername", _tls_servername),
    "policy": store("policy", one_of(RANDOM, ROUND_ROBIN, SEQUENTIAL)),
    "health_check": store("health_check", _health_check),
    "max_concurrent": store("max_concurrent", integer(0, MAX_COUNT)),
    "next": extend("next_rcodes", _rcodes),
    "next_on_nodata": store("next_on_nodata", flag),
    "failfast_all_unhealthy_upstreams": store("failfast_all_unhealthy_upstreams", flag),
    "failover": extend("failover_rcodes", _failover_rcodes),
    "source_address": store("source_address", _source_address),
    "resolver": store("resolvers", _resolvers),
    "randomize_case": store("randomize_case", flag),
}


# Checks that concern several options


def _check_ages(d: Dispenser, stanza: Stanza) -> None:
    if 0 < stanza.max_age_s < stanza.expire_s:
        raise d.error(f"max_age must be at least expire, got {stanza.max_age_s:g}s and {stanza.expire_s:g}s")


def _check_server_names(d: Dispenser, stanza: Stanza) -> None:
    if stanza.tls_servername is None:
        return
    for to in stanza.to:
        if not isinstance(to, NameserverFile) and to.server_name is not None:
            raise d.error(
                f"tls_servername {stanza.tls_servername} and an upstream's own name, %{to.server_name}, "
                "cannot both be set"
            )


def _warn_of_what_has_no_effect(stanza: Stanza, block: BlockContext) -> None:
    transports = {DNS if isinstance(to, NameserverFile) else to.transport for to in stanza.to}
    encrypted = bool(transports & ENCRYPTED)
    named = any(isinstance(to, HostName) for to in stanza.to)
    useless = {
        "tls": stanza.tls != TlsFiles() and not encrypted,
        "tls_servername": stanza.tls_servername is not None and not encrypted,
        "doh_method": stanza.doh_method != "POST" and not transports & HTTP,
        "resolver": bool(stanza.resolvers) and not named,
    }
    for option in (option for option, is_useless in useless.items() if is_useless):
        _warn(block, stanza.file, stanza.line, f"{option} has no effect: no upstream here needs it")
    source = stanza.source_address
    for to in stanza.to:
        if isinstance(to, Address) and needs_zone(to.address) and not zone_of(source or ""):
            _warn(
                block, stanza.file, stanza.line,
                f"{to.address} cannot be reached without its interface, as in {to.address}%eth0",
            )  # fmt: skip
        if source is not None and isinstance(to, Address) and (":" in source) != (":" in to.address):
            _warn(block, stanza.file, stanza.line, f"{to.address} cannot be reached from {source}")


def _warn(block: BlockContext, file: str, line: int, text: str) -> None:
    block.warnings.append(f"plugin/forward: {file}:{line} - {text}")


# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING = {
    "except": 1, "expire": 1, "max_age": 1, "max_idle_conns": 1, "read_timeout": 1, "max_fails": 1,
    "max_connect_attempts": 1, "doh_method": 1, "tls_servername": 1, "policy": 1, "max_concurrent": 1,
    "source_address": 1,
}  # fmt: skip
