"""Padding (RFC 7830, RFC 8467): of replies to padded queries, over transports that encrypt."""

from __future__ import annotations

import dns.edns
import dns.message
import pytest
from dnslib.dns import RCODE
from hypothesis import given
from hypothesis import strategies as st

from fastdns.transports.table import TRANSPORTS, UDP
from tests.serve.served import Served
from tests.serve.support import options_of, parse

pytestmark = pytest.mark.native

PADDING = dns.edns.OptionType.PADDING
BLOCK_BYTES = 468
COREFILE = """\
example.org:5300 {
    template IN TXT example.org {
        answer "{{ .Name }} 60 IN TXT TEXT"
    }
}
"""
IN_CLEAR = ("udp", "tcp")


def reply(
    transport: str, *, text_bytes: int = 4, options: tuple[dns.edns.Option, ...] = (), edns: bool = True
) -> bytes:
    text = " ".join("x" * min(200, text_bytes - at) for at in range(0, text_bytes, 200))
    served = Served(COREFILE.replace("TEXT", text))
    query = dns.message.make_query("a.example.org", "TXT", use_edns=0 if edns else -1, options=list(options))
    [row] = [row for row in TRANSPORTS if row.name == transport]
    found = served.slow.serve(0, query.to_wire(), b"\x7f\0\0\1", 5353, None, transport=row.number)
    assert isinstance(found, bytes)
    return found


def padding_of(message: bytes) -> list[bytes]:
    return [bytes(one.data) for one in dns.message.from_wire(message).options if one.otype == PADDING]


ASKED = dns.edns.GenericOption(PADDING, bytes(20))


@pytest.mark.parametrize("transport", [row.name for row in TRANSPORTS if row.name not in IN_CLEAR])
def test_it_fills_blocks(transport: str) -> None:
    """Around the end of a block, byte by byte: no more than is needed."""
    sizes = set()
    for text_bytes in (1, *range(370, 420), 900):
        found = reply(transport, text_bytes=text_bytes, options=(ASKED,))
        assert len(found) % BLOCK_BYTES == 0
        [padding] = padding_of(found)
        assert not any(padding)
        sizes.add((len(found), len(padding)))
    assert (BLOCK_BYTES, 0) in sizes and (2 * BLOCK_BYTES, BLOCK_BYTES - 1) in sizes


@pytest.mark.parametrize("transport", IN_CLEAR)
def test_none_without_encryption(transport: str) -> None:
    """RFC 7830 section 6: not repeated either."""
    assert padding_of(reply(transport, options=(ASKED,))) == []


@pytest.mark.parametrize("edns", [True, False], ids=["with an OPT record", "without EDNS"])
def test_none_that_is_not_asked_for(edns: bool) -> None:
    assert padding_of(reply("tls", edns=edns)) == []


def test_empty_padding_asks_for_it() -> None:
    assert len(reply("tls", options=(dns.edns.GenericOption(PADDING, b""),))) == BLOCK_BYTES


def test_other_options_are_repeated_beside_it() -> None:
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
    found = reply("tls", options=(ASKED, cookie))
    assert len(found) == BLOCK_BYTES
    assert [one.otype for one in dns.message.from_wire(found).options] == [dns.edns.OptionType.COOKIE, PADDING]


def test_it_stays_within_a_message() -> None:
    """The last block is not whole where a message ends."""
    found = reply("tls", text_bytes=65143, options=(ASKED,))
    assert len(found) == 65535
    assert len(padding_of(found)) == 1


def test_every_transport_is_known() -> None:
    assert UDP.name in IN_CLEAR and len(TRANSPORTS) == 7


SERVED = Served(COREFILE.replace("TEXT", "text"))


@given(
    st.lists(st.tuples(st.sampled_from([3, 8, 10, 11, 12, 65001]), st.binary(max_size=300)), max_size=6),
    st.integers(0, 700),
)
def test_whatever_options_a_query_has(options: list[tuple[int, bytes]], cut_bytes: int) -> None:
    """Several Padding options, malformed ones, a message that ends too early: a whole reply, or none."""
    query = dns.message.make_query("a.example.org", "TXT", use_edns=0)
    query.use_edns(0, options=[dns.edns.GenericOption(code, data) for code, data in options])
    wire = query.to_wire()
    found = SERVED.slow.serve(0, wire[: max(12, len(wire) - cut_bytes)], b"\x7f\0\0\1", 5353, None, transport=2)
    assert isinstance(found, bytes)
    said = parse(found)
    paddings = [data for code, data in options_of(said) if code == PADDING]
    if said.header.rcode == RCODE.NOERROR and cut_bytes == 0:
        assert len(paddings) == any(code == PADDING for code, _ in options)
    if paddings:
        assert len(found) % BLOCK_BYTES == 0
