"""A Nomad agent as far as DNS needs one: services, their registrations, blocking queries, a token, a filter."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import ThreadingUnixStreamServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Services = dict[tuple[str, str], list[dict[str, Any]]]


def at(*addresses: str, port: int = 8080, tags: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Registrations."""
    return [{"Address": address, "Port": port, "Tags": list(tags)} for address in addresses]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    agent: Agent

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        values = {name: found[0] for name, found in parse_qs(parts.query).items()}
        status, body = self.agent.answer(parts.path, values, dict(self.headers))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Nomad-Index", str(self.agent.index))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "a client"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


class Agent:
    """``with Agent() as agent``: on a port of the loopback, or a socket of a path; changes by ``set``.

    token: that requests must have. play: answers in place of the agent where it returns something.
    """

    def __init__(self, *, token: str = "", path: str = "") -> None:
        self.token = token
        self.services: Services = {}
        self.index = 1
        self.changed = threading.Condition()
        self.ended = False
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.play: Callable[[str], tuple[int, bytes] | None] = lambda path: None
        handler = type("OneHandler", (Handler,), {"agent": self})
        self.server: ThreadingHTTPServer | ThreadingUnixStreamServer
        if path:
            self.server = ThreadingUnixStreamServer(path, handler)
            self.url = f"unix://{path}"
        else:
            self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.server.daemon_threads = True

    def set(self, services: Services) -> None:
        """These are the services from now on."""
        with self.changed:
            self.services = services
            self.index += 1
            self.changed.notify_all()

    def answer(self, path: str, values: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body."""
        self.asked.append((path, values))
        played = self.play(path)
        if played is not None:
            return played
        if self.token and headers.get("X-Nomad-Token") != self.token:
            return 403, b"Permission denied"
        if path == "/v1/agent/self":
            return 200, b"{}"
        if path == "/v1/services":
            with self.changed:
                waits = int(values.get("index", 0))
                self.changed.wait_for(lambda: self.ended or self.index > waits, int(values.get("wait", "0s")[:-1]))
                names: dict[str, list[dict[str, Any]]] = {}
                for namespace, service in self.services:
                    names.setdefault(namespace, []).append({"ServiceName": service, "Tags": []})
            return 200, json.dumps([{"Namespace": one, "Services": of} for one, of in names.items()]).encode()
        service = unquote(path.removeprefix("/v1/service/"))
        found = self.services.get((values.get("namespace", "default"), service), [])
        # Of Nomad's expressions, the one that the tests have.
        wanted = values.get("filter", "").removeprefix("Tags contains ").strip('"')
        return 200, json.dumps([one for one in found if not wanted or wanted in one.get("Tags", ())]).encode()

    def __enter__(self) -> Agent:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
