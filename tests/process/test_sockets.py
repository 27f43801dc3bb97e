"""The socket table: all or nothing, and errors that say which address and why."""

from __future__ import annotations

import contextlib
import errno
import gc
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from fastdns import listening
from fastdns.corefile.model import Listener
from fastdns.listening import ListenError
from fastdns.netaddrs import socket_address
from fastdns.process.sockets import IP_PKTINFO, IPV6_RECVPKTINFO, Place, SocketTable, open_socket, places
from fastdns.transports.table import UDP
from tests.support import free_port, has_address, occupied, open_fds

needs_ipv6 = pytest.mark.skipif(not has_address("::1"), reason="this host has no IPv6")


@pytest.fixture
def table() -> Iterator[SocketTable]:
    opened = SocketTable()
    yield opened
    opened.close(list(opened.pairs))


def test_a_pair_a_worker_and_place(table: SocketTable) -> None:
    one, other = Place("127.0.0.1", free_port()), Place("127.0.0.2", free_port())
    added = table.open([one, other], 2)
    assert sorted(added, key=str) == sorted(((i, p) for i in (0, 1) for p in (one, other)), key=str)
    for pair in table.pairs.values():
        for opened, kind in ((pair.udp, socket.SOCK_DGRAM), (pair.tcp, socket.SOCK_STREAM)):
            assert opened.getsockname() == (pair.place.address, pair.place.port)
            assert opened.type == kind
            assert not opened.getblocking()
            assert not opened.get_inheritable()
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    assert [pair.place for pair in table.of_worker(1, [other, one])] == [other, one]
    assert table.open([one, other], 2) == []
    assert len(table.open([one], 3)) == 1


def test_keep_only(table: SocketTable) -> None:
    one, other = Place("127.0.0.1", free_port()), Place("127.0.0.1", free_port())
    table.open([one, other], 3)
    kept = table.pairs[0, one]
    table.keep_only([one], 2)
    assert sorted(table.pairs) == [(0, one), (1, one)]
    assert table.pairs[0, one] is kept


def test_what_would_take_queries_from_who_serves(table: SocketTable) -> None:
    """An address gets its queries also where a wildcard has been open for long."""
    port, other = free_port(), free_port()
    everywhere, one, six = Place("0.0.0.0", port), Place("127.0.0.1", port), Place("::1", port)
    elsewhere = Place("127.0.0.1", other)
    table.open([everywhere], 1)
    assert table.unserved([everywhere, one, six, elsewhere]) == [six, elsewhere]
    table.open([elsewhere], 1)
    assert table.unserved([Place("127.0.0.2", other), elsewhere]) == [Place("127.0.0.2", other)]


def drained(udp: socket.socket) -> list[bytes]:
    """What a socket holds, answered from it."""
    found = []
    while True:
        try:
            message, peer = udp.recvfrom(512)
        except BlockingIOError:
            return found
        found.append(message)
        udp.sendto(message, peer)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", pytest.param("::1", marks=needs_ipv6)])
def test_a_socket_that_is_given_up_is_given_nothing_more(table: SocketTable, address: str) -> None:
    """Its worker has it open still: what came after it has looked for the last time would get no answer."""
    place = Place(address, free_port())
    table.open([place], 2)
    workers = [table.pairs[index, place].udp.dup() for index in (0, 1)]
    to = ("127.0.0.1" if place.wildcard else address, place.port)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(workers[0].family, socket.SOCK_DGRAM)) for _ in range(64)]
        for number, client in enumerate(clients):
            client.settimeout(5)
            client.sendto(b"%d before" % number, to)
        table.keep_only([place], 1)
        for number, client in enumerate(clients):
            client.sendto(b"%d after" % number, to)
        left, kept = drained(workers[1]), drained(workers[0])
        assert left and all(message.endswith(b"before") for message in left)
        assert len(left) + len(kept) == 2 * len(clients)
        for number, client in enumerate(clients):
            assert {client.recv(512) for _ in range(2)} == {b"%d before" % number, b"%d after" % number}
    for one in workers:
        one.close()


@pytest.mark.parametrize(
    ("address", "port", "what"), [("0.0.0.0", 53, (True, "0.0.0.0")), ("127.0.0.1", 53, (False, "127.0.0.1"))]
)
def test_places(address: str, port: int, what: tuple[bool, str]) -> None:
    assert (Place(address, port).wildcard, Place(address, port).address) == what


