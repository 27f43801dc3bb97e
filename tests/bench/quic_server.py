"""A small server of DNS over QUIC and over HTTP/3, of qh3, that misbehaves on purpose, in a process of its own."""

from __future__ import annotations

import asyncio
import base64
import datetime
import socket
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from qh3.asyncio.protocol import QuicConnectionProtocol
from qh3.asyncio.server import QuicServer
from qh3.h3 import events as h3_events
from qh3.h3.connection import H3Connection
from qh3.quic import events
from qh3.quic.configuration import QuicConfiguration

from tests.bench.servers import Answer, bound, in_process, right


@dataclass(frozen=True, slots=True)
class Ways:
    """How it answers. status: of HTTP/3. resets: the stream of each query whose number is a multiple. closes_after:
    so many answers of a connection. cuts: the last byte of each message is missing. wants: fields that a request of
    HTTP/3 must have, else its status is 400."""

    answer: Answer = right
    status: int = 200
    resets: int = 0
    closes_after: int = 0
    cuts: bool = False
    wants: tuple[tuple[str, str], ...] = ()


class Serving(QuicConnectionProtocol):
    """A connection."""

    def __init__(self, *args: Any, ways: Ways, over_http: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        self._ways = ways
        self._http: Any = None
        self._over_http = over_http
        self._received: dict[int, bytearray] = {}
        self._fields: dict[int, dict[str, str]] = {}
        self._answered = 0

    def quic_event_received(self, event: Any) -> None:
        if isinstance(event, events.ProtocolNegotiated) and self._over_http:
            self._http = H3Connection(self._quic)
        if not self._over_http and isinstance(event, events.StreamDataReceived):
            received = self._received.setdefault(event.stream_id, bytearray())
            received += event.data
            if event.end_stream:
                assert int.from_bytes(received[:2], "big") == len(received) - 2
                self._respond(event.stream_id, bytes(self._received.pop(event.stream_id)[2:]))
        elif self._http is not None:
            for one in self._http.handle_event(event):
                self._http_event(one)

    def _http_event(self, event: Any) -> None:
        if isinstance(event, h3_events.HeadersReceived):
            self._fields[event.stream_id] = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, h3_events.DataReceived):
            self._received.setdefault(event.stream_id, bytearray()).extend(event.data)
        if getattr(event, "stream_ended", False):
            content = bytes(self._received.pop(event.stream_id, b""))
            fields = self._fields[event.stream_id]
            if fields[":method"] == "GET":
                [text] = parse_qs(urlsplit(fields[":path"]).query)["dns"]
                content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            self._respond(event.stream_id, content)

    def _respond(self, stream: int, message: bytes) -> None:
        ways = self._ways
        self._answered += 1
        if ways.resets and self._answered % ways.resets == 0:
            self._quic.reset_stream(stream, 0x1)
        else:
            assert message[:2] == b"\0\0"
            [(_, reply)] = ways.answer(message)
            reply = reply[:-1] if ways.cuts else reply
            if self._http is not None:
                fits = set(ways.wants) <= set(self._fields[stream].items())
                self._http.send_headers(stream, [(b":status", str(ways.status if fits else 400).encode())])
                self._http.send_data(stream, reply, True)
            else:
                size = len(reply) + ways.cuts
                self._quic.send_stream_data(stream, size.to_bytes(2, "big") + reply, True)
        self.transmit()
        if self._answered == ways.closes_after:
            self._loop.call_later(0.05, self.close)


def write_chain(folder: Path) -> None:
    """ca.pem, and a certificate for localhost that it has signed, with its key: qh3 takes no authority's own."""
    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    for number, (key, name, file) in enumerate(zip(keys, ("authority", "localhost"), ("ca", "cert"), strict=True)):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(number + 1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        certificate = builder.sign(keys[0], hashes.SHA256())
        (folder / f"{file}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def quic(folder: Path, protocol: str, ways: Ways | None = None) -> AbstractContextManager[int]:
    """The server. folder: of its certificate. protocol: doq or doh3."""
    write_chain(folder)
    how = ways or Ways()

    def work(served: socket.socket) -> None:
        async def serve() -> None:
            configuration = QuicConfiguration(
                is_client=False,
                alpn_protocols=["h3" if protocol == "doh3" else "doq"],
                max_datagram_frame_size=65536 if protocol == "doh3" else None,
            )
            configuration.load_cert_chain(str(folder / "cert.pem"), str(folder / "key.pem"))
            tickets: dict[bytes, Any] = {}

            def serving(*args: Any, **more: Any) -> Serving:
                return Serving(*args, ways=how, over_http=protocol == "doh3", **more)

            def server() -> QuicServer:
                return QuicServer(
                    configuration=configuration,
                    create_protocol=serving,
                    session_ticket_fetcher=lambda label: tickets.get(label),
                    session_ticket_handler=lambda ticket: tickets.__setitem__(ticket.ticket, ticket),
                )

            served.setblocking(False)
            await asyncio.get_running_loop().create_datagram_endpoint(server, sock=served)
            await asyncio.Event().wait()

        asyncio.run(serve())

    return in_process(work, bound(socket.SOCK_DGRAM))
