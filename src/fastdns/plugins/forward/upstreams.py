"""From what a stanza names to the addresses that are asked: files are read, host names looked up.

Everything here blocks: on files, and for host names on the network, at most LOOKUP_S for each of their types and
resolvers; what the system's resolver takes is up to resolv.conf(5). The supervisor calls it at start, at each
reload, and when ``digest`` of the files that a stanza watches is another than before.
"""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdns.corefile.values import read_text
from fastdns.errors import CorefileError
from fastdns.plugins.forward.config import (
    DNS,
    PORTS,
    Address,
    HostName,
    NameserverFile,
    Stanza,
    TlsFiles,
    To,
    canonical_address,
)

if TYPE_CHECKING:
    from dnslib import DNSRecord

# Of one question to one resolver, as CoreDNS has it.
LOOKUP_S = 2.0
# Files and names may hold any number; each costs memory and health checks in every worker, whose table holds 128.
MAX_UPSTREAMS = 128
# Of all blocks of a Corefile: what counts their queries in each worker has places for 64 (_stats.pxd).
MAX_STANZAS = 64
LENGTH = struct.Struct(">H")

# Modification time in ns, inode and size of a file; None where there is none.
FileState = tuple[int, int, int] | None


class UpstreamError(CorefileError):
    """Upstreams that cannot be had: a file, a host name or a certificate that a stanza names does not serve."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server to ask. transport: "dns", "tls" or "https".

    address: IP text in its canonical form, without a zone id. server_name: the name that its certificate has to
    have, None where that is the address; never set for "dns".
    """

    transport: str
    address: str
    port: int
    server_name: str | None = None

    @property
    def to(self) -> str:
        """Address and port, as CoreDNS's label ``to`` and its error texts have them."""
        return host_port(self.address, self.port)

    @property
    def verified_name(self) -> str:
        """The name or address that the certificate has to have."""
        return self.server_name or self.address


def host_port(address: str, port: int) -> str:
    """192.0.2.1:53, [2001:db8::1]:53."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def resolve(stanza: Stanza) -> tuple[Upstream, ...]:
    """All upstreams of a stanza in the order of their naming, each once. Raises UpstreamError.

    Files without a nameserver are skipped, as long as there is an upstream at all. TLS files are tried, too.
    """
    found = tuple(dict.fromkeys(upstream for to in stanza.to for upstream in _expand(to, stanza)))
    if not found:
        raise _error(stanza, "no upstream is left: the files that are named hold no nameserver")
    if len(found) > MAX_UPSTREAMS:
        raise _error(stanza, f"at most {MAX_UPSTREAMS} upstreams are possible, got {len(found)}")
    if any(upstream.transport != DNS for upstream in found):
        tls_context(stanza)
    return found


def _expand(to: To, stanza: Stanza) -> Iterator[Upstream]:
    if isinstance(to, NameserverFile):
        yield from _nameservers(to.path, stanza)
    elif isinstance(to, Address):
        yield Upstream(to.transport, to.address, to.port, _server_name(to, stanza, None))
    else:
        # A certificate is for the name that the user knows, not for an address that a resolver has told us.
        name = _server_name(to, stanza, to.name)
        yield from (Upstream(to.transport, address, to.port, name) for address in _lookup(to.name, stanza))


def _server_name(to: Address | HostName, stanza: Stanza, default: str | None) -> str | None:
    return None if to.transport == DNS else to.server_name or stanza.tls_servername or default


def _error(stanza: Stanza, message: str) -> UpstreamError:
    return UpstreamError(message, stanza.file, stanza.line, "forward")


# Files


def watched_files(stanza: Stanza) -> tuple[str, ...]:
    """The files whose nameservers are asked: what may change while we run."""
    return tuple(to.path for to in stanza.to if isinstance(to, NameserverFile))


def digest(paths: Iterable[str]) -> tuple[FileState, ...]:
    """What changes when one of these files does: one stat(2) each. Compare it with the one before."""
    return tuple(_file_state(path) for path in paths)


def _file_state(path: str) -> FileState:
    try:
        # Follows links: those of a mounted ConfigMap point elsewhere after a change.
        state = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ino, state.st_size


def _nameservers(path: str, stanza: Stanza) -> Iterator[Upstream]:
    """The nameserver lines of a file like resolv.conf(5); everything else in it is skipped."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise _error(stanza, f"cannot read {path}: {reason}") from None
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        # CoreDNS drops zone ids (fe80::1%eth0) here as well.
        address = canonical_address(words[1].partition("%")[0])
        if address is None:
            raise UpstreamError(
                f"a nameserver has to be an IP address, got {words[1]!r}", path, number, "forward"
            )
        yield Upstream(DNS, address, PORTS[DNS])


# Host names


def _lookup(name: str, stanza: Stanza) -> tuple[str, ...]:
    """All addresses of a host, each once. Raises UpstreamError where there is none."""
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
    return [str(info[4][0]).partition("%")[0] for info in infos]


def _ask_resolvers(name: str, resolvers: Iterable[tuple[str, int]]) -> list[str]:
    """A and AAAA records of the first resolver that has any. Raises OSError if there is none and one was silent."""
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
    """The data of the records of a type in one resolver's reply; over TCP where it is truncated."""
    # Only who names a resolver pays for this import.
    from dnslib import DNSRecord

    query = DNSRecord.question(name, kind)
    query.header.id = secrets.randbits(16)
    reply = _exchange(query, resolver, socket.SOCK_DGRAM)
    if reply.header.tc:
        reply = _exchange(query, resolver, socket.SOCK_STREAM)
    wanted = query.q.qtype
    return [str(record.rdata) for record in reply.rr if record.rtype == wanted]


def _exchange(query: DNSRecord, resolver: tuple[str, int], kind: socket.SocketKind) -> DNSRecord:
    """The reply to a query. Raises OSError, TimeoutError after LOOKUP_S; other messages do not count."""
    tcp = kind == socket.SOCK_STREAM
    message = query.pack()
    ends = time.monotonic() + LOOKUP_S
    with socket.socket(socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET, kind) as sock:
        sock.settimeout(LOOKUP_S)
        # Connected: datagrams of others do not reach it.
        sock.connect(resolver)
        sock.sendall(LENGTH.pack(len(message)) + message if tcp else message)
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
        data = stream.read(LENGTH.unpack(length)[0]) if len(length) == 2 else b""
    if not data:
        raise ConnectionResetError("the resolver closed the connection")
    return data


def _parsed(data: bytes) -> DNSRecord | None:
    from dnslib import DNSRecord

    try:
        return DNSRecord.parse(data)
    except Exception:
        # Not only DNSError: what is mangled fails in many ways.
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
    """A client's context with the stanza's files: TLS 1.2 at least, certificates verified. Raises UpstreamError.

    The system's authorities cost 30 ms and a megabyte: make it once.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 6125 section 6.4.4: names stand in the alternative names.
    context.hostname_checks_common_name = False
    files = stanza.tls
    if files.ca is None:
        context.load_default_certs()
    else:
        # A server's own certificate, or one in mid-chain, may be named as an authority, as with CoreDNS.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
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
        # Without a password of our own OpenSSL would ask the terminal for one.
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except OSError as error:
        raise _error(
            stanza, f"cannot read the certificate {files.certificate} with its key {files.key}: {_reason(error)}"
        ) from None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no PEM file of that kind ({error.reason or error})"
    return error.strerror or str(error)
