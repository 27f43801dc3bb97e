"""Who has sent a datagram: policies for senders, and sessions of senders that name their client once."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.transports._proxies import Proxies
from fastdns.transports.proxied import IGNORE, REJECT, SKIP, USE
from tests.dns.proxy_headers import header, packed

pytestmark = pytest.mark.native

QUERY = bytes.fromhex("abcd010000010000000000000161000001 0001")
PROXY, OTHER, CLIENT = packed("10.0.0.1"), packed("10.1.0.1"), packed("192.0.2.1")
S = 1_000_000_000


def network(text: str) -> tuple[bytes, int]:
    one = ipaddress.ip_network(text)
    if one.version == 4:
        return b"\0" * 10 + b"\xff\xff" + one.network_address.packed, one.prefixlen + 96
    return one.network_address.packed, one.prefixlen


@pytest.mark.parametrize(
    ("others", "wanted"),
    [
        (USE, (CLIENT, 53, True)),
        (IGNORE, (OTHER, 7, True)),
        (REJECT, None),
        (SKIP, (OTHER, 7, False)),
    ],
)
def test_policies(others: int, wanted: tuple[bytes, int, bool] | None) -> None:
    proxies = Proxies([network("10.0.0.0/24"), network("fd00::/8")], others)
    head = header("192.0.2.1", 53)
    for allowed in (PROXY, packed("fd00::1")):
        assert proxies.policy(allowed) == USE
        assert proxies.client(allowed, 7, head + QUERY, 0) == (CLIENT, 53, len(head))
    found = proxies.client(OTHER, 7, head + QUERY, 0)
    assert found == (wanted and (*wanted[:2], len(head) if wanted[2] else 0))
    # Without a header everybody is served.
    assert proxies.client(OTHER, 7, QUERY, 0) == (OTHER, 7, 0)
    assert proxies.client(PROXY, 7, QUERY, 0) == (PROXY, 7, 0)


def test_everybody_where_no_network_is_named() -> None:
    head = header("192.0.2.1", 53)
    assert Proxies([], USE).client(OTHER, 7, head + QUERY, 0) == (CLIENT, 53, len(head))
    assert Proxies([], REJECT).client(OTHER, 7, head + QUERY, 0) is None


@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        (header("192.0.2.1", 53)[:-1], "cut"),
        (header("192.0.2.1", 53, command=0x31) + QUERY, "of another version"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 1 53\r\n" + QUERY, "version 1 is for connections"),
    ],
)
def test_datagrams_that_are_dropped(datagram: bytes, why: str) -> None:
    for others in (USE, IGNORE, REJECT):
        assert Proxies([], others).client(PROXY, 7, datagram, 0) is None
    assert Proxies([], SKIP).client(PROXY, 7, datagram, 0) == (PROXY, 7, 0)


def test_a_proxy_that_asks_itself() -> None:
    head = header(command=0x20)
    assert Proxies([], USE).client(PROXY, 7, head + QUERY, 0) == (PROXY, 7, len(head))


def test_a_session() -> None:
    proxies = Proxies([network("10.0.0.0/24")], IGNORE, 28 * S, 10)
    head = header("192.0.2.1", 53)
    assert proxies.client(PROXY, 7, QUERY, 0) == (PROXY, 7, 0)
    # The header alone is no query.
    assert proxies.client(PROXY, 7, head, 0) is None
    assert proxies.client(PROXY, 7, QUERY, 20 * S) == (CLIENT, 53, 0)
    # Each use prolongs it; other ports and senders have none.
    assert proxies.client(PROXY, 7, QUERY, 40 * S) == (CLIENT, 53, 0)
    assert proxies.client(PROXY, 8, QUERY, 40 * S) == (PROXY, 8, 0)
    assert proxies.client(PROXY, 7, QUERY, 40 * S + 28 * S + 1) == (PROXY, 7, 0)
    # A header with a query begins one as well, and changes one.
    other = header("2001:db8::1", 54)
    assert proxies.client(PROXY, 7, other + QUERY, 70 * S) == (packed("2001:db8::1"), 54, len(other))
    assert proxies.client(PROXY, 7, QUERY, 71 * S) == (packed("2001:db8::1"), 54, 0)
    # Senders that are no proxies begin none.
    assert proxies.client(OTHER, 7, head + QUERY, 71 * S) == (OTHER, 7, len(head))
    assert proxies.client(OTHER, 7, QUERY, 71 * S) == (OTHER, 7, 0)
    assert proxies.sessions == 1


@given(
    most=st.integers(1, 5),
    steps=st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 6)), max_size=80),
)
def test_sessions_are_those_used_last(most: int, steps: list[tuple[int, bool, int]]) -> None:
    """Against an ordered dict: a sender, whether it names a client, and the seconds that pass before."""
    proxies = Proxies([], USE, 10 * S, most)
    known: OrderedDict[int, tuple[int, int]] = OrderedDict()
    now = 0
    for number, (sender, names, pause) in enumerate(steps):
        now += pause * S
        if names:
            head = header("192.0.2.1", number)
            assert proxies.client(PROXY, sender, head, now) is None
            if sender not in known and len(known) == most:
                known.popitem(last=False)
            known[sender] = (number, now + 10 * S)
            known.move_to_end(sender)
            continue
        found = proxies.client(PROXY, sender, QUERY, now)
        if sender in known and known[sender][1] >= now:
            assert found == (CLIENT, known[sender][0], 0)
            known[sender] = (known[sender][0], now + 10 * S)
            known.move_to_end(sender)
        else:
            assert found == (PROXY, sender, 0)
        assert proxies.sessions <= most


def test_mistakes_of_callers() -> None:
    for arguments in (([], 7), ([(b"1234", 8)], USE), ([(bytes(16), 129)], USE), ([], USE, S, 0)):
        with pytest.raises(ValueError, match=r"no policy|no network|out of range"):
            Proxies(*arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="4 or 16"):
        Proxies([], USE).policy(b"123")
