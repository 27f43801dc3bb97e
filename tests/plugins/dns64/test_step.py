"""The step alone: addresses by RFC 6052, who is not translated for, and the options."""

from __future__ import annotations

import ipaddress

import dns.flags
import dns.message
import dns.reversename
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.dns64._step import Dns64Step
from fastdns.plugins.dns64.config import WELL_KNOWN, Config
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.plugins.kubernetes.support import Cluster, Options, wire
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer
from tests.serve.support import parse, query, reply_to, shown, trial

pytestmark = pytest.mark.native

CLIENT = ipaddress.ip_address("2001:db8::53").packed
LENGTHS = range(32, 97, 8)


def make_worker(prefix: str = "64:ff9b::/96", address: str = "192.0.2.33", **how: bool) -> Worker:
    """Every name has this IPv4 address, and no other data but PTR records for reverse names of IPv4."""
    network = ipaddress.IPv6Network(prefix)
    step = Dns64Step(network.network_address.packed, network.prefixlen, **how)
    reverse = Answer(wire("in-addr.arpa."), wire("host.test."), 12)
    return Worker(
        ServerTable([(".", 0, None)], [[step, reverse, Answer(b"\0", ipaddress.ip_address(address).packed)]])
    )


def ask(worker: Worker, name: str, qtype: str, client: bytes = CLIENT, *, do: bool = False, cd: bool = False):
    query = dns.message.make_query(name, qtype, want_dnssec=do)
    if cd:
        query.flags |= dns.flags.CD
    raw = worker.serve(query.to_wire(), client=client)
    assert raw is not None
    return dns.message.from_wire(raw, one_rr_per_rrset=True)


