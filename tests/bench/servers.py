"""Small servers that misbehave on purpose, in processes of their own: whoever forks shall have no threads."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from fastdns.tls import server_context
from tests.certificates import write_certificate

# A query in; messages out, each after so many seconds.
Answer = Callable[[bytes], list[tuple[float, bytes]]]
HEADER_BYTES = 12


def question_end(message: bytes) -> int:
    """The offset behind the question."""
    at = HEADER_BYTES
    while message[at]:
        at += 1 + message[at]
    return at + 5


def answered(message: bytes, *, rcode: int = 0, flags: int = 0x80, rdata: tuple[bytes, ...] = ()) -> bytes:
    """An answer of records of the query's type, each with the question's name as its owner."""
    end = question_end(message)
    qtype = message[end - 4 : end - 2]
    records = b"".join(b"\xc0\x0c" + qtype + b"\0\1\0\0\0\5" + len(one).to_bytes(2, "big") + one for one in rdata)
    head = message[:2] + bytes([message[2] | flags, rcode]) + b"\0\1" + len(rdata).to_bytes(2, "big") + b"\0\0\0\0"
    return head + message[HEADER_BYTES:end] + records


def right(message: bytes) -> list[tuple[float, bytes]]:
    """One answer at once."""
    return [(0.0, answered(message))]


def label(message: bytes) -> bytes:
    """The first label of the question."""
    return message[13 : 13 + message[12]]


@contextmanager
def in_process(work: Callable[[socket.socket], None], served: socket.socket) -> Iterator[int]:
    """Run a server on a bound socket, which only it keeps; gives its port."""
    port = served.getsockname()[1]
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with contextlib.suppress(BaseException):
            work(served)
        os._exit(0)
    served.close()
    try:
        yield port
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def bound(kind: socket.SocketKind, address: str = "127.0.0.1") -> socket.socket:
    """A socket on a free port."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.bind((address, 0))
    if kind == socket.SOCK_STREAM:
        made.listen(64)
    return made


def udp(
    answer: Answer = right, *, stall_s: float = 0.0, after: int = 0, address: str = "127.0.0.1"
) -> AbstractContextManager[int]:
    """A UDP server. stall_s: it sleeps for so long once, when it has read so many queries."""

    def work(served: socket.socket) -> None:
        later: list[tuple[float, bytes, object]] = []
        seen = 0
        while True:
            wait = max(0.0, min((at for at, _, _ in later), default=time.monotonic() + 1) - time.monotonic())
            if select.select([served], [], [], wait)[0]:
                message, client = served.recvfrom(4096)
                seen += 1
                if stall_s and seen == after:
                    time.sleep(stall_s)
                for delay_s, reply in answer(message):
                    if delay_s:
                        later.append((time.monotonic() + delay_s, reply, client))
                    else:
                        served.sendto(reply, client)
            now = time.monotonic()
            for one in [one for one in later if one[0] <= now]:
                later.remove(one)
                served.sendto(one[1], one[2])

    return in_process(work, bound(socket.SOCK_DGRAM, address))


def server_tls(folder: Path) -> ssl.SSLContext:
    """TLS with a certificate for localhost, which is put into the folder."""
    write_certificate(folder)
    context = server_context()
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.set_alpn_protocols(["dot"])
    return context


def tcp(
    answer: Answer = right,
    *,
    close_after: int = 0,
    bytewise: bool = False,
    address: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> AbstractContextManager[int]:
    """A TCP server. close_after: it closes a connection after so many answers. bytewise: it writes in pieces."""

    def accepted(served: socket.socket) -> socket.socket:
        made = served.accept()[0]
        return made if tls is None else tls.wrap_socket(made, server_side=True)

    def received(one: socket.socket) -> bytes:
        data = one.recv(65536)
        while isinstance(one, ssl.SSLSocket) and one.pending():
            data += one.recv(65536)
        return data

    def work(served: socket.socket) -> None:
        clients: dict[socket.socket, tuple[bytearray, list[int]]] = {}
        while True:
            ready, _, _ = select.select([served, *clients], [], [])
            for one in ready:
                if one is served:
                    with contextlib.suppress(OSError):
                        clients[accepted(served)] = (bytearray(), [0])
                    continue
                room, count = clients[one]
                try:
                    data = received(one)
                    room += data
                    while data and len(room) >= 2 and len(room) >= 2 + (size := int.from_bytes(room[:2], "big")):
                        message = bytes(room[2 : 2 + size])
                        del room[: 2 + size]
                        replies = b"".join(len(r).to_bytes(2, "big") + r for _, r in answer(message))
                        for piece in (
                            [replies[i : i + 7] for i in range(0, len(replies), 7)] if bytewise else [replies]
                        ):
                            one.sendall(piece)
                        count[0] += 1
                        if close_after and count[0] == close_after:
                            data = b""
                except OSError:
                    data = b""
                if not data:
                    del clients[one]
                    if isinstance(one, ssl.SSLSocket):
                        with contextlib.suppress(OSError):
                            one = one.unwrap()
                    one.close()

    return in_process(work, bound(socket.SOCK_STREAM, address))
