"""The whoami step: the client's address, port and transport, in the additional section."""

from __future__ import annotations

import dns.message
import pytest

from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.plugins.kubernetes.support import summary

pytestmark = pytest.mark.native

FAMILIES = {b"\x0a\0\0\1": ("A", "10.0.0.1"), b"\xfd" + bytes(14) + b"\1": ("AAAA", "fd00::1")}


def ask(qname: str, qtype: str = "A", *, client: bytes = b"\x0a\0\0\1", tcp: bool = False):
    worker = Worker(ServerTable([(".", 0, None)], [[WhoamiStep()]]))
    query = dns.message.make_query(qname, qtype)
    raw = worker.serve(query.to_wire(), client=client, client_port=53053, tcp=tcp)
    return summary(dns.message.from_wire(raw, one_rr_per_rrset=True))


@pytest.mark.parametrize("client", FAMILIES, ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("qtype", ["A", "TXT", "ANY"])
def test_any_question_is_answered_with_the_client(client, tcp, qtype):
    rrtype, text = FAMILIES[client]
    assert ask("Who.Example.", qtype, client=client, tcp=tcp) == {
        "rcode": "NOERROR",
        "aa": True,
        "answer": [],
        "authority": [],
        "additional": sorted(
            [
                f"Who.Example. 0 IN {rrtype} {text}",
                f"_{'tcp' if tcp else 'udp'}.Who.Example. 0 IN SRV 0 0 53053 .",
            ]
        ),
    }


def test_the_root():
    assert ask(".")["additional"] == [". 0 IN A 10.0.0.1", "_udp. 0 IN SRV 0 0 53053 ."]


def test_a_name_without_room_for_another_label():
    qname = ".".join(["x" * 63] * 3 + ["y" * 61]) + "."
    assert ask(qname)["additional"] == [f"{qname} 0 IN A 10.0.0.1"]
