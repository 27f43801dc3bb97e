"""Answers from zones of Azure, beside CoreDNS, over the way to Azure that a proxy plays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostedzones.providers import Provider
from tests.plugins.azure.api import HOSTS, OPTIONS, SECRET, Api, apex, private, record_set
from tests.plugins.beside import Both, Case, ids

pytest.importorskip("azure.identity", reason="pip install 'fastdns[azure]'")

COREFILE = f"""\
.:DNS_PORT {{
    bind 127.0.0.1
    errors
    azure rg:example.org BROKEN {{
{OPTIONS}
        environment AzurePublicCloud
        fallthrough private.test
    }}
    azure rg:private.test {{
        access private
    }}
    file next.db private.test
}}
"""
NEXT = "@ 60 IN SOA ns host 99 7200 1800 86400 60\n@ 60 IN NS ns\nfell 60 IN A 192.0.2.77\n"
ZONES = {
    ("rg", "public", "example.org"): [
        *apex("example.org."),
        record_set("www.example.org.", 60, ARecords=[{"ipv4Address": "10.0.0.1"}, {"ipv4Address": "10.0.0.2"}]),
        record_set("six.example.org.", AAAARecords=[{"ipv6Address": "2001:db8::1"}]),
        record_set("alias.example.org.", CNAMERecord={"cname": "www.example.org"}),
        record_set("mx.example.org.", MXRecords=[{"preference": 10, "exchange": "www.example.org"}]),
        record_set("1.example.org.", PTRRecords=[{"ptrdname": "www.example.org"}]),
        record_set(
            "_sip._udp.example.org.",
            SRVRecords=[{"priority": 1, "weight": 2, "port": 5060, "target": "www.example.org"}],
        ),
        record_set("text.example.org.", TXTRecords=[{"value": ["one \"two\"", "three"]}, {"value": ["x" * 300]}]),
        record_set("caa.example.org.", caaRecords=[{"flags": 0, "tag": "issue", "value": "ca.example.net"}]),
        record_set("*.wild.example.org.", ARecords=[{"ipv4Address": "10.0.0.9"}]),
        record_set("front.example.org.", targetResource={"id": "/subscriptions/x/frontDoors/y"}, ARecords=[]),
        record_set("sub.example.org.", NSRecords=[{"nsdname": "ns.elsewhere.test."}]),
    ],
    ("rg", "private", "private.test"): private([
        *apex("private.test.", 2),
        record_set("www.private.test.", 60, ARecords=[{"ipv4Address": "10.1.0.1"}]),
        record_set("text.private.test.", 60, TXTRecords=[{"value": ["private"]}]),
    ]),
}  # fmt: skip
NS = ["example.org. 172800 IN NS ns1-01.azure-dns.com."]
SOA = "ns1-01.azure-dns.com. azuredns-hostmaster.microsoft.com."

CASES = [
    Case(
        "www.example.org.",
        answer=["www.example.org. 60 IN A 10.0.0.1", "www.example.org. 60 IN A 10.0.0.2"],
        authority=NS,
        flags="AA",
    ),
    Case("six.example.org.", "AAAA", answer=["six.example.org. 300 IN AAAA 2001:db8::1"], authority=NS, flags="AA"),
    Case(
        "alias.example.org.",
        answer=[
            "alias.example.org. 300 IN CNAME www.example.org.",
            "www.example.org. 60 IN A 10.0.0.1",
            "www.example.org. 60 IN A 10.0.0.2",
        ],
        authority=NS,
        flags="AA",
    ),
    Case(
        "mx.example.org.",
        "MX",
        answer=["mx.example.org. 300 IN MX 10 www.example.org."],
        authority=NS,
        additional=["www.example.org. 60 IN A 10.0.0.1", "www.example.org. 60 IN A 10.0.0.2"],
        flags="AA",
    ),
    Case("1.example.org.", "PTR", answer=["1.example.org. 300 IN PTR www.example.org."], authority=NS, flags="AA"),
    Case(
        "_sip._udp.example.org.",
        "SRV",
        answer=["_sip._udp.example.org. 300 IN SRV 1 2 5060 www.example.org."],
        authority=NS,
        additional=None,
        flags="AA",
    ),
    Case(
        "text.example.org.",
        "TXT",
        answer=[
            'text.example.org. 300 IN TXT "one \\"two\\"" "three"',
            f'text.example.org. 300 IN TXT "{"x" * 255}" "{"x" * 45}"',
        ],
        authority=NS,
        flags="AA",
        why="a value that is longer than a string may be",
        coredns="it cannot send a string of 300 bytes",
    ),
    Case(
        "caa.example.org.",
        "CAA",
        answer=['caa.example.org. 300 IN CAA 0 issue "ca.example.net"'],
        authority=NS,
        flags="AA",
        why="CAA records are served",
        coredns="it leaves them out",
    ),
    Case("x.wild.example.org.", answer=["x.wild.example.org. 300 IN A 10.0.0.9"], authority=NS, flags="AA"),
    Case(
        "x.sub.example.org.",
        authority=["sub.example.org. 300 IN NS ns.elsewhere.test."],
        flags="",
        why="a delegation",
    ),
    Case("front.example.org.", rcode="NXDOMAIN", authority=None, flags="AA", why="an alias has no records"),
    Case(
        "nope.example.org.",
        rcode="NXDOMAIN",
        authority=[f"example.org. 300 IN SOA {SOA} 1 3600 300 2419200 300"],
        flags="AA",
        coredns="the TTL of the SOA record is its own",
    ),
    Case("www.private.test.", answer=["www.private.test. 60 IN A 10.1.0.1"], flags="AA", why="a private zone"),
    Case("text.private.test.", "TXT", answer=['text.private.test. 60 IN TXT "private"'], flags="AA"),
    Case(
        "fell.private.test.",
        answer=["fell.private.test. 60 IN A 192.0.2.77"],
        authority=["private.test. 60 IN NS ns.private.test."],
        flags="AA",
        why="the fallthrough of one directive is that of all",
    ),
]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(Api(dict(ZONES)).answer) as provider:
        yield provider


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("azure")
    with pytest.MonkeyPatch.context() as environ:
        for name, value in provider.proxy_environ(folder, *HOSTS).items():
            environ.setenv(name, value)
        ours = COREFILE.replace("BROKEN", "rg:broken.test")
        with Both(folder, ours, {"next.db": NEXT}, coredns=COREFILE.replace(" BROKEN", "")) as both:
            yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def test_what_is_said(both: Both) -> None:
    """What cannot be listed, and what is left out; nothing of the secret."""
    both.check(Case("www.broken.test.", rcode="SERVFAIL", coredns="it is not given this zone"))
    both.fastdns.wait_for_log(
        "plugin/azure: Failed to update zones [broken.test.]: failed to list resource records for broken.test.:rg "
        "from azure: 404: ResourceNotFound: It is so."
    )
    both.fastdns.wait_for_log(
        "example.org.:rg: front.example.org. alias: it is an alias of /subscriptions/x/frontDoors/y, and has no "
        "records; it is left out"
    )
    assert SECRET not in both.fastdns.log
