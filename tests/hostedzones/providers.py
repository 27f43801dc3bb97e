"""An HTTP server that plays the APIs of providers: by its own address, or as the proxy on the way to theirs."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.plugins.forward.certificates import Authority


@dataclass(frozen=True)
class Asked:
    """One request. host: which the proxy was asked for; "": this server itself. headers: in lower case."""

    method: str
    host: str
    path: str
    values: dict[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What is said to it."""

    body: bytes
    status: int = 200
    kind: str = "application/json"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    provider: Provider
    host = ""

    def do_CONNECT(self) -> None:
        """RFC 9110 section 9.3.6: what follows is for another host. This server plays that one, too."""
        self.host = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        assert self.provider.tls is not None
        try:
            self.connection = self.provider.tls.wrap_socket(self.connection, server_side=True)
        except OSError:
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)  # type: ignore[assignment]
        self.close_connection = False

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.host, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body)
        self.provider.asked.append(asked)
        answer = self.provider.play(asked) or self.provider.answer(asked)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


@dataclass
class Provider:
    """``with Provider(answer) as provider``: on a port of the loopback.

    play: answers in place of ``answer`` where it returns something.
    """

    answer: Callable[[Asked], Answer]
    play: Callable[[Asked], Answer | None] = lambda asked: None
    asked: list[Asked] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHandler", (Handler,), {"provider": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def proxy_environ(self, folder: Path, *hosts: str) -> dict[str, str]:
        """The environment of a process that asks these hosts here. folder: for a certificate."""
        authority = Authority(folder)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(*authority.issue("provider", hosts))
        bundles = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
        return {"HTTPS_PROXY": self.url, "https_proxy": self.url, **dict.fromkeys(bundles, str(authority.ca))}

    def __enter__(self) -> Provider:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
