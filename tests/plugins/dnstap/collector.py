"""A collector of dnstap messages: accepts or makes connections, reads Frame Streams, keeps what it has read."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.plugins.dnstap.protobuf import Tapped, read
from tests.support import wait_until

ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5
CONTENT_TYPE = b"protobuf:dnstap.Dnstap"


def control(kind: int, text: bytes = b"") -> bytes:
    """A control frame."""
    body = struct.pack(">I", kind) + (struct.pack(">II", 1, len(text)) + text if text else b"")
    return struct.pack(">II", 0, len(body)) + body


class Collector:
    """``with Collector(path) as collector``: listens at a Unix socket, or at a TCP port where that is a number.

    tls: of the connections it accepts. reads: whether it reads what comes after the start.
    """

    def __init__(
        self, where: Path | int, *, tls: ssl.SSLContext | None = None, reads: bool = True, answer: bytes = b""
    ) -> None:
        self.where = where
        self.tls = tls
        self.reads = reads
        self.answer = answer or control(ACCEPT, CONTENT_TYPE)
        self.messages: list[Tapped] = []
        # Of all that were read, whatever a test has cleared.
        self.count = 0
        self.connections = 0
        self.finished = 0
        self.ends: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def __enter__(self) -> Self:
        if isinstance(self.where, int):
            self.listener = socket.create_server(("127.0.0.1", self.where))
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self.where))
            self.listener.listen()
        self.run(self.accept)
        return self

    def run(self, what, *args) -> None:  # type: ignore[no-untyped-def]
        thread = threading.Thread(target=what, args=args, daemon=True)
        thread.start()
        self.threads.append(thread)

    def accept(self) -> None:
        while True:
            try:
                end, _ = self.listener.accept()
            except OSError:
                return
            self.ends.append(end)
            self.run(self.serve, end)

    def connect(self) -> Self:
        """Instead of listening: connect to a server that does."""
        if isinstance(self.where, int):
            end = socket.create_connection(("127.0.0.1", self.where))
        else:
            end = socket.socket(socket.AF_UNIX)
            end.connect(str(self.where))
        if self.tls is not None:
            end = self.tls.wrap_socket(end, server_hostname="localhost")
        self.ends.append(end)
        self.run(self.read, end)
        return self

    def serve(self, end: socket.socket) -> None:
        if self.tls is not None:
            try:
                end = self.tls.wrap_socket(end, server_side=True)
            except OSError:
                return
            self.ends.append(end)
        self.read(end)

    def read(self, end: socket.socket) -> None:
        """Read a connection to its end."""
        stream = end.makefile("rb")
        with contextlib.suppress(OSError, EOFError, ValueError):
            assert self.frame(stream) == (READY, CONTENT_TYPE)
            end.sendall(self.answer)
            assert self.frame(stream) == (START, CONTENT_TYPE)
            self.connections += 1
            while self.reads:
                found = self.frame(stream)
                if isinstance(found, bytes):
                    try:
                        self.messages.append(read(found))
                        self.count += 1
                    except BaseException as error:
                        self.failures.append(error)
                        raise
                elif found[0] == STOP:
                    self.finished += 1
                    end.sendall(control(FINISH))
                    return

    def frame(self, stream) -> bytes | tuple[int, bytes]:  # type: ignore[no-untyped-def]
        """The next frame: the bytes of a data frame, or the type and content type of a control frame."""

        def exactly(size: int) -> bytes:
            data: bytes = stream.read(size)
            if len(data) < size:
                raise EOFError
            return data

        (size,) = struct.unpack(">I", exactly(4))
        if size:
            return exactly(size)
        (size,) = struct.unpack(">I", exactly(4))
        body = exactly(size)
        (kind,) = struct.unpack_from(">I", body)
        return kind, body[12:]

    def cut(self) -> None:
        """End all connections, as a collector does that is killed."""
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.ends.clear()

    def wait_for(self, count: int, limit_s: float = 20.0) -> list[Tapped]:
        """The first so many messages."""
        wait_until(lambda: len(self.messages) >= count or self.failures, limit_s, f"{count} messages")
        assert not self.failures
        return self.messages[:count]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Listen no more, and end all connections."""
        if hasattr(self, "listener"):
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            if isinstance(self.where, Path):
                self.where.unlink(missing_ok=True)
        self.cut()
        for thread in self.threads:
            thread.join(5)
