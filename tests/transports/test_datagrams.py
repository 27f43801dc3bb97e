"""Datagrams as the event-loop thread takes and sends them, and addresses as the kernel has them."""

from __future__ import annotations

import socket

import pytest

from fastdns.transports._datagrams import DatagramSocket
from fastdns.transports._doq import is_allowed
from fastdns.transports.socket_names import address_of, arrived_at, name_of, packed, port_of

pytestmark = pytest.mark.native


def bound(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.bind((host, 0))
    except OSError:
        pytest.skip(f"this host has no {host}")
    return sock


@pytest.mark.parametrize(("host", "told", "own"), [("127.0.0.1", 8, "0.0.0.0"), ("::1", 49, "::")])
def test_there_and_back(host: str, told: int, own: str) -> None:
    """Many at once, from the address that was asked, which the control message tells."""
    client, server = bound(host), bound(own)
    if ":" in host:
        server.setsockopt(socket.IPPROTO_IPV6, told, 1)
    else:
        server.setsockopt(socket.IPPROTO_IP, told, 1)
    datagrams = DatagramSocket(server.fileno())
    assert datagrams.receive() == []
    sent = [b"x" * size for size in (1, 1200, 2048, 2049, 65000)] + [b"y"] * 40
    for data in sent:
        client.sendto(data, (host, server.getsockname()[1]))
    found = datagrams.receive() + datagrams.receive()
    assert [data for data, _, _ in found] == [data for data in sent if len(data) <= 2048]
    assert datagrams.receive() == []
    _, name, control = found[0]
    assert address_of(name) == client.getsockname() and name_of(client.getsockname()) == name
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    assert packed(name) == arrived_at(control) == socket.inet_pton(family, host)
    assert port_of(name) == client.getsockname()[1]
    datagrams.send(b"reply", name, control)
    data, sender = client.recvfrom(100)
    assert data == b"reply" and sender[:2] == (host, server.getsockname()[1])
    client.close()
    # Nobody is there: the error is nobody's, and what comes afterwards is taken.
    datagrams.send(b"reply", name, b"")
    datagrams.receive()
    again = bound(host)
    again.sendto(b"z", (host, server.getsockname()[1]))
    assert [data for data, _, _ in datagrams.receive() + datagrams.receive()] == [b"z"]
    # No address, and no socket.
    datagrams.send(b"x", b"", b"")
    assert DatagramSocket(-1).receive() == []


def test_addresses_that_are_none() -> None:
    for name in (b"", b"\2\0", bytes(27), bytes(100)):
        with pytest.raises(ValueError, match="IPv4 or IPv6"):
            address_of(name)
    assert arrived_at(b"") == b"" and arrived_at(bytes(40)) == b""


QUESTION = b"\0\0\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\0\0"


def with_opt(options: bytes, before: bytes = b"", count: int = 1) -> bytes:
    """The question with an OPT record, behind other records."""
    return QUESTION[:10] + count.to_bytes(2) + QUESTION[12:] + before + OPT + len(options).to_bytes(2) + options


ALLOWED = {
    "a question": QUESTION,
    "an empty OPT record": with_opt(b""),
    "padding": with_opt(b"\0\x0c\0\3\0\x0b\0"),
    "the code in another option's data": with_opt(b"\0\x0a\0\4\0\x0b\0\0"),
    "records that are missing": QUESTION[:10] + b"\0\5" + QUESTION[12:],
    "a question that is missing": QUESTION[:12],
    "a record that is longer than the message": with_opt(b"")[:-2] + b"\xff\xff",
    "a name without an end": QUESTION[:12] + b"\x3f",
    "it stands behind the last record": with_opt(b"", count=0) + with_opt(b"\0\x0b\0\0")[len(QUESTION) :],
}
FORBIDDEN = {
    "the option alone": with_opt(b"\0\x0b\0\0"),
    "and its end is missing": with_opt(b"\0\x0b"),
    "with a time": with_opt(b"\0\x0b\0\2\0\x64"),
    "behind another option": with_opt(b"\0\x0c\0\3abc\0\x0b\0\0"),
    "in the second record": with_opt(b"\0\x0b\0\0", b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x7f\0\0\1", 2),
    "an ID": b"\0\1" + QUESTION[2:],
    "half a header": bytes(11),
    "nothing": b"",
}


@pytest.mark.parametrize("message", ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_over_quic(message: bytes) -> None:
    assert is_allowed(message)


@pytest.mark.parametrize("message", FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_is_not(message: bytes) -> None:
    assert not is_allowed(message)


def test_any_bytes() -> None:
    """Cut anywhere, and with any byte changed: read within the message, whatever comes of it."""
    whole = with_opt(b"\0\x0c\0\3abc\0\x0b\0\0", b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x7f\0\0\1", 2)
    for size in range(len(whole)):
        is_allowed(whole[:size])
        for value in (0, 1, 0x3F, 0x40, 0xC0, 0xFF):
            is_allowed(whole[:size] + bytes([value]) + whole[size + 1 :])
