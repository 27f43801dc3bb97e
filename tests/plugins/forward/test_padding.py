"""Queries to upstreams over TLS and HTTPS are multiples of 128 bytes, where they have an OPT record."""

from __future__ import annotations

import dns.edns
import dns.message
import pytest

from fastdns.plugins.forward.padding import BLOCK_BYTES, padded

PADDING = dns.edns.OptionType.PADDING


@pytest.mark.parametrize("length", range(1, 64))
def test_every_length_of_a_name(length: int) -> None:
    query = dns.message.make_query(f"{'x' * length}.{'y' * length}.test", "A", use_edns=0, payload=1232)
    asked = query.to_wire()
    sent = padded(asked)
    assert len(sent) % BLOCK_BYTES == 0 and len(sent) - len(asked) < BLOCK_BYTES + 4
    read = dns.message.from_wire(sent)
    [option] = read.options
    assert option.otype == PADDING
    assert (read.id, read.question, read.payload) == (query.id, query.question, 1232)


def test_beside_other_options() -> None:
    subnet = dns.edns.ECSOption("192.0.2.0", 24)
    sent = padded(dns.message.make_query("a.test", "A", use_edns=0, options=[subnet]).to_wire())
    assert [option.otype for option in dns.message.from_wire(sent).options] == [subnet.otype, PADDING]
    assert len(sent) == BLOCK_BYTES


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(dns.message.make_query("a.test", "A", use_edns=-1), id="no OPT record"),
        pytest.param(dns.message.make_query(".", "NS", use_edns=-1), id="a probe"),
        pytest.param(dns.message.make_query("a.test", "A", use_edns=0, pad=64), id="padded by a rule"),
    ],
)
def test_as_it_is(query: dns.message.Message) -> None:
    assert padded(query.to_wire()) == query.to_wire()


def test_the_root() -> None:
    assert len(padded(dns.message.make_query(".", "NS", use_edns=0).to_wire())) == BLOCK_BYTES
