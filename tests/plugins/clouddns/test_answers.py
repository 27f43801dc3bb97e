"""Answers from managed zones, beside CoreDNS, over the way to Google that a proxy plays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostedzones.providers import Provider
from tests.plugins.beside import Both, Case, ids
from tests.plugins.clouddns.api import HOSTS, Api, apex, record_set, write_credentials

pytest.importorskip("google.auth", reason="pip install 'fastdns[clouddns]'")

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    clouddns example.org:project:first example.org:project:second single.test:project:single BROKEN {
        credentials key.json
        upstream
        fallthrough single.test
    }
    file next.db single.test
}
"""
NEXT = "@ 60 IN SOA ns host 99 7200 1800 86400 60\n@ 60 IN NS ns\nfell 60 IN A 192.0.2.77\n"
ZONES = {
    "project:first": [
        *apex("example.org."),
        record_set("www.example.org.", "A", ["10.0.0.1", "10.0.0.2"], 60),
        record_set("*.wild.example.org.", "A", ["10.0.0.9"]),
        record_set("alias.example.org.", "CNAME", ["www.example.org"]),
        record_set("text.example.org.", "TXT", ['"v=spf1 -all"', '"caf\\195\\169"']),
        record_set("_sip._udp.example.org.", "SRV", ["1 2 5060 www.example.org."]),
        {"name": "geo.example.org.", "type": "A", "ttl": 60, "routingPolicy": {"geo": {"items": []}}},
        record_set("bad.example.org.", "A", ["10.0.0.300", "10.0.0.3"]),
        record_set("svc.example.org.", "HTTPS", ["1 . alpn=h2"]),
    ],
    "project:second": [
        *apex("example.org.", 2),
        record_set("public.example.org.", "A", ["192.0.2.2"]),
        record_set("1.example.org.", "PTR", ["www.example.org"]),
    ],
    "project:single": [*apex("single.test.", 3), record_set("www.single.test.", "A", ["10.1.0.1"])],
}
NS = ["example.org. 21600 IN NS ns-cloud-a1.googledomains.com."]
GOOGLE = "ns-cloud-a1.googledomains.com. cloud-dns-hostmaster.google.com."
SECOND_SOA = [f"example.org. 300 IN SOA {GOOGLE} 2 21600 3600 259200 300"]

CASES = [
    Case(
        "www.example.org.",
        answer=["www.example.org. 60 IN A 10.0.0.1", "www.example.org. 60 IN A 10.0.0.2"],
        authority=NS,
        flags="AA",
        why="the first managed zone",
    ),
    Case(
        "public.example.org.",
        answer=["public.example.org. 300 IN A 192.0.2.2"],
        authority=NS,
        flags="AA",
        why="the second managed zone",
    ),
    Case(
        "nope.example.org.",
        rcode="NXDOMAIN",
        authority=SECOND_SOA,
        flags="AA",
        why="denied by the last one, for the time of its minimum (RFC 2308)",
        coredns="the TTL of the SOA record is its own",
    ),
    Case("x.wild.example.org.", answer=["x.wild.example.org. 300 IN A 10.0.0.9"], authority=NS, flags="AA"),
    Case(
        "alias.example.org.",
        answer=[
            "alias.example.org. 300 IN CNAME www.example.org.",
            "www.example.org. 60 IN A 10.0.0.1",
            "www.example.org. 60 IN A 10.0.0.2",
        ],
        authority=NS,
        flags="AA",
        why="a target without a dot at its end",
    ),
    Case(
        "1.example.org.",
        "PTR",
        answer=["1.example.org. 300 IN PTR www.example.org."],
        authority=NS,
        flags="AA",
    ),
    Case(
        "text.example.org.",
        "TXT",
        answer=['text.example.org. 300 IN TXT "v=spf1 -all"', 'text.example.org. 300 IN TXT "caf\\195\\169"'],
        authority=NS,
        flags="AA",
    ),
    Case(
        "_sip._udp.example.org.",
        "SRV",
        answer=["_sip._udp.example.org. 300 IN SRV 1 2 5060 www.example.org."],
        authority=NS,
        additional=None,
        flags="AA",
    ),
    Case(
        "svc.example.org.",
        "HTTPS",
        answer=['svc.example.org. 300 IN HTTPS 1 . alpn="h2"'],
        authority=NS,
        flags="AA",
        why="behind a bad record",
        coredns="it leaves out all that follows a bad record",
    ),
    Case(
        "geo.example.org.",
        rcode="NXDOMAIN",
        authority=None,
        flags="AA",
        why="a routing policy has no records",
    ),
    Case(
        "fell.single.test.",
        answer=["fell.single.test. 60 IN A 192.0.2.77"],
        authority=["single.test. 60 IN NS ns.single.test."],
        flags="AA",
        why="a name that does not exist falls through",
    ),
]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(Api(dict(ZONES)).answer) as provider:
        yield provider


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("clouddns")
    write_credentials(folder / "key.json")
    with pytest.MonkeyPatch.context() as environ:
        for name, value in provider.proxy_environ(folder, *HOSTS).items():
            environ.setenv(name, value)
        ours = COREFILE.replace("BROKEN", "broken.test:project:none")
        with Both(folder, ours, {"next.db": NEXT}, coredns=COREFILE.replace(" BROKEN", "")) as both:
            yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def test_what_is_said(both: Both) -> None:
    """What cannot be listed, and what is left out."""
    both.check(Case("www.broken.test.", rcode="SERVFAIL", coredns="it is not given this zone"))
    both.fastdns.wait_for_log(
        "plugin/clouddns: Failed to update zones [broken.test.]: failed to list resource records for "
        "broken.test.:project:none from gcp: 404: The 'parameters.managedZone' resource"
    )
    both.fastdns.wait_for_log(
        "example.org.:project:first: geo.example.org. A: it has a routing policy, and no records of its own; it is "
        "left out"
    )


def test_tokens_are_asked_for_as_the_service_account(provider: Provider, both: Both) -> None:
    assert {asked.host for asked in provider.asked} >= {"dns.googleapis.com"}
    assert any(b"assertion=" in asked.body for asked in provider.asked if asked.path == "/token")
