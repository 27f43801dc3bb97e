"""Answers from hosted zones, beside CoreDNS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostedzones.providers import Provider
from tests.plugins.beside import Both, Case, ids
from tests.plugins.route53.api import ENVIRON, Api, Set, apex, error
from tests.support import wait_until

pytest.importorskip("botocore", reason="pip install 'fastdns[route53]'")

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    route53 example.org.:ZPRIVATE example.org.:ZPUBLIC single.test.:ZSINGLE broken.test:ZNONE {
        aws_endpoint API_URL
        upstream
        refresh 2
        fallthrough single.test
    }
    file next.db single.test
}
"""
# What CoreDNS is not given. It does not start where a hosted zone cannot be listed, and it reads the option
# aws_endpoint behind the block, where it is the closing brace: the environment says the same.
WITHOUT = ("        aws_endpoint API_URL\n", "    prometheus 127.0.0.1:METRICS_PORT\n", " broken.test:ZNONE")
NEXT = """\
@ 60 IN SOA ns host 99 7200 1800 86400 60
@ 60 IN NS ns
fell 60 IN A 192.0.2.77
x.far 60 IN A 192.0.2.78
"""
ZONES = {
    "ZPRIVATE": [
        *apex("example.org."),
        Set("www.example.org.", "A", ["10.0.0.1", "10.0.0.2"], 60),
        Set("\\052.wild.example.org.", "A", ["10.0.0.9"]),
        Set("sub.example.org.", "NS", ["ns.sub.example.org."]),
        Set("gone.example.org.", "NS", ["ns.gone.example.org."]),
        Set("ns.gone.example.org.", "A", ["10.0.0.53"]),
        Set("a.ent.example.org.", "A", ["10.0.0.10"]),
        Set("across.example.org.", "CNAME", ["public.example.org"]),
        Set("mx.example.org.", "MX", ["10 www.example.org."]),
        Set("balanced.example.org.", "A", ["10.0.0.3"], 20, identifier="one"),
        Set("balanced.example.org.", "A", ["10.0.0.4"], 20, identifier="two"),
        Set("alias.example.org.", "A", alias="dualstack.elb.amazonaws.com."),
        Set("text.example.org.", "TXT", ['"caf\\303\\251 \\"quoted\\" a\\\\b" "second"']),
        Set("simple.example.org.", "TXT", ['"plain"', '"another"']),
        Set("_http._tcp.example.org.", "SRV", ["1 2 80 www.example.org."]),
        Set("caa.example.org.", "CAA", ['0 issue "ca.example.net"']),
        Set("new.example.org.", "HTTPS", ["1 . alpn=h2"]),
    ],
    "ZPUBLIC": [
        *apex("example.org.", 2),
        Set("www.example.org.", "A", ["192.0.2.1"]),
        Set("public.example.org.", "A", ["192.0.2.2"]),
        Set("host.sub.example.org.", "A", ["192.0.2.5"]),
        Set("ent.example.org.", "A", ["192.0.2.6"]),
        Set("alias.example.org.", "A", ["192.0.2.7"]),
        Set("back.example.org.", "CNAME", ["www.example.org."]),
    ],
    "ZSINGLE": [
        *apex("single.test.", 3),
        Set("www.single.test.", "A", ["10.1.0.1"]),
        Set("far.single.test.", "NS", ["ns.elsewhere.test."]),
        Set("a.ent.single.test.", "A", ["10.1.0.2"]),
        Set("to-single.single.test.", "CNAME", ["www.single.test."]),
    ],
}  # fmt: skip
NS = ["example.org. 172800 IN NS ns-1.awsdns.example."]
SINGLE_NS = ["single.test. 172800 IN NS ns-1.awsdns.example."]
NEXT_NS = ["single.test. 60 IN NS ns.single.test."]
SOA = "900 IN SOA ns-1.awsdns.example. awsdns-hostmaster.amazon.com."
PRIVATE_SOA = [f"example.org. {SOA} 1 7200 900 1209600 86400"]
PUBLIC_SOA = [f"example.org. {SOA} 2 7200 900 1209600 86400"]
SINGLE_SOA = [f"single.test. {SOA} 3 7200 900 1209600 86400"]

