"""What a DNSSEC signature is of (RFC 4034 section 3.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastdns.dns.signing_keys import Key

CLASS_IN = 1
FIXED = struct.Struct("!HBBIIIH")


def label_count(owner: bytes) -> int:
    """RFC 4034 section 3.1.3: without the root, and without the asterisk of a wildcard."""
    count, at = 0, 2 if owner[:2] == b"\1*" else 0
    while owner[at]:
        count += 1
        at += 1 + owner[at]
    return count


def rrsig_head(
    owner: bytes, rdtype: int, ttl_s: int, key: Key, signer: bytes, inception_s: int, expiration_s: int
) -> bytes:
    """The rdata of an RRSIG record, up to its signature. ttl_s: the original one. Names in lowercased wire form."""
    algorithm = int(key.dnskey.algorithm)
    return FIXED.pack(rdtype, algorithm, label_count(owner), ttl_s, expiration_s, inception_s, key.tag) + signer


def signed_bytes(head: bytes, owner: bytes, rdtype: int, ttl_s: int, rdatas: Iterable[bytes]) -> bytes:
    """RFC 4034 section 3.1.8.1. rdatas: in canonical form and order, each once."""
    before = owner + struct.pack("!HHI", rdtype, CLASS_IN, ttl_s)
    return b"".join((head, *(before + len(rdata).to_bytes(2, "big") + rdata for rdata in rdatas)))
