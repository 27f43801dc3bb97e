"""Signs RRsets on the event loop of a worker, and keeps the signatures for all workers."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdns.dns.names import wire_name
from fastdns.dns.rrsig import rrsig_head, signed_bytes
from fastdns.dns.signing_keys import Key
from fastdns.plugins.dnssec._signatures import Signatures
from fastdns.plugins.python import PythonStep, Request

if TYPE_CHECKING:
    from dnslib import DNSRecord

    from fastdns.serve._values import BlockValue
    from fastdns.serve.python._step import HandOver

TYPE_DNSKEY = 48
# CoreDNS's: clocks may be set back by so much, and a signature is good for so long.
INCEPTION_S = -3 * 3600
EXPIRATION_S = 8 * 86400
# As _step.pyx: ORIGINAL_TTL_S, and what put_item writes.
ORIGINAL_TTL_S = 3600
ITEM = struct.Struct("!I16sHHH")


@dataclass(frozen=True, slots=True)
class Item:
    """An RRset to be signed. key: of its signatures. zone: its number. rdatas: in canonical form."""

    key: bytes
    rdtype: int
    zone: int
    owner: bytes
    rdatas: Sequence[bytes]


def items(handed: bytes) -> Iterator[Item]:
    """What the native half has handed along."""
    at = 0
    while at < len(handed):
        size, key, rdtype, zone, owner_len = ITEM.unpack_from(handed, at)
        end, at = at + size, at + ITEM.size
        owner = handed[at : at + owner_len]
        at += owner_len
        rdatas = set()
        while at < end:
            length = int.from_bytes(handed[at : at + 2], "big")
            rdatas.add(handed[at + 2 : at + 2 + length])
            at += 2 + length
        yield Item(key, rdtype, zone, owner, sorted(rdatas))


def signing_keys(keys: Sequence[Key], rdtype: int) -> Sequence[Key]:
    """Those that sign RRsets of a type: all, unless some keys have the SEP bit and others have not."""
    with_sep = [key for key in keys if key.is_sep]
    if not with_sep or len(with_sep) == len(keys):
        return keys
    return with_sep if rdtype == TYPE_DNSKEY else [key for key in keys if not key.is_sep]


def signature_bytes(keys: Sequence[Key]) -> int:
    """The most that the signatures of one RRset take."""
    return max(sum(key.signature_bytes for key in signing_keys(keys, rdtype)) for rdtype in (TYPE_DNSKEY, 0))


class Signing(PythonStep):
    """The half in Python. zones: as the native half numbers them. counter, too_large: see DnssecStep."""

    def __init__(
        self, zones: Sequence[str], keys: Sequence[Key], signatures: Signatures, counter: int, too_large: int
    ) -> None:
        self.zones = [wire_name(zone) for zone in zones]
        self.keys = keys
        self.signatures = signatures
        self.counter = counter
        self.too_large = too_large

    def in_chain(self, plugin: str, first_counter: int, values: Sequence[BlockValue]) -> HandOver:
        from fastdns.plugins.dnssec._step import DnssecStep

        # RFC 2181 section 5.2: an RRset has one TTL.
        ttl_s = min((key.ttl_s for key in self.keys), default=0)
        keys = [
            (
                int(key.dnskey.algorithm), key.is_sep, key.tag, key.signature_bytes,
                key.dnskey.to_wire() or b"", ttl_s,
            )
            for key in self.keys
        ]  # fmt: skip
        return DnssecStep(
            self, plugin, first_counter, values, self.signatures, keys, self.zones, self.counter, self.too_large
        )

    async def serve(self, request: Request) -> DNSRecord | None:
        """Sign what has no signatures. Afterwards the native half finds them."""
        for item in items(request.handed):
            self.sign(item, int(time.time()))
            # RSA takes a millisecond: others have their turn.
            await asyncio.sleep(0)
        return None

    def sign(self, item: Item, now_s: int) -> None:
        """Sign one RRset, unless another query has had it signed meanwhile."""
        keys = signing_keys(self.keys, item.rdtype)
        if self.signatures.find(item.key, sum(key.signature_bytes for key in keys), now_s):
            return
        inception_s, expiration_s = now_s + INCEPTION_S, now_s + EXPIRATION_S
        signer = self.zones[item.zone]
        made = b""
        for key in keys:
            head = rrsig_head(
                item.owner, item.rdtype, ORIGINAL_TTL_S, key, signer, inception_s, expiration_s
            )
            made += key.private.sign(signed_bytes(head, item.owner, item.rdtype, ORIGINAL_TTL_S, item.rdatas))
        self.signatures.put(item.key, made, inception_s, expiration_s)
