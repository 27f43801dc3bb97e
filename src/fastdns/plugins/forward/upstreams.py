"""Turns the TO of a stanza into addresses: reads files of nameservers, and resolves host names.

Everything here blocks: on files, and on the network for host names. With ``resolver``, a lookup takes at most
LOOKUP_S for each record type and resolver; without, resolv.conf(5) sets the time. The supervisor calls this at the
start, at each reload, and when a watched file has changed.
"""

from __future__ import annotations

import logging
import secrets
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdns.dns._framing import framed
from fastdns.errors import CorefileError
from fastdns.netaddrs import canonical_address, host_of, socket_address
from fastdns.plugins.forward.config import (
    DNS,
    PORTS,
    Address,
    HostName,
    NameserverFile,
    Stanza,
    TlsFiles,
    To,
)
from fastdns.plugins.nameservers import NameserverFiles
from fastdns.tls import bare_client_context

if TYPE_CHECKING:
    from dnslib import DNSRecord

# The timeout of one query to one resolver, as in CoreDNS.
LOOKUP_S = 2.0
# Each upstream takes memory and health checks in every worker, and the workers' table has 128 places.
MAX_UPSTREAMS = 128
# The limit on stanzas of a Corefile: a worker has counters for 64 (_stats.pxd).
MAX_STANZAS = 64

log = logging.getLogger("plugin/forward")


class Shortage(str):
    """The error text if an upstream was not asked because this host had no place or file descriptor left."""

    __slots__ = ()


class UpstreamError(CorefileError):
    """The upstreams of a stanza cannot be used: a file, host name or certificate that it names is not usable."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server to ask. transport: its scheme.

    address: an IP address in canonical form; a link-local one with its zone. server_name: the name that the
    certificate must have; None if that is the address, and always None for "dns".
    """

    transport: str
    address: str
    port: int
    server_name: str | None = None

    @property
    def to(self) -> str:
        """Address and port, as in CoreDNS's label ``to`` and error texts."""
        return host_port(self.address, self.port)

    @property
    def verified_name(self) -> str:
        """The name or address that the certificate must have."""
        return self.server_name or self.address.partition("%")[0]


def host_port(address: str, port: int) -> str:
    """192.0.2.1:53, [2001:db8::1]:53, [fe80::1%eth0]:53."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def resolve(stanza: Stanza, files: NameserverFiles | None = None) -> tuple[Upstream, ...]:
    """The upstreams of a stanza in the order of TO, each once. Raises UpstreamError.

    At most MAX_UPSTREAMS are returned, the first ones. Invalid lines of files are skipped. A file without a valid
    line is skipped if there is another upstream. The TLS files are tested as well.
    """
    files = files or NameserverFiles(log)
    found = tuple(dict.fromkeys(upstream for to in stanza.to for upstream in _expand(to, stanza, files)))
    if not found:
        raise _error(stanza, _why_none(stanza, files))
    if len(found) > MAX_UPSTREAMS:
        # A Corefile names at most 15, so the others come from files and host names.
        log.warning(
            "%s:%d - %d upstreams are found; only the first %d are used",
            stanza.file, stanza.line, len(found), MAX_UPSTREAMS,
        )  # fmt: skip
        found = found[:MAX_UPSTREAMS]
    if any(upstream.transport != DNS for upstream in found):
        tls_context(stanza)
    return found


def _why_none(stanza: Stanza, files: NameserverFiles) -> str:
    """The error text, with a remedy, if a stanza names only files and they have no nameserver."""
    paths = watched_files(stanza)
    problems = [problem for path in paths for problem in files.look(path).problems]
    found = f" ({problems[0]})" if problems else ""
    return (
        f"no upstream is left: there is no line like 'nameserver 192.0.2.1' in {' or '.join(paths)}{found}; "
        "correct the file, or name the address of an upstream here"
    )


def _expand(to: To, stanza: Stanza, files: NameserverFiles) -> Iterator[Upstream]:
    if isinstance(to, NameserverFile):
        yield from (Upstream(DNS, address, PORTS[DNS]) for address in files.read(to.path).addresses)
    elif isinstance(to, Address):
        yield Upstream(to.transport, to.address, to.port, _server_name(to, stanza, None))
    else:
        # The certificate must have the name in the Corefile, because a resolver's reply is not trustworthy.
        name = _server_name(to, stanza, to.name)
        yield from (Upstream(to.transport, address, to.port, name) for address in _lookup(to.name, stanza))


def _server_name(to: Address | HostName, stanza: Stanza, default: str | None) -> str | None:
    return None if to.transport == DNS else to.server_name or stanza.tls_servername or default


def _error(stanza: Stanza, message: str) -> UpstreamError:
    return UpstreamError(message, stanza.file, stanza.line, "forward")


# Files


def watched_files(stanza: Stanza) -> tuple[str, ...]:
    """The files of nameservers of a stanza, which may change while the server runs."""
    return tuple(to.path for to in stanza.to if isinstance(to, NameserverFile))


# Host names


def _lookup(name: str, stanza: Stanza) -> tuple[str, ...]:
    """All addresses of a host, each once. Raises UpstreamError if there is none."""
    try:
        found = _ask_resolvers(name, stanza.resolvers) if stanza.resolvers else _ask_system(name)
    except OSError as error:
        raise _error(stanza, f"failed to resolve {name!r}: {error.strerror or error}") from None
    addresses = tuple(filter(None, dict.fromkeys(map(canonical_address, found))))
    if not addresses:
        raise _error(stanza, f"failed to resolve {name!r}: it has no address")
    return addresses


def _ask_system(name: str) -> list[str]:
    infos = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [host_of(info[4]) for info in infos]


def _ask_resolvers(name: str, resolvers: Iterable[tuple[str, int]]) -> list[str]:
    """A and AAAA records of the first resolver that has any. Raises OSError if none has any and one failed."""
    failure: OSError | None = None
    for resolver in resolvers:
        found: list[str] = []
        try:
            for kind in ("A", "AAAA"):
                found += _ask_resolver(name, kind, resolver)
        except OSError as error:
            failure = error
        if found:
            return found
    if failure is not None:
        raise failure
    return []


def _ask_resolver(name: str, kind: str, resolver: tuple[str, int]) -> list[str]:
    """The records of one type in a resolver's reply; over TCP if the reply over UDP is truncated."""
    # Imported only if a stanza names a resolver.
    from dnslib import DNSRecord

    query = DNSRecord.question(name, kind)
    query.header.id = secrets.randbits(16)
    reply = _exchange(query, resolver, socket.SOCK_DGRAM)
    if reply.header.tc:
        reply = _exchange(query, resolver, socket.SOCK_STREAM)
    wanted = query.q.qtype
    return [str(record.rdata) for record in reply.rr if record.rtype == wanted]


