"""Corefiles with the plugins of choosing.py, served in this process."""

from __future__ import annotations

import ipaddress

import dns.message
import dns.rcode

from fastdns.corefile import load
from fastdns.corefile.labels import counted_zones
from fastdns.metrics._stats import Stats, layout
from fastdns.metrics.counters import part
from fastdns.plugins.api import Runtime
from fastdns.process.assembly import build_tables
from fastdns.serve._suspend import NativeService
from fastdns.serve._worker import Worker
from fastdns.transports._slow import SlowPath

CLIENT = "192.0.2.7"


def packed(address: str) -> bytes:
    """The bytes of an address."""
    return ipaddress.ip_address(address).packed


def said(reply: object) -> str:
    """What a reply says: the text of its TXT records; else its code, or that there is none."""
    if not isinstance(reply, bytes):
        return "nothing"
    message = dns.message.from_wire(reply)
    texts = [text.decode() for rrset in message.answer for data in rrset for text in data.strings]
    return " ".join(texts) or dns.rcode.to_text(message.rcode())


class Served:
    """The first listener of a Corefile."""

    def __init__(self, corefile: str, services: list[NativeService] | None = None) -> None:
        self.config = load(corefile, environ={})
        self.zone_slots = {labels: slot for slot, labels in enumerate(counted_zones(self.config))}
        self.stats = Stats(1)
        self.stats.reserve_zones(len(self.zone_slots))
        tables, _ = build_tables(self.config, Runtime(), self.zone_slots)
        self.worker = Worker(tables[0], None, 0, self.stats, 0)
        self.slow = SlowPath([self.worker], services)

    def ask(
        self, name: str, kind: str = "TXT", *, client: str = CLIENT, tcp: bool = False, class_: str = "IN",
        local: str = "",
    ) -> str:  # fmt: skip
        """What is said to a question."""
        self.late: list[str] = []
        query = dns.message.make_query(name, kind, class_)
        return said(
            self.slow.serve(
                0, query.to_wire(), packed(client), 5353, lambda reply: self.late.append(said(reply)),
                transport=int(tcp), local=packed(local) if local else b"",
            )
        )  # fmt: skip

    def counted(self) -> dict[tuple[str, str, str], int]:
        """How many queries were counted, by server, zone and view."""
        found = {}
        for labels, slot in self.zone_slots.items():
            if values := self.stats.zone_values([0], slot):
                found[labels] = sum(sum(part(layout(), values, "requests", which)) for which in range(4))
        return found
