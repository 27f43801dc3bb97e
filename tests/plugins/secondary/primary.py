"""A primary server of the test's own, on the test's event loop: it keeps the versions of zones, or says what it is
told to say."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Awaitable, Callable, Iterable

from tests.rrsets.oracle import SOA, Content, wire

A, IXFR, AXFR = 1, 251, 252
# Owner, type, TTL, rdata.
RR = tuple[bytes, int, int, bytes]


def packed(rr: RR, rrclass: int = 1) -> bytes:
    owner, rrtype, ttl_s, rdata = rr
    return owner + struct.pack("!HHIH", rrtype, rrclass, ttl_s, len(rdata)) + rdata


def reply(query: bytes, rrs: Iterable[bytes], *, flags: int = 0x8400, number: int | None = None) -> bytes:
    """A message that answers a query with records as they are packed."""
    rrs = list(rrs)
    ends = query.index(b"\0", 12) + 5
    own = int.from_bytes(query[:2], "big") if number is None else number
    return struct.pack("!6H", own & 0xFFFF, flags, 1, len(rrs), 0, 0) + query[12:ends] + b"".join(rrs)


def flat(content: Content, zone: bytes) -> list[RR]:
    """All records but the SOA record."""
    return [
        (wire(labels) + zone, rrtype, ttl_s, rdata)
        for labels, sets in content.items()
        for rrtype, (ttl_s, rrs) in sets.items()
        for rdata in rrs
        if rrtype != SOA
    ]


def soa_of(content: Content, zone: bytes) -> RR:
    ttl_s, rrs = content[()][SOA]
    return zone, SOA, ttl_s, rrs[0]


def serial_of(content: Content) -> int:
    return int.from_bytes(content[()][SOA][1][0][-20:-16], "big")


def whole(content: Content, zone: bytes) -> list[RR]:
    """A zone as AXFR has it."""
    return [soa_of(content, zone), *flat(content, zone), soa_of(content, zone)]


def differences(versions: list[Content], zone: bytes) -> list[RR]:
    """What leads from the first version to the last one, as IXFR has it."""
    rrs = [soa_of(versions[-1], zone)]
    for old, new in itertools.pairwise(versions):
        before, after = flat(old, zone), flat(new, zone)
        rrs += [soa_of(old, zone), *(rr for rr in before if rr not in after)]
        rrs += [soa_of(new, zone), *(rr for rr in after if rr not in before)]
    return [*rrs, soa_of(versions[-1], zone)]


def messages(query: bytes, rrs: list[RR], each: int = 50) -> list[bytes]:
    return [reply(query, map(packed, rrs[at : at + each])) for at in range(0, len(rrs), each)]


# What says a reply: it gets the query, and where to write it.
Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


class Primary:
    """versions: of each zone, oldest first; what IXFR can lead to is all of them. scripts: by type, what is done in
    place of an answer. asked: the types of the questions that came."""

    def __init__(self) -> None:
        self.versions: dict[bytes, list[Content]] = {}
        self.scripts: dict[int, Script] = {}
        self.asked: list[int] = []
        self.rcode = 0

    async def __aenter__(self) -> Primary:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.at = self.server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while size := await reader.read(2):
                query = await reader.readexactly(int.from_bytes(size, "big"))
                ends = query.index(b"\0", 12) + 1
                kind = int.from_bytes(query[ends : ends + 2], "big")
                self.asked.append(kind)
                if kind in self.scripts:
                    await self.scripts[kind](query, writer)
                    continue
                for message in self.answer(query, query[12:ends], kind):
                    writer.write(framed(message))
                    await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    def answer(self, query: bytes, zone: bytes, kind: int) -> list[bytes]:
        versions = self.versions.get(zone)
        if not versions or self.rcode:
            return [reply(query, [], flags=0x8400 | (self.rcode or 5))]
        if kind == SOA:
            return messages(query, [soa_of(versions[-1], zone)])
        if kind == IXFR:
            serial = int.from_bytes(query[-20:-16], "big")
            known = [number for number, version in enumerate(versions) if serial_of(version) == serial]
            if known and known[0] + 1 == len(versions):
                return messages(query, [soa_of(versions[-1], zone)])
            if known:
                return messages(query, differences(versions[known[0] :], zone))
        return messages(query, whole(versions[-1], zone))


async def reset(query: bytes, writer: asyncio.StreamWriter) -> None:
    """The connection breaks."""
    writer.transport.abort()


def says(*made: Callable[[bytes], bytes]) -> Script:
    """The messages that functions make of a query, and then the end."""

    async def script(query: bytes, writer: asyncio.StreamWriter) -> None:
        for make in made:
            writer.write(framed(make(query)))
        await writer.drain()
        writer.close()

    return script


def streams(message: Callable[[bytes, int], bytes]) -> Script:
    """Messages without an end."""

    async def script(query: bytes, writer: asyncio.StreamWriter) -> None:
        number = 0
        while not writer.is_closing():
            writer.write(framed(message(query, number)))
            await writer.drain()
            await asyncio.sleep(0)
            number += 1

    return script


def trickles(content: Content, zone: bytes, pause_s: float) -> Script:
    """A zone, byte by byte."""

    async def script(query: bytes, writer: asyncio.StreamWriter) -> None:
        for byte in framed(reply(query, map(packed, whole(content, zone)))):
            writer.write(bytes((byte,)))
            await asyncio.sleep(pause_s)

    return script