def test_places_of_a_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    assert places(Listener("dns", "127.0.0.1", 53, ())) == [Place("127.0.0.1", 53)]
    both = [Place("0.0.0.0", 53), Place("::", 53)]
    # CoreDNS serves both families at either of them, and "::" has to start where there is IPv4 alone, too.
    for address in ("", "0.0.0.0", "::"):
        everywhere = Listener("dns", address, 53, ())
        for ipv4, ipv6, wanted in (
            (True, True, both), (True, False, both[:1]), (False, True, both[1:]), (False, False, both),
        ):  # fmt: skip
            monkeypatch.setattr(listening, "has_ipv4", lambda ipv4=ipv4: ipv4)
            monkeypatch.setattr(listening, "has_ipv6", lambda ipv6=ipv6: ipv6)
            assert places(everywhere) == wanted, (address, ipv4, ipv6)
    assert places(Listener("dns", "::", 53, (), one_family=True)) == [Place("::", 53)]


def test_replies_of_a_wildcard_know_their_address(table: SocketTable) -> None:
    wildcard, one = Place("0.0.0.0", free_port()), Place("127.0.0.1", free_port())
    table.open([wildcard, one], 1)
    assert table.pairs[0, wildcard].udp.getsockopt(socket.IPPROTO_IP, IP_PKTINFO) == 1
    assert table.pairs[0, one].udp.getsockopt(socket.IPPROTO_IP, IP_PKTINFO) == 0


@needs_ipv6
def test_ipv6_for_itself(table: SocketTable) -> None:
    port = free_port()
    table.open([Place("0.0.0.0", port), Place("::", port), Place("::1", free_port())], 2)
    udp = table.pairs[0, Place("::", port)].udp
    assert udp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    assert udp.getsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO) == 1


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_a_port_in_use_closes_what_was_opened(table: SocketTable, kind: socket.SocketKind) -> None:
    network = "udp" if kind == socket.SOCK_DGRAM else "tcp"
    kept = Place("127.0.0.1", free_port())
    table.open([kept], 1)
    with occupied(kind) as port:
        before = open_fds()
        with pytest.raises(ListenError) as caught:
            table.open([kept, Place("127.0.0.2", free_port()), Place("127.0.0.1", port)], 3)
        assert open_fds() == before
    assert str(caught.value) == (
        f"listen {network} 127.0.0.1:{port}: Address already in use (another program holds it)"
    )
    assert list(table.pairs) == [(0, kept)]
    assert table.pairs[0, kept].udp.fileno() >= 0


def test_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: socket.socket, address: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", type("Refused", (socket.socket,), {"bind": bind}))
    with pytest.raises(ListenError) as caught:
        SocketTable().open([Place("0.0.0.0", 53)], 1)
    assert str(caught.value) == (
        "listen udp 0.0.0.0:53: Permission denied (a port below 1024 needs CAP_NET_BIND_SERVICE or root)"
    )


def test_an_address_that_this_host_has_not() -> None:
    with pytest.raises(ListenError, match=r"^listen udp 192\.0\.2\.1:53535: Cannot assign requested address$"):
        SocketTable().open([Place("192.0.2.1", 53535)], 1)


@needs_ipv6
def test_an_ipv6_address_that_this_host_has_not() -> None:
    with pytest.raises(ListenError, match=r"^listen udp \[2001:db8::1\]:53535: Cannot assign requested address$"):
        SocketTable().open([Place("2001:db8::1", 53535)], 1)


@pytest.mark.parametrize("address", ["fe80::1%lo", "fe80::1%1", "fe80::1%absent"])
def test_the_zone_of_a_link_local_address(address: str) -> None:
    scope = 0 if "absent" in address else 1
    assert socket_address(address, 53) == ("fe80::1", 53, 0, scope)


def test_errors_leave_no_descriptor_open() -> None:
    # What earlier tests have left to be collected.
    gc.collect()
    before = open_fds()
    for _ in range(20):
        with pytest.raises(ListenError):
            open_socket(Place("192.0.2.1", 5353), UDP)
    assert open_fds() == before
