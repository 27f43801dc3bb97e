"""What is counted of a query: the sizes that CoreDNS counts."""

from __future__ import annotations

from typing import Any

import dns.edns
import dns.message
import dns.rdataclass
import pytest

from fastdns.metrics._stats import Stats
from fastdns.plugins.prometheus._step import PrometheusStep
from fastdns.plugins.prometheus.queries import of_zone
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

pytestmark = pytest.mark.native

ZONE, DROPPED = 0, 1
COOKIE = dns.edns.CookieOption(b"12345678", b"")


def serve(query: dns.message.Message, *, tcp: bool = False, answers: bool = True) -> tuple[int, int, int]:
    """The reply's bytes, and the response sizes counted for the zone and for what is dropped."""
    stats = Stats(1)
    steps = [PrometheusStep(), WhoamiStep()] if answers else [PrometheusStep()]
    worker = Worker(ServerTable([("org.", 0, ZONE)], [steps], DROPPED), stats=stats)
    reply = worker.serve(query.to_wire(), tcp=tcp)
    assert reply is not None
    values = [stats.zone_values([0], slot) for slot in (ZONE, DROPPED)]
    counted = [of_zone(one, "response_bytes_sum", int(tcp)) if one else 0 for one in values]
    return len(reply), counted[0], counted[1]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("a.other.", {}, id="no zone has it"),
        pytest.param(".", {}, id="the root"),
        pytest.param("a.org.", {"rdclass": dns.rdataclass.CH}, id="another class"),
        pytest.param("a.other.", {"use_edns": 0, "want_dnssec": True}, id="with EDNS"),
        pytest.param("a.other.", {"use_edns": 0, "options": [COOKIE]}, id="with an option that is echoed"),
        pytest.param(
            "a.org.", {"rdclass": dns.rdataclass.CH, "use_edns": 1, "payload": 512}, id="another class and version"
        ),
    ],
)
def test_a_refusal_counts_with_the_size_that_is_sent(name: str, options: dict[str, Any], tcp: bool) -> None:
    """They counted as 0 bytes."""
    sent, zone, dropped = serve(dns.message.make_query(name, "A", **options), tcp=tcp)
    assert (zone, dropped) == (0, sent)


def test_an_answer_counts_without_its_opt_record() -> None:
    """CoreDNS's prometheus plugin measures what the chain writes; the server adds OPT after it."""
    plain, zone, dropped = serve(dns.message.make_query("a.org.", "A"))
    assert zone >= plain and dropped == 0
    assert serve(dns.message.make_query("a.org.", "A", use_edns=0))[1:] == (zone, 0)


def test_what_no_plugin_writes_counts_as_nothing() -> None:
    assert serve(dns.message.make_query("a.org.", "A"), answers=False)[1:] == (0, 0)
