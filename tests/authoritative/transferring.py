"""Transfers without a socket: the messages of one, and a secondary that takes them."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rdatatype
import dns.versioned
import dns.xfr
import dns.zone

from fastdns.authoritative._transfer import ZoneTransfer
from fastdns.memory._store import Store, Writer
from fastdns.plugins.transfer._step import TransferStep
from fastdns.rrsets._writer import ZoneWriter
from fastdns.serve._worker import Worker
from fastdns.serve._zones import NativeStep, ServerTable
from fastdns.transports._slow import PARKED, Messages, SlowPath
from tests.authoritative.asking import axfr, ixfr
from tests.authoritative.served import draft_of

SOURCE = 3
CLIENT = b"\x7f\0\0\1"
UDP, TCP = 0, 1


class Primary:
    """Zones that may be transferred, by 127.0.0.1. before: steps before the one that gives them."""

    def __init__(self, *before: NativeStep, **bounds: int) -> None:
        self.store = Store()
        self.writer = ZoneWriter(Writer(self.store), SOURCE, **bounds)
        step = TransferStep([([b"\0"], False, [CLIENT])], [ZoneTransfer(SOURCE)])
        table = ServerTable([(".", 0, None)], [[*before, step]])
        self.slow = SlowPath([Worker(table, self.store, 0)])

    def publish(self, zone: dns.zone.Zone) -> None:
        """Serve a zone, or its newer version."""
        self.writer.replace(draft_of(zone))

    def ask(self, query: dns.message.Message, client: bytes = CLIENT, transport: int = TCP) -> object:
        """What the transport is given."""
        return self.slow.serve(0, query.to_wire(), client, 5300, lambda _: None, transport=transport)

    def messages(self, query: dns.message.Message) -> list[dns.message.Message]:
        """The messages of a transfer."""
        reply = self.ask(query)
        assert isinstance(reply, Messages), reply
        return read(reply)


def read(reply: Messages) -> list[dns.message.Message]:
    """The messages that are left of a reply. Raises EOFError where it does not come to its end."""
    found = []
    while message := reply.next():
        if message is PARKED:
            continue
        assert isinstance(message, bytes)
        found.append(dns.message.from_wire(message, one_rr_per_rrset=True, xfr=True))
    if message is None:
        raise EOFError
    return found


class Secondary:
    """One zone, kept by dnspython."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.zone = dns.versioned.Zone(dns.name.from_text(origin), relativize=False)

    def update(self, primary: Primary, serial: int | None = None) -> int:
        """Transfer the zone, or what is new of it. Returns the number of records that came."""
        query = axfr(self.origin) if serial is None else ixfr(self.origin, serial)
        messages = primary.messages(query)
        kind = dns.rdatatype.AXFR if serial is None else dns.rdatatype.IXFR
        done = False
        with dns.xfr.Inbound(self.zone, kind, serial) as inbound:
            for message in messages:
                assert not done
                done = inbound.process_message(message)
        assert done
        return sum(len(message.answer) for message in messages)


def contents(zone: dns.zone.Zone) -> set[tuple[str, str, int, str]]:
    """Names, types, TTLs and rdata."""
    assert zone.origin is not None
    return {
        (
            name.derelativize(zone.origin).to_text().lower(),
            dns.rdatatype.to_text(rdata.rdtype),
            ttl_s,
            rdata.to_text(origin=zone.origin, relativize=False),
        )
        for name, ttl_s, rdata in zone.iterate_rdatas()
    }
