"""A step on a store, without processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dns.message
import dns.rcode
import msgspec

from fastdns.dns.names import wire_name
from fastdns.memory._store import Store, Writer
from fastdns.plugins.etcd._step import EtcdStep
from fastdns.plugins.etcd.keys import Keys
from fastdns.plugins.etcd.services import TYPE_SERVICE, record_of
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

ZONE = "z."
NUMBER = 3


class Stepping:
    """One step, and its store."""

    def __init__(self, **options: Any) -> None:
        self.store = Store(1 << 26)
        self.writer = Writer(self.store)
        self.zones = ZoneWriter(self.writer, NUMBER, max_changes=0)
        given = {"fall": [], "min_lease_ttl_s": 30, "max_lease_ttl_s": 86400, "unread": 1, **options}
        step = EtcdStep(source=NUMBER, zones=[wire_name(ZONE)], **given)
        self.worker = Worker(ServerTable([(".", 0, None)], [[step]]), self.store, 0)

    def publish(self, keys: Mapping[str, Any], expires_ns: int = 0) -> None:
        names = Keys.of([ZONE], "")
        draft = Draft(b"\0")
        for text, value in keys.items():
            key = text.encode()
            name = names.name_of(key)
            assert name is not None
            assert draft.add(name, TYPE_SERVICE, 0, record_of(key, name, msgspec.json.encode(value), expires_ns))
        self.publish_draft(draft)

    def publish_draft(self, draft: Draft) -> None:
        self.zones.replace(draft)
        self.writer.set_source(NUMBER, synced=True, soa_serial=7)

    def ask(self, name: str, kind: str = "A") -> dns.message.Message:
        message = self.worker.serve(dns.message.make_query(name, kind).to_wire(), tcp=True)
        assert message is not None
        return dns.message.from_wire(message, one_rr_per_rrset=True)


def shown(reply: dns.message.Message) -> tuple[str, list[str]]:
    """Code and answer."""
    return dns.rcode.to_text(reply.rcode()), sorted(str(rrset) for rrset in reply.answer)
