"""Transfers over a connection, as they come: all records, and how the messages are signed."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any

import dns.message
import dns.rdatatype


@dataclass
class Taken:
    """What came. rcode: of the last message. whole: both SOA records, or the only one, have come."""

    rrsets: list[Any] = field(default_factory=list)
    messages: int = 0
    rcode: int = 0
    whole: bool = False

    def texts(self) -> list[str]:
        """The records but for SOA records, whose serials differ between servers; sorted, each once."""
        return sorted({
            rrset.to_text().lower() for rrset in self.rrsets if rrset.rdtype != dns.rdatatype.SOA
        })  # fmt: skip


def take(
    port: int, query: dns.message.Message, *, source: str = "127.0.0.1", single: bool = False
) -> Taken:  # fmt: skip
    """Transfer a zone; what is signed is verified. single: one SOA record is all."""
    taken = Taken()
    with socket.create_connection(("127.0.0.1", port), 10, (source, 0)) as connection:
        wire = query.to_wire()
        connection.sendall(len(wire).to_bytes(2, "big") + wire)
        stream = connection.makefile("rb")
        soas, context = 0, None
        while not taken.whole:
            size = stream.read(2)
            if not size:
                break
            message = dns.message.from_wire(
                stream.read(int.from_bytes(size, "big")), keyring=query.keyring, request_mac=query.mac,
                tsig_ctx=context, multi=True, xfr=True, one_rr_per_rrset=True,
            )  # fmt: skip
            assert message.had_tsig == (query.keyring is not None)
            context = message.tsig_ctx
            taken.messages += 1
            taken.rrsets += message.answer
            taken.rcode = message.rcode()
            soas += sum(rrset.rdtype == dns.rdatatype.SOA for rrset in message.answer)
            taken.whole = bool(taken.rcode) or soas == (1 if single else 2)
    return taken
