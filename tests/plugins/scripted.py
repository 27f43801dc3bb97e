"""An upstream that answers as a test says, over UDP, and keeps what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType

import dns.exception
import dns.flags
import dns.message
import dns.rrset

SECTIONS = ("answer", "authority", "additional")


def filled(query: dns.message.Message, zone: str) -> dns.message.Message:
    """A reply to a query with records in presentation form, a line each; ``-- authority`` begins that section."""
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    section = reply.answer
    for line in filter(None, map(str.strip, zone.splitlines())):
        if line.startswith("-- "):
            section = getattr(reply, line.removeprefix("-- "))
        else:
            owner, ttl, rdclass, rrtype, rdata = line.split(None, 4)
            section.append(dns.rrset.from_text(owner, int(ttl), rdclass, rrtype, rdata))
    return reply


class Upstream:
    """``with Upstream(zones) as upstream``. zones: by name, what the reply holds (see filled); other names have no
    records. change: what becomes of each reply; None: no reply."""

    def __init__(
        self,
        zones: Mapping[str, str],
        change: Callable[[dns.message.Message], dns.message.Message | None] = lambda reply: reply,
    ) -> None:
        self.zones = zones
        self.change = change
        self.queries: list[dns.message.Message] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        while True:
            raw, peer = self.socket.recvfrom(4096)
            if not raw:
                return
            try:
                query = dns.message.from_wire(raw)
            except dns.exception.DNSException:
                continue
            self.queries.append(query)
            reply = self.change(filled(query, self.zones.get(query.question[0].name.to_text().lower(), "")))
            if reply is not None:
                self.socket.sendto(reply.to_wire(), peer)

    def __enter__(self) -> Upstream:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(5)
        self.socket.close()
