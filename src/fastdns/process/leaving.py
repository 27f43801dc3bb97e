"""A worker gives up a UDP socket: what it still holds is answered, as nobody else may come to read it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from fastdns.process.sockets import IP_PKTINFO, IPV6_PKTINFO, take_no_part, tell_destinations

# More than a socket's buffer holds.
LEAVE_MESSAGES = 20_000
MESSAGE_ROOM = 65535
CONTROL_ROOM = 128


class Serve(Protocol):
    """Of a message, the client's address and port, and what delivers a late reply: the reply, None, or that it is
    late. local: the address that the message came to; none where the socket is bound to it."""

    def __call__(
        self, message: bytes, client: bytes, client_port: int, deliver: Callable[[bytes | None], object], /,
        *, local: bytes = b"",
    ) -> object: ...  # fmt: skip


def leave(serve: Serve, udp: socket.socket, may_wait: bool) -> socket.socket | None:
    """Close a UDP socket. What lies in it is answered first.

    may_wait: queries may wait for others. Their replies leave from a socket of this process, which is returned: the
    one that is left may go on in another process, and as long as it is open here it would be fed.
    """
    sender = twin(udp) if may_wait else udp
    answer_rest(serve, udp, sender)
    udp.close()
    if sender is udp:
        return None
    # What it was given before it was connected.
    answer_rest(serve, sender, sender)
    return sender


def answer_rest(serve: Serve, udp: socket.socket, sender: socket.socket) -> None:
    """Answer what lies in a UDP socket."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(LEAVE_MESSAGES):
            message, control, _, peer = udp.recvmsg(MESSAGE_ROOM, CONTROL_ROOM)
            client = ipaddress.ip_address(peer[0].partition("%")[0]).packed
            # The control message with the address that was asked is the one that sets the source.
            send = partial(send_late, sender, control, peer)
            reply = serve(message, client, peer[1], send, local=local_address(control))
            if isinstance(reply, bytes):
                send(reply)


def local_address(control: Iterable[tuple[int, int, bytes]]) -> bytes:
    """The address that control messages say a datagram came to; none where they do not say."""
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            # Of struct in_pktinfo the second field; see ip(7).
            return data[4:8]
        if (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO):
            return data[:16]
    return b""


def twin(udp: socket.socket) -> socket.socket:
    """A socket with the same address that is given nothing, to send from. Where it cannot be had, udp itself."""
    other = socket.socket(udp.family, udp.type)
    try:
        other.setblocking(False)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if udp.family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        tell_destinations(other)
        other.bind(udp.getsockname())
        take_no_part(other)
    except OSError:
        other.close()
        return udp
    return other


def send_late(udp: socket.socket, control: Any, peer: Any, reply: bytes | None) -> None:
    """Send a reply over a socket that is being left."""
    if reply is not None:
        with contextlib.suppress(OSError):
            udp.sendmsg([reply], control, 0, peer)