CASES = [
    Case(
        "www.example.org.",
        answer=["www.example.org. 60 IN A 10.0.0.1", "www.example.org. 60 IN A 10.0.0.2"],
        authority=NS,
        flags="AA",
        why="the first hosted zone that has the name",
    ),
    Case(
        "WWW.Example.ORG.",
        answer=["WWW.Example.ORG. 60 IN A 10.0.0.1", "WWW.Example.ORG. 60 IN A 10.0.0.2"],
        authority=None,
        flags="AA",
        why="the case of the question",
        coredns="it answers in lower case",
    ),
    Case(
        "public.example.org.",
        answer=["public.example.org. 300 IN A 192.0.2.2"],
        authority=NS,
        flags="AA",
        why="a name of the second hosted zone only",
    ),
    Case("www.example.org.", "AAAA", authority=PRIVATE_SOA, flags="AA", why="no data in the first hosted zone"),
    Case(
        "nope.example.org.",
        rcode="NXDOMAIN",
        authority=PUBLIC_SOA,
        flags="AA",
        why="no hosted zone has it: the last one says so",
    ),
    Case(
        "x.wild.example.org.",
        answer=["x.wild.example.org. 300 IN A 10.0.0.9"],
        authority=NS,
        flags="AA",
        why="a wildcard, whose asterisk the API escapes",
    ),
    Case(
        "host.sub.example.org.",
        answer=["host.sub.example.org. 300 IN A 192.0.2.5"],
        authority=NS,
        flags="AA",
        why="delegated in the first hosted zone, and in the second",
    ),
    Case(
        "x.gone.example.org.",
        authority=["gone.example.org. 300 IN NS ns.gone.example.org."],
        additional=["ns.gone.example.org. 300 IN A 10.0.0.53"],
        flags="",
        why="delegated in the first hosted zone, and in no other one",
        coredns="it forgets the delegation, and denies the name",
    ),
    Case(
        "ent.example.org.",
        answer=["ent.example.org. 300 IN A 192.0.2.6"],
        authority=NS,
        flags="AA",
        why="an empty non-terminal of the first hosted zone is a name of the second",
    ),
    Case(
        "across.example.org.",
        answer=["across.example.org. 300 IN CNAME public.example.org.", "public.example.org. 300 IN A 192.0.2.2"],
        authority=NS,
        flags="AA",
        why="an alias of the first hosted zone leads into the second",
    ),
    Case(
        "back.example.org.",
        answer=[
            "back.example.org. 300 IN CNAME www.example.org.",
            "www.example.org. 60 IN A 10.0.0.1",
            "www.example.org. 60 IN A 10.0.0.2",
        ],
        authority=NS,
        flags="AA",
        why="an alias of the second leads to what the whole server says of its target",
        coredns="it looks for the target in the second hosted zone only",
    ),
    Case(
        "mx.example.org.",
        "MX",
        answer=["mx.example.org. 300 IN MX 10 www.example.org."],
        authority=NS,
        additional=["www.example.org. 60 IN A 10.0.0.1", "www.example.org. 60 IN A 10.0.0.2"],
        flags="AA",
        why="addresses of what it names",
    ),
    Case(
        "balanced.example.org.",
        answer=["balanced.example.org. 20 IN A 10.0.0.3", "balanced.example.org. 20 IN A 10.0.0.4"],
        authority=NS,
        flags="AA",
        why="weighted record sets: all of them",
    ),
    Case(
        "alias.example.org.",
        answer=["alias.example.org. 300 IN A 192.0.2.7"],
        authority=NS,
        flags="AA",
        why="an alias record set has no records: the name is the second hosted zone's",
    ),
    Case(
        "text.example.org.",
        "TXT",
        answer=['text.example.org. 300 IN TXT "caf\\195\\169 \\"quoted\\" a\\\\b" "second"'],
        authority=NS,
        flags="AA",
        why="characters that the API escapes",
        coredns="it leaves such records out",
    ),
    Case(
        "simple.example.org.",
        "TXT",
        answer=['simple.example.org. 300 IN TXT "plain"', 'simple.example.org. 300 IN TXT "another"'],
        authority=NS,
        flags="AA",
    ),
    Case(
        "_http._tcp.example.org.",
        "SRV",
        answer=["_http._tcp.example.org. 300 IN SRV 1 2 80 www.example.org."],
        authority=NS,
        additional=None,
        flags="AA",
    ),
    Case(
        "caa.example.org.",
        "CAA",
        answer=['caa.example.org. 300 IN CAA 0 issue "ca.example.net"'],
        authority=NS,
        flags="AA",
    ),
    Case(
        "new.example.org.",
        "HTTPS",
        answer=['new.example.org. 300 IN HTTPS 1 . alpn="h2"'],
        authority=NS,
        flags="AA",
    ),
    Case("example.org.", "SOA", answer=PRIVATE_SOA, authority=NS, flags="AA", why="of the first hosted zone"),
    Case("example.org.", "NS", answer=NS, flags="AA"),
    Case(
        "www.single.test.", answer=["www.single.test. 300 IN A 10.1.0.1"], authority=SINGLE_NS, flags="AA"
    ),
    Case(
        "to-single.single.test.",
        answer=["to-single.single.test. 300 IN CNAME www.single.test.", "www.single.test. 300 IN A 10.1.0.1"],
        authority=SINGLE_NS,
        flags="AA",
    ),
    Case("www.single.test.", "MX", authority=SINGLE_SOA, flags="AA", why="no data does not fall through"),
    Case(
        "fell.single.test.",
        answer=["fell.single.test. 60 IN A 192.0.2.77"],
        authority=NEXT_NS,
        flags="AA",
        why="a name that does not exist falls through",
    ),
    Case(
        "x.far.single.test.",
        answer=["x.far.single.test. 60 IN A 192.0.2.78"],
        authority=NEXT_NS,
        flags="AA",
        why="a name that is delegated falls through",
    ),
    Case("other.test.", rcode="REFUSED", why="no zone of the block's"),
    Case("example.org.", "AXFR", rcode="REFUSED", tcp=True, why="no transfer", coredns="an empty answer"),
]  # fmt: skip