# RFC 6052 section 2.4: the address 192.0.2.33 with prefixes of its lengths.
EXAMPLES = [
    ("2001:db8::/32", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
]


def is_denied(reply: dns.message.Message) -> bool:
    return reply.rcode() == 3


@pytest.mark.parametrize(("prefix", "address"), EXAMPLES)
def test_the_examples_of_rfc_6052(prefix: str, address: str) -> None:
    worker = make_worker(prefix)
    reverse = dns.reversename.from_address(address).to_text()
    assert [rrset.to_text() for rrset in ask(worker, reverse, "PTR").answer] == [
        f"{reverse} 600 IN CNAME 33.2.0.192.in-addr.arpa.",
        "33.2.0.192.in-addr.arpa. 60 IN PTR host.test.",
    ]


def embedded(prefix: ipaddress.IPv6Network, ipv4: ipaddress.IPv4Address) -> ipaddress.IPv6Address:
    """RFC 6052 section 2.2, bit by bit: those of the prefix, then of the address, without bits 64 to 71."""
    bits = list(f"{int(prefix.network_address):0128b}"[: prefix.prefixlen])
    for bit in f"{int(ipv4):032b}":
        if len(bits) == 64:
            bits += "0" * 8
        bits.append(bit)
    return ipaddress.IPv6Address(int("".join(bits).ljust(128, "0"), 2))


WEB = "web.shop.svc.cluster.local."


def make_cluster(ipv4: str, prefix: ipaddress.IPv6Network = WELL_KNOWN, **how: bool) -> Worker:
    """One Service, which has an IPv4 address."""
    objects = f"""
kind: Namespace
metadata: {{name: shop}}
---
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{clusterIP: {ipv4}, clusterIPs: ["{ipv4}"], ports: [{{port: 80}}]}}
"""
    step = Dns64Step(prefix.network_address.packed, prefix.prefixlen, **how)
    return Cluster(Options(zones=["cluster.local."]), objects, before=[step], max_bytes=1 << 20).worker


@settings(max_examples=60, deadline=None)
@given(prefix=st.integers(0, 2**128 - 1), length=st.sampled_from(LENGTHS), ipv4=st.ip_addresses(v=4))
def test_any_prefix_and_address(prefix: int, length: int, ipv4: ipaddress.IPv4Address) -> None:
    network = ipaddress.IPv6Network((prefix, length), strict=False)
    (record,) = ask(make_cluster(str(ipv4), network), WEB, "AAAA").answer
    assert (record.ttl, ipaddress.IPv6Address(record[0].address)) == (5, embedded(network, ipv4))
    worker = make_worker(str(network), str(ipv4))
    reverse = f"{embedded(network, ipv4).reverse_pointer}."
    found = ask(worker, reverse, "PTR").answer
    assert found[0].to_text() == f"{reverse} 600 IN CNAME {ipv4.reverse_pointer}."
    other = embedded(ipaddress.IPv6Network((int(network.network_address) ^ (1 << 127), length)), ipv4)
    assert is_denied(ask(worker, f"{other.reverse_pointer}.", "PTR"))


@pytest.mark.parametrize("labels", ["", "0." * 31, "g." * 32, "00." * 32])
def test_other_reverse_names(labels: str) -> None:
    assert is_denied(ask(make_worker(), f"{labels}ip6.arpa.", "PTR"))


@pytest.mark.parametrize(
    ("do", "cd", "count"), [(False, False, 1), (True, False, 1), (False, True, 1), (True, True, 0)]
)
def test_a_client_that_validates_gets_what_is_signed(do: bool, cd: bool, count: int) -> None:
    """RFC 6147 section 5.5."""
    assert len(ask(make_cluster("10.96.0.1"), WEB, "AAAA", do=do, cd=cd).answer) == count


@pytest.mark.parametrize("allow_ipv4", [False, True])
def test_ipv4_clients(allow_ipv4: bool) -> None:
    reply = ask(make_cluster("10.96.0.1", allow_ipv4=allow_ipv4), WEB, "AAAA", b"\x0a\0\0\1")
    assert (len(reply.answer), len(reply.authority)) == (int(allow_ipv4), int(not allow_ipv4))


def test_ipv4_clients_get_no_reverse_names() -> None:
    reverse = dns.reversename.from_address("64:ff9b::192.0.2.33").to_text()
    ipv4 = ipaddress.ip_address("192.0.2.53").packed
    assert is_denied(ask(make_worker(), reverse, "PTR", ipv4))
    assert ask(make_worker(allow_ipv4=True), reverse, "PTR", ipv4).answer


# ------------------------------------------------------------------------------------------------ options


def config_of(text: str) -> Config:
    config: Config = load(f". {{\n{text}\nwhoami\n}}", environ={}).blocks[0].plugins["dns64"]
    return config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dns64", Config()),
        ("dns64 2001:db8::/32", Config(ipaddress.IPv6Network("2001:db8::/32"))),
        ("dns64 64:ff9b::1/96", Config(WELL_KNOWN)),
        ("dns64 {\nprefix 2001:db8::/40\n}", Config(ipaddress.IPv6Network("2001:db8::/40"))),
        ("dns64 2001:db8::/40 {\ntranslate_all\n}", Config(ipaddress.IPv6Network("2001:db8::/40"), True)),
        ("dns64 {\nallow_ipv4\n}\ndns64 ::/64", Config(ipaddress.IPv6Network("::/64"), False, True)),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert config_of(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dns64 2001:db8::", "is no IPv6 prefix"),
        ("dns64 10.0.0.0/8", "is no IPv6 prefix"),
        ("dns64 2001:db8::/24", "invalid prefix length"),
        ("dns64 2001:db8::/104", "invalid prefix length"),
        ("dns64 2001:db8::/44", "invalid prefix length"),
        ("dns64 a b", "at most one argument"),
        ("dns64 {\nprefix\n}", "one argument"),
        ("dns64 {\ntranslate_all yes\n}", "no argument"),
        ("dns64 {\nallow_ipv6\n}", "unknown option 'allow_ipv6'"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        config_of(text)


@pytest.mark.parametrize("records", [1, 4160])
def test_a_long_error_is_followed_by_the_question_for_a(records: int) -> None:
    """The records of the first reply left no room for the second question, and the client got no reply."""
    service = PlayedService("played")
    server = trial(Dns64Step(ipaddress.ip_address("64:ff9b::").packed, 96), Wait("played"), services=(service,))
    assert server.ask(query("www.test.", "AAAA"), client=CLIENT) is WAITS
    refused = bytearray(reply_to(server.asked(service)[0], rcode=5))
    refused[8:10] = records.to_bytes(2, "big")
    refused += (b"\0\0\1\0\1" + bytes(6)) * records
    assert server.say(service, bytes(refused)) is WAITS
    assert server.asked(service) == [(wire("www.test."), 1)]
    reply = parse(server.say(service, reply_to(server.asked(service)[0], "www.test. 60 A 192.0.2.1")))
    assert shown(reply) == ["an www.test. AAAA 64:ff9b::c000:201"]
