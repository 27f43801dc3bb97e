"""The same questions to fastdns and CoreDNS, and all of their replies side by side. Skipped without CoreDNS.

The other tests beside CoreDNS say what a reply holds. These only say what is asked: all types, names that exist and
names that do not, in every way that clients ask. alike/ has the tables, and one pair of servers answers them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import dns.exception
import dns.flags
import dns.rrset
import pytest

from fastdns.bench.apiserver.process import Process
from tests.plugins.alike import answering, asking, cluster, file, hosts, making
from tests.plugins.beside import COREDNS, Both, Case, ask, ids, texts
from tests.plugins.forward.engine.support import Upstream
from tests.plugins.upstream import from_table

TABLES = (file.TABLE, hosts.TABLE, making.TABLE, answering.TABLE, cluster.TABLE, asking.TABLE)
COREFILE = "".join(table.corefile for table in TABLES)
FILES = {name: text for table in TABLES for name, text in table.files.items()}
# The client's port that whoami says, the serial of a cluster, and TTLs of what a cache keeps.
CHANGING = re.compile(r"( 0 in srv 0 0 |ns\.dns\.\S+ hostmaster\.\S+ |up\.test\. |^test\. )\d+")
CASES = list(dict.fromkeys(case for table in TABLES for case in table.with_reasons()))

pytestmark = pytest.mark.skipif(COREDNS is None, reason="coredns is not on PATH")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    says = from_table(asking.RECORDS)
    with Process(services=0) as api, Upstream(says, tcp=says) as upstream:
        api.post("put", cluster.objects())
        corefile = COREFILE.replace("KUBECONFIG", str(api.kubeconfig)).replace("UPSTREAM", str(upstream.port))
        with Both(tmp_path_factory.mktemp("alike"), corefile, FILES) as both:
            yield both


def whole(case: Case, port: int) -> dict[str, object]:
    """All that the reply to a question says. Names are compared as resolvers do, in any case."""
    try:
        reply = ask(case, port)
    except dns.exception.DNSException as error:
        return {"malformed": str(error)}
    if reply is None:
        return {}
    sections = {"answer": reply.answer, "authority": reply.authority, "additional": reply.additional}
    truncated = bool(reply.flags & dns.flags.TC)
    return {
        "rcode": reply.rcode(),
        "flags": dns.flags.to_text(reply.flags),
        "question": [rrset.to_text() for rrset in reply.question],
        # Which records are left out is nobody's business, and may be drawn by chance.
        **{name: len(found) if truncated else said_of(found) for name, found in sections.items()},
        "opt": (reply.edns, reply.ednsflags, reply.payload, [option.to_text() for option in reply.options]),
    }


def said_of(section: Sequence[dns.rrset.RRset]) -> list[str]:
    """The records of a section, without what depends on when and from which port is asked."""
    return [CHANGING.sub(r"\1N", text.lower()) for text in texts(section)]


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_replies_are_alike(both: Both, case: Case) -> None:
    assert both.coredns is not None
    ours, theirs = (whole(case, port) for port in (both.fastdns.port, both.coredns.port))
    assert ours and "malformed" not in ours, ours
    if case.coredns:
        assert ours != theirs, f"CoreDNS answers as fastdns does; the table says: {case.coredns}"
    else:
        assert ours == theirs


def test_names_of_class_in_have_no_records_of_another_class(both: Both) -> None:
    """hosts gave A records of class CH, whose form is another one: dnspython calls them malformed."""
    cases = [case for case in CASES if case.qclass == "CH" and case.coredns and "hosts" in case.qname]
    assert cases
    for case in cases:
        assert whole(case, both.fastdns.port)["answer"] == []