def _exchange(query: DNSRecord, resolver: tuple[str, int], kind: socket.SocketKind) -> DNSRecord:
    """The reply to a query; other messages are ignored. Raises OSError, and TimeoutError after LOOKUP_S."""
    tcp = kind == socket.SOCK_STREAM
    message = bytes(query.pack())
    ends = time.monotonic() + LOOKUP_S
    with socket.socket(socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET, kind) as sock:
        sock.settimeout(LOOKUP_S)
        # A connected socket receives no datagrams from other addresses.
        sock.connect(socket_address(*resolver))
        sock.sendall(framed(message) if tcp else message)
        while (left_s := ends - time.monotonic()) > 0:
            sock.settimeout(left_s)
            data = _receive_framed(sock) if tcp else sock.recv(65535)
            reply = _parsed(data)
            if reply is not None and _answers(reply, query):
                return reply
    raise TimeoutError("timed out")


def _receive_framed(sock: socket.socket) -> bytes:
    with sock.makefile("rb") as stream:
        length = stream.read(2)
        data = stream.read(int.from_bytes(length, "big")) if len(length) == 2 else b""
    if not data:
        raise ConnectionResetError("the resolver closed the connection")
    return data


def _parsed(data: bytes) -> DNSRecord | None:
    from dnslib import DNSRecord

    try:
        return DNSRecord.parse(data)
    except Exception:
        # A malformed message raises many exceptions beside DNSError.
        return None


def _answers(reply: DNSRecord, query: DNSRecord) -> bool:
    return bool(
        reply.header.id == query.header.id
        and reply.header.qr
        and len(reply.questions) == 1
        and reply.q.qtype == query.q.qtype
        and str(reply.q.qname).lower() == str(query.q.qname).lower()
    )


# TLS


def tls_context(stanza: Stanza) -> ssl.SSLContext:
    """A client context with the stanza's files: TLS 1.2 or later, certificates verified. Raises UpstreamError.

    Create it once: loading the system's authorities takes 30 ms and 1 MB.
    """
    context = bare_client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 6125 section 6.4.4: only the subject alternative names are compared.
    context.hostname_checks_common_name = False
    files = stanza.tls
    if files.ca is None:
        context.load_default_certs()
    else:
        _load_authorities(context, files.ca, stanza)
    if files.certificate is not None:
        _load_certificate(context, files, stanza)
    return context


def _load_authorities(context: ssl.SSLContext, path: str, stanza: Stanza) -> None:
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise _error(stanza, f"cannot read certificate authorities from {path}: {_reason(error)}") from None


def _load_certificate(context: ssl.SSLContext, files: TlsFiles, stanza: Stanza) -> None:
    assert files.certificate is not None
    try:
        # Without a password here, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except OSError as error:
        raise _error(
            stanza, f"cannot read the certificate {files.certificate} with its key {files.key}: {_reason(error)}"
        ) from None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no PEM file of that kind ({error.reason or error})"
    return error.strerror or str(error)
