"""DNS over QUIC (RFC 9250): a question a stream, and its reply on the same stream."""

from __future__ import annotations

from fastdns.dns._framing import MAX_MESSAGE_BYTES, framed
from fastdns.transports._doq import is_allowed
from fastdns.transports.quic_connection import QuicConnection

# RFC 9250 section 4.3
NO_ERROR, INTERNAL_ERROR, PROTOCOL_ERROR, REQUEST_CANCELLED, EXCESSIVE_LOAD, UNSPECIFIED = range(6)
# For what reasons a connection is closed as one too many.
EXCESSIVE = ("client_share", "room", "held_bytes", "unread")
LENGTH_BYTES = 2
# What a stream may bring.
STREAM_BYTES = LENGTH_BYTES + MAX_MESSAGE_BYTES
UNIDIRECTIONAL = 2


class DoqConnection(QuicConnection):
    """Of streams that have begun, and have not ended, what has come."""

    stream_bytes = STREAM_BYTES
    uni_streams = 0

    def __init__(self, *args, **options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **options)
        self.parts: dict[int, bytearray] = {}

    def stream_data(self, stream: int, data: bytes, ended: bool) -> None:
        part = self.parts.get(stream)
        if part is not None:
            part += data
            self.begun_bytes += len(data)
            size = len(part)
        else:
            size = len(data)
        if size > STREAM_BYTES or stream & UNIDIRECTIONAL:
            self.wrong()
        elif ended:
            if part is not None:
                self.stream_gone(stream)
                data = bytes(part)
            self.question(stream, data)
        elif size > LENGTH_BYTES and size - LENGTH_BYTES > int.from_bytes((part or data)[:LENGTH_BYTES]):
            # A second message: RFC 9250 section 4.2 allows one.
            self.wrong()
        elif part is None:
            self.parts[stream] = bytearray(data)
            self.begun_bytes += len(data)
            self.begun[stream] = self.loop.time()

    def question(self, stream: int, data: bytes) -> None:
        """A stream is whole."""
        message = data[LENGTH_BYTES:]
        if len(data) < LENGTH_BYTES or len(message) != data[0] << 8 | data[1] or not is_allowed(message):
            self.wrong()
            return
        self.ready.append((stream, message))
        self.ready_bytes += len(message)

    def stream_gone(self, stream: int) -> None:
        part = self.parts.pop(stream, None)
        if part is not None:
            self.begun_bytes -= len(part)
            self.begun.pop(stream, None)

    def reply(self, stream: int, reply: bytes) -> None:
        # RFC 9250 section 4.2.1: the ID of all messages is 0, as it was in the question.
        self.count(NO_ERROR)
        self.send_stream(stream, framed(reply), ended=True)

    def silence(self, stream: int) -> None:
        self.abort_stream(stream, INTERNAL_ERROR)

    def takes_series(self, stream: int) -> bool:
        return True

    def next_message(self, stream: int, message: bytes) -> None:
        if message:
            self.send_stream(stream, framed(message), ended=False)
        else:
            self.count(NO_ERROR)
            self.send_stream(stream, b"", ended=True)

    def wrong(self) -> None:
        """The client breaks the protocol (RFC 9250 section 4.3.3)."""
        if not self.closed:
            self.count(PROTOCOL_ERROR)
            self.close("peer", PROTOCOL_ERROR)

    def time_out(self, why: str) -> None:
        if self.begun and not self.paused and why == "idle":
            # A question that does not end.
            self.count(PROTOCOL_ERROR)
            self.close("idle", PROTOCOL_ERROR)
        else:
            super().time_out(why)

    def close_code(self, why: str) -> int:
        return EXCESSIVE_LOAD if why in EXCESSIVE else NO_ERROR