@pytest.fixture(scope="module")
def api() -> Api:
    return Api(dict(ZONES))


@pytest.fixture(scope="module")
def provider(api: Api) -> Iterator[Provider]:
    with Provider(api.answer) as provider:
        yield provider


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Both]:
    theirs = COREFILE
    for text in WITHOUT:
        theirs = theirs.replace(text, "")
    with pytest.MonkeyPatch.context() as environ:
        for name, value in ENVIRON.items():
            environ.setenv(name, value)
        environ.setenv("AWS_ENDPOINT_URL", provider.url)
        ours = COREFILE.replace("API_URL", provider.url)
        with Both(tmp_path_factory.mktemp("route53"), ours, {"next.db": NEXT}, coredns=theirs) as both:
            yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def test_what_cannot_be_listed(both: Both) -> None:
    """Its names get SERVFAIL, and the log says why, once."""
    both.check(Case("www.broken.test.", rcode="SERVFAIL", coredns="it is not given this zone"))
    said = (
        "plugin/route53: Failed to update zones [broken.test.]: failed to list resource records for "
        "broken.test.:ZNONE from route53: An error occurred (NoSuchHostedZone)"
    )
    both.fastdns.wait_for_log(said)
    failed = both.fastdns.total("fastdns_route53_listings_total", result="failed")
    wait_until(lambda: both.fastdns.total("fastdns_route53_listings_total", result="failed") > failed)
    assert both.fastdns.log.count(said) == 1


def test_what_is_left_out_is_said(both: Both) -> None:
    both.fastdns.wait_for_log(
        "example.org.:ZPRIVATE: alias.example.org. A: it is an alias of dualstack.elb.amazonaws.com., and has no "
        "records; it is left out"
    )


def test_changes(both: Both, api: Api, provider: Provider) -> None:
    """What the provider has is served after the next listing, and what was listed last while it fails."""
    before, after = (
        Case(
            "www.single.test.",
            answer=[f"www.single.test. 300 IN A {address}"],
            authority=SINGLE_NS,
            flags="AA",
        )
        for address in ("10.1.0.1", "10.1.0.99")
    )
    provider.play = lambda asked: error("Throttling", f"Rate exceeded for {asked.path}", 400)
    both.fastdns.wait_for_log("An error occurred (Throttling)")
    both.check(before)
    api.zones["ZSINGLE"] = [*apex("single.test.", 3), Set("www.single.test.", "A", ["10.1.0.99"])]
    provider.play = lambda asked: None
    both.eventually(after)
    api.zones["ZSINGLE"] = ZONES["ZSINGLE"]
    both.eventually(before)
