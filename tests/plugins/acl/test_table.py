"""The tables of addresses against an obvious reference: each policy in turn, each network in turn."""

from __future__ import annotations

import ipaddress
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.plugins.acl._step import AclStep
from fastdns.plugins.acl.config import ACTIONS, Policy, Rule
from fastdns.plugins.acl.table import NONE, NUMBERS, table

pytestmark = pytest.mark.native

# Few different bits, so that networks hold each other, touch and begin alike.
NUMBERS4 = st.lists(st.sampled_from([0, 1 << 31, 1 << 24, 1 << 8, 1, 3 << 30, 255]), max_size=4).map(
    lambda parts: sum(set(parts)) & 0xFFFFFFFF
)
ADDRESSES4 = NUMBERS4.map(lambda number: number.to_bytes(4, "big"))
ADDRESSES6 = st.tuples(NUMBERS4, NUMBERS4, NUMBERS4, NUMBERS4).map(
    lambda parts: b"".join(part.to_bytes(4, "big") for part in parts)
)
MAPPED = ADDRESSES4.map(lambda packed: b"\0" * 10 + b"\xff\xff" + packed)


def network(packed: bytes, length: int) -> tuple[bytes, int]:
    bits = 8 * len(packed)
    length = min(length, bits)
    number = int.from_bytes(packed, "big") >> (bits - length) << (bits - length)
    return number.to_bytes(len(packed), "big"), length


LENGTHS = st.sampled_from([0, 1, 2, 7, 8, 24, 31, 32, 33, 64, 127, 128])
NETWORKS = st.builds(network, ADDRESSES4 | ADDRESSES6, LENGTHS)
CLIENTS = st.tuples(ADDRESSES4 | ADDRESSES6 | MAPPED, st.sampled_from([1, 28, 255, 16]))
POLICIES = st.builds(
    Policy,
    st.sampled_from(ACTIONS),
    st.none() | st.frozensets(st.sampled_from([0, 1, 28, 255]), min_size=1, max_size=3),
    st.none() | st.lists(NETWORKS, max_size=6).map(tuple),
)


def reference(policies: list[Policy], client: bytes, qtype: int) -> int:
    """What the README says, line by line."""
    address = ipaddress.ip_address(client)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    for policy in policies:
        if policy.qtypes is not None and qtype not in policy.qtypes and 0 not in policy.qtypes:
            continue
        if policy.networks is None or any(
            address in ipaddress.ip_network((packed, length)) for packed, length in policy.networks
        ):
            return NUMBERS[policy.action]
    return NONE


@given(st.lists(POLICIES, max_size=6), st.lists(CLIENTS, min_size=1, max_size=30))
def test_as_the_reference(policies: list[Policy], asked: list[tuple[bytes, int]]) -> None:
    step = AclStep([Rule((".",), tuple(policies))])
    edges = [packed for policy in policies for packed, _ in policy.networks or ()]
    for client, qtype in [*asked, *((edge, 1) for edge in edges)]:
        assert step.action(0, client, qtype) == reference(policies, client, qtype)


def test_the_first_and_the_last_address() -> None:
    step = AclStep([Rule((".",), (Policy("block", None, (network(b"\xff" * 4, 32), network(b"\0" * 16, 128))),))])
    asked = (b"\xff" * 4, b"\xff" * 16, b"\0" * 16, b"\0" * 4)
    assert [step.action(0, packed, 1) for packed in asked] == [2, 0, 2, 0]


def test_networks_that_touch_are_one_range() -> None:
    halves = (network(b"\x0a\0\0\0", 9), network(b"\x0a\x80\0\0", 9), network(b"\x0a\x80\0\0", 16))
    assert len(table([Policy("block", None, halves)], 4).starts) == 3
    assert len(table([Policy("block", None, halves)], 16).starts) == 1


@pytest.mark.parametrize("lines", [1, 10_000], ids=["one line", "a line each"])
def test_many_networks(lines: int) -> None:
    """10,000 networks are a table of about as many ranges, which is made in less than a second."""
    numbers = random.Random(lines).sample(range(1 << 24), 10_000)
    networks = [network((number << 8).to_bytes(4, "big"), 24) for number in numbers]
    size = len(networks) // lines
    policies = [
        Policy(ACTIONS[line % 4], None, tuple(networks[line * size : (line + 1) * size])) for line in range(lines)
    ]
    begun = time.process_time()
    made = table(policies, 4)
    assert time.process_time() - begun < 5, "it takes 0.1 s"
    assert len(made.starts) <= 20_001
    step = AclStep([Rule((".",), tuple(policies))])
    for place in range(0, 10_000, 997):
        client = networks[place][0][:3] + b"\x07"
        assert step.action(0, client, 1) == 1 + place // size % 4
