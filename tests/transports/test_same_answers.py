"""The same answers over every transport: the tables of tests/plugins/alike, asked over each, and over UDP."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest

from fastdns.bench.apiserver.process import Process
from fastdns.transports.table import TCP, Transport
from tests.plugins.alike import asking, cluster
from tests.plugins.beside import Case, has_opt
from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.engine.support import Upstream
from tests.plugins.test_alike import COREFILE, FILES, TABLES, said_of
from tests.plugins.upstream import from_table
from tests.support import Server
from tests.transports.served import STREAMS, certificates, each, everywhere, port_of, ports, trusting
from tests.transports.speaking import CONNECT, Connection

# So many queries are out at a time: servers bound what a client may have.
AT_A_TIME = 40
# In the cache for 7 s only: now it is there, and now it is not.
FLEETING = "low.up.test."
CASES = list(dict.fromkeys(case for table in TABLES for case in table.cases if case.qname != FLEETING))
Said = dict[str, object]
# What whoami says of the protocol.
OVER = re.compile(r"^_(?:tcp|udp)\.(?=\S+ 0 in srv 0 0 )")


def query_of(case: Case, number: int) -> bytes:
    """As tests/plugins/beside.py asks it."""
    query = dns.message.make_query(
        dns.name.from_text(case.qname),
        case.qtype,
        case.qclass,
        use_edns=0 if has_opt(case) else False,
        want_dnssec=case.dnssec,
        options=list(case.edns or ()) if has_opt(case) else None,
        id=number,
    )
    if not case.recursion:
        query.flags &= ~dns.flags.RD
    return query.to_wire()


def said(wire: bytes) -> Said:
    """All that a reply says."""
    try:
        reply = dns.message.from_wire(wire, one_rr_per_rrset=True)
    except dns.exception.DNSException as error:
        return {"malformed": str(error)}
    sections = {"answer": reply.answer, "authority": reply.authority, "additional": reply.additional}
    return {
        "rcode": reply.rcode(),
        "flags": dns.flags.to_text(reply.flags),
        "question": [rrset.to_text() for rrset in reply.question],
        **{name: texts(found) for name, found in sections.items()},
        "opt": (reply.edns, reply.ednsflags, reply.payload, [option.to_text() for option in reply.options]),
    }


def texts(section: list[dns.rrset.RRset]) -> list[str]:
    """The records, without what depends on when, from which port and over what is asked."""
    return [OVER.sub("_proto.", text) for text in said_of(section)]


@dataclass
class Everywhere:
    """The server, and where it is."""

    server: Server
    at: dict[str, int]
    authority: Authority

    def ask(self, row: Transport) -> list[Said]:
        """What is answered to each case, over one connection."""
        with CONNECT[row.name](port_of(row, self.at, self.server.port), trusting(self.authority)) as connection:
            return [found for first in range(0, len(CASES), AT_A_TIME) for found in self.some(connection, first)]

    def some(self, connection: Connection, first: int) -> list[Said]:
        """Of the cases from a place on."""
        queries = [query_of(case, number + 1) for number, case in enumerate(CASES[first : first + AT_A_TIME])]
        connection.ask(queries)
        by_number = {int.from_bytes(reply[:2], "big"): reply for reply in connection.replies(len(queries))}
        return [said(by_number[number + 1]) for number in range(len(queries))]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    folder: Path = tmp_path_factory.mktemp("everywhere")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    authority = certificates(folder)
    says = from_table(asking.RECORDS)
    at = ports()
    with Process(services=0) as api, Upstream(says, tcp=says) as upstream:
        api.post("put", cluster.objects())
        corefile = COREFILE.replace("KUBECONFIG", str(api.kubeconfig)).replace("UPSTREAM", str(upstream.port))
        with Server(folder, everywhere(corefile, at), workers=1) as server:
            yield Everywhere(server, at, authority)


@pytest.fixture(scope="module")
def over_tcp(everything: Everywhere) -> list[Said]:
    # The first time, what comes from an upstream is not in the cache yet.
    everything.ask(TCP)
    return everything.ask(TCP)


def test_over_tcp_as_over_udp(everything: Everywhere, over_tcp: list[Said]) -> None:
    """What is too long for a datagram is truncated, and nothing else differs."""
    wrong, truncated = [], 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("127.0.0.1", everything.server.port))
        udp.settimeout(5)
        for case, tcp in zip(CASES, over_tcp, strict=True):
            udp.send(query_of(case, 1))
            found = said(udp.recv(65535))
            if "TC" in str(found["flags"]).split():
                truncated += 1
                found["flags"] = str(found["flags"]).replace(" TC", "")
                parts = ("rcode", "flags", "question", "opt")
                found, tcp = ({part: one[part] for part in parts} for one in (found, tcp))
            if found != tcp:
                wrong.append((case.qname, case.qtype, case.why, found, tcp))
    assert not wrong, f"{len(wrong)} of {len(CASES)}, the first: {wrong[0]}"
    assert truncated > 10


@each(row for row in STREAMS if row is not TCP)
def test_as_over_tcp(everything: Everywhere, over_tcp: list[Said], row: Transport) -> None:
    wrong = [
        (case.qname, case.qtype, case.why, found, tcp)
        for case, found, tcp in zip(CASES, everything.ask(row), over_tcp, strict=True)
        if found != tcp
    ]
    assert not wrong, f"{len(wrong)} of {len(CASES)}, the first: {wrong[0]}"


def test_every_transport_that_is_served_is_spoken() -> None:
    """Whoever serves a new one writes how a client speaks it: tests/transports/speaking.py."""
    assert {row.name for row in STREAMS} <= CONNECT.keys()
