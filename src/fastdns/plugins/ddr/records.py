"""SVCB records of a DNS server (RFC 9460 section 2.2, RFC 9461): one for each encrypted transport."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

# By the scheme of a listener, in the order in which clients should try them; the protocols that it negotiates.
ALPN: Mapping[str, tuple[bytes, ...]] = {
    "tls": (b"dot",),
    "quic": (b"doq",),
    "https3": (b"h3",),
    "https": (b"h2", b"http/1.1"),
}
HTTP = ("https", "https3")

# RFC 9460 section 14.3.2
KEY_ALPN, KEY_PORT, KEY_IPV4HINT, KEY_IPV6HINT, KEY_DOHPATH = 1, 3, 4, 6, 7


def svcb(
    name: bytes, listening: Iterable[tuple[str, int]], ports: Mapping[str, int], hints: Iterable[bytes], path: str
) -> list[bytes]:
    """The rdata of the records. name: of the server, as wire. listening: schemes and ports of listeners; the first
    one of a scheme counts. ports: in their place, by scheme. hints: addresses, packed."""
    first: dict[str, int] = {}
    for scheme, port in listening:
        first.setdefault(scheme, port)
    found: list[bytes] = []
    for scheme, protocols in ALPN.items():
        if scheme not in first:
            continue
        values = parameters(
            protocols, ports.get(scheme, first[scheme]), list(hints), path if scheme in HTTP else ""
        )
        fields = b"".join(struct.pack("!HH", key, len(value)) + value for key, value in values)
        found.append(struct.pack("!H", len(found) + 1) + name + fields)
    return found


def parameters(protocols: Iterable[bytes], port: int, hints: list[bytes], path: str) -> Iterator[tuple[int, bytes]]:
    """Keys and values, in the order of the keys (RFC 9460 section 2.2)."""
    yield KEY_ALPN, b"".join(bytes([len(one)]) + one for one in protocols)
    yield KEY_PORT, struct.pack("!H", port)
    for key, size in ((KEY_IPV4HINT, 4), (KEY_IPV6HINT, 16)):
        if addresses := [one for one in hints if len(one) == size]:
            yield key, b"".join(addresses)
    if path:
        yield KEY_DOHPATH, path.encode()
