"""The any step: a question for all records gets one HINFO record, and no other question does."""

from __future__ import annotations

import dns.message
import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.any._step import AnyStep
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

pytestmark = pytest.mark.native


def ask(qname: str, qtype: str) -> dns.message.Message:
    worker = Worker(ServerTable([(".", 0, None)], [[AnyStep(), WhoamiStep()]]))
    raw = worker.serve(dns.message.make_query(qname, qtype).to_wire())
    assert raw is not None
    return dns.message.from_wire(raw)


@pytest.mark.parametrize("qname", ["Example.org.", ".", ".".join(["x" * 63] * 3 + ["y" * 61]) + "."])
def test_any_gets_hinfo(qname: str) -> None:
    """As CoreDNS says it; RFC 8482 section 4.2."""
    reply = ask(qname, "ANY")
    assert [rrset.to_text() for rrset in reply.answer] == [f'{qname} 8482 IN HINFO "ANY obsoleted" "See RFC 8482"']
    assert (reply.rcode(), reply.authority, reply.additional) == (0, [], [])


@pytest.mark.parametrize("qtype", ["A", "HINFO", "MX", "TYPE65280"])
def test_other_questions_are_the_next_plugins(qtype: str) -> None:
    reply = ask("example.org.", qtype)
    assert not reply.answer
    assert len(reply.additional) == 2


@pytest.mark.parametrize("text", ["any here", "any {\nttl 5\n}"])
def test_it_has_no_options(text: str) -> None:
    with pytest.raises(CorefileError):
        load(f". {{\n{text}\n}}", environ={})
