"""A small server of DNS over HTTPS on HTTP/2 that misbehaves on purpose, in a process of its own."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import ssl
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import h2.config
import h2.connection
import h2.events

from tests.bench.servers import Answer, bound, in_process, right, server_tls


@dataclass(frozen=True, slots=True)
class Ways:
    """How it answers. bytes_at_once: of a DATA frame. informs: a response of status 103 comes first. resets: each
    query whose number is a multiple. streams: how many it allows at a time. goes_after: it sends GOAWAY after so
    many responses. wants: fields that a request must have, else its status is 400."""

    answer: Answer = right
    status: int = 200
    bytes_at_once: int = 1 << 14
    informs: bool = False
    resets: int = 0
    streams: int = 100
    goes_after: int = 0
    wants: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Client:
    """A connection, and the requests on it."""

    socket: socket.socket
    http: h2.connection.H2Connection
    requests: dict[int, tuple[dict[str, str], bytearray]] = field(default_factory=dict)
    answered: int = 0


def message_of(fields: dict[str, str], content: bytes) -> bytes:
    """The message of a request."""
    if fields[":method"] == "POST":
        return content
    [text] = parse_qs(urlsplit(fields[":path"]).query)["dns"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def respond(client: Client, stream: int, ways: Ways) -> None:
    """Answer a request that is whole."""
    fields, content = client.requests.pop(stream)
    client.answered += 1
    if ways.resets and client.answered % ways.resets == 0:
        client.http.reset_stream(stream, 2)
        return
    status = ways.status if set(ways.wants) <= set(fields.items()) else 400
    if ways.informs:
        client.http.send_headers(stream, [(":status", "103"), ("link", "</x>")])
    [(_, reply)] = ways.answer(message_of(fields, bytes(content)))
    client.http.send_headers(
        stream, [(":status", str(status)), ("content-type", "application/dns-message"), ("x-n", str(stream))]
    )
    for at in range(0, len(reply), ways.bytes_at_once):
        client.http.send_data(stream, reply[at : at + ways.bytes_at_once])
    client.http.end_stream(stream)
    if client.answered == ways.goes_after:
        client.http.close_connection(last_stream_id=stream)


def serve(client: Client, data: bytes, ways: Ways) -> None:
    """Act on what has come."""
    for event in client.http.receive_data(data):
        if isinstance(event, h2.events.RequestReceived):
            client.requests[event.stream_id] = (dict(event.headers), bytearray())
        elif isinstance(event, h2.events.DataReceived):
            client.requests[event.stream_id][1].extend(event.data)
            client.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            if len(client.requests) > ways.streams:
                raise OSError("more streams than are allowed")
            respond(client, event.stream_id, ways)


def doh(folder: Path | None, ways: Ways | None = None) -> AbstractContextManager[int]:
    """The server. folder: of its certificate; None: without TLS."""
    how = ways or Ways()
    context = None if folder is None else server_tls(folder)
    if context is not None:
        context.set_alpn_protocols(["h2"])

    def accepted(served: socket.socket) -> Client:
        made = served.accept()[0]
        if context is not None:
            made = context.wrap_socket(made, server_side=True)
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        http.local_settings.max_concurrent_streams = how.streams
        http.local_settings.acknowledge()
        http.initiate_connection()
        made.sendall(http.data_to_send())
        return Client(made, http)

    def work(served: socket.socket) -> None:
        clients: dict[socket.socket, Client] = {}
        while True:
            ready, _, _ = select.select([served, *clients], [], [])
            for one in ready:
                if one is served:
                    with contextlib.suppress(OSError):
                        client = accepted(served)
                        clients[client.socket] = client
                    continue
                try:
                    data = one.recv(65536)
                    while isinstance(one, ssl.SSLSocket) and one.pending():
                        data += one.recv(65536)
                    if data:
                        serve(clients[one], data, how)
                        one.sendall(clients[one].http.data_to_send())
                except OSError:
                    data = b""
                if not data:
                    del clients[one]
                    one.close()

    return in_process(work, bound(socket.SOCK_STREAM))
