"""Connections to upstreams over QUIC as RFC 9250 uses it: a query and its reply on a stream."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastdns.dns._framing import MAX_MESSAGE_BYTES, framed
from fastdns.plugins.forward.asks import Ask
from fastdns.plugins.forward.quic import QuicConnection, Request
from fastdns.transports.table import QUIC

LENGTH_BYTES = 2


@dataclass(slots=True)
class DoqRequest(Request):
    """reply: what has come of it, with its length."""

    reply: bytearray = field(default_factory=bytearray)


class DoqConnection(QuicConnection):
    """Each message has its length before it."""

    alpn = QUIC.alpn[0]
    stream_bytes = LENGTH_BYTES + MAX_MESSAGE_BYTES
    # RFC 9250 section 4.3
    no_error, protocol_error, cancelled = 0, 2, 3

    requests: dict[int, DoqRequest]  # type: ignore[assignment]

    def write(self, stream: int, ask: Ask) -> DoqRequest:
        # RFC 9250 section 4.2.1: the ID is 0.
        self.quic.send_stream_data(stream, framed(b"\0\0" + ask.message[2:]), True)
        return DoqRequest(ask, self.loop.time())

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        request = self.requests.get(stream)
        if request is None:
            return
        reply = request.reply
        reply += data
        framed_bytes = LENGTH_BYTES + int.from_bytes(reply[:LENGTH_BYTES])
        if len(reply) > self.stream_bytes or (ended and len(reply) != framed_bytes):
            self.break_off("quic: a message that is not framed as RFC 9250 has it")
        elif ended:
            self.replied(stream, bytes(reply[LENGTH_BYTES:]))
