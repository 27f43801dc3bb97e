"""The options of acl, and the errors."""

from __future__ import annotations

import ipaddress

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.acl.config import Policy, Rule


def rules(text: str) -> tuple[Rule, ...]:
    config = load(f"example.org {{\n{text}\n}}", environ={}).blocks[0].plugins["acl"]
    return config.rules  # type: ignore[no-any-return]


def policies(line: str) -> tuple[Policy, ...]:
    return rules(f"acl {{\n{line}\n}}")[0].policies


def networks(*texts: str) -> tuple[tuple[bytes, int], ...]:
    found = [ipaddress.ip_network(text) for text in texts]
    return tuple((network.network_address.packed, network.prefixlen) for network in found)


@pytest.mark.parametrize(
    ("line", "policy"),
    [
        ("block type A net 192.168.0.0/16", Policy("block", frozenset({1}), networks("192.168.0.0/16"))),
        ("allow", Policy("allow")),
        ("DROP TYPE * NET *", Policy("drop")),
        ("filter type A AAAA", Policy("filter", frozenset({1, 28}))),
        ("filter type A type AAAA", Policy("filter", frozenset({1, 28}))),
        ("filter type A * AAAA", Policy("filter")),
        ("block net 10.0.0.1", Policy("block", None, networks("10.0.0.1/32"))),
        ("block net 10.0.0.1/8", Policy("block", None, networks("10.0.0.0/8"))),
        ("block net 2001:db8::1 10.0.0.0/8", Policy("block", None, networks("2001:db8::1/128", "10.0.0.0/8"))),
        ("block net 10.0.0.0/8 type A net ::/0", Policy("block", frozenset({1}), networks("10.0.0.0/8", "::/0"))),
        ("block net ::ffff:10.0.0.0/104", Policy("block", None, networks("10.0.0.0/8"))),
    ],
)
def test_policies(line: str, policy: Policy) -> None:
    assert policies(line) == (policy,)


def test_zones() -> None:
    found = rules("acl {\nblock\n}\nacl a.example.org B.example.org {\n}")
    assert [rule.zones for rule in found] == [("example.org.",), ("a.example.org.", "b.example.org.")]
    assert found[1].policies == ()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("block A net 192.168.0.0/16", "unexpected 'A'; expected type or net"),
        ("block type net 192.168.0.0/16", "expected at least one word behind type"),
        ("block type A net", "expected at least one word behind net"),
        ("block type A net 10.0.0.0/8 type", "expected at least one word behind type"),
        ("block type ABC", "'ABC' is no query type"),
        ("block type a", "'a' is no query type"),
        ("blck type A", "unexpected 'blck'; expected allow, block, filter or drop"),
        ("block net 192.168.0/16", "invalid network '192.168.0/16'"),
        ("block net 192.168.0.0/33", "invalid network '192.168.0.0/33'"),
        ("block net 192.168.0.0/255.255.0.0", "invalid network"),
        ("block net 010.0.0.0/8", "invalid network"),
        ("block net fe80::1%eth0", "invalid network"),
        ("block net 2001::db8::/32", "invalid network"),
        ("block net * x", "invalid network 'x'"),
    ],
)
def test_errors(line: str, error: str) -> None:
    with pytest.raises(CorefileError) as raised:
        policies(line)
    assert "Corefile:3" in str(raised.value)
    assert error in str(raised.value)
