"""The options of dnstap: where messages go, and what each of them says."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastdns import __version__
from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, flag, one, read_options, store, to_int, words
from fastdns.plugins.dnstap.extra import Piece, pieces, values_of
from fastdns.servertls import ServerTls

VERSION = f"fastdns-{__version__}"
# As CoreDNS bounds them.
MAX_WRITE_BUFFER_MIB = 1024
MAX_QUEUE = 4096
# Of identity, version and extra as they are written. Each stands in every message.
MAX_TEXT_BYTES = 1024
UNIX, TCP, TLS = "unix", "tcp", "tls"


@dataclass(frozen=True, slots=True)
class Destination:
    """What messages are sent to: taps that name the same one share its connection.

    kind: UNIX with a path, TCP or TLS with host and port. listen: readers connect to us; tls: with what they are
    accepted. verify: the certificate of the other side. write_buffer_mib: of the socket, and the most that waits in
    this server for it. queue: how many times 10,000 messages wait for their turn.
    """

    kind: str
    path: str = ""
    host: str = ""
    port: int = 0
    listen: bool = False
    verify: bool = True
    tls: ServerTls | None = None
    write_buffer_mib: int = 1
    queue: int = 1

    def __str__(self) -> str:
        if self.kind == UNIX:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tap:
    """One line of dnstap. full: messages have the DNS message. extra: what stands in their field of that name."""

    destination: Destination
    full: bool = False
    identity: bytes = b""
    version: bytes = VERSION.encode()
    extra: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """All lines of a block, in order."""

    taps: tuple[Tap, ...]


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Every occurrence adds a tap. Raises CorefileError."""
    return Config(tuple(_tap(d, block) for _ in d.occurrences()))


def _tap(d: Dispenser, block: BlockContext) -> Tap:
    args = d.remaining_args()
    listen = args[:1] == ["listen"]
    args = args[1:] if listen else args
    most = 2 if listen else 4
    if not 0 < len(args) <= most:
        raise d.arg_error(
            "listen SOCKET, and perhaps full" if listen else "SOCKET, and perhaps full, writebuffer and queue"
        )
    kind, path, host, port = _endpoint(d, args[0])
    if args[1:] and args[1] != "full":
        raise d.error(f"'full' expected behind the socket, got {args[1]!r}")
    fields: dict[str, Any] = {}
    read_options(d, OPTIONS, fields)
    extra = fields.get("extra", ())
    if block.value_zones is None:
        for name in values_of(extra):
            block.warnings.append(
                f"plugin/dnstap: {d.file}:{d.line} - {{/{name}}} is always '-': values can be read only where the "
                "block has metadata"
            )
    verify = not fields.get("skipverify", False)
    tls = _listening_tls(d, kind, fields.get("tls"), verify=verify, listen=listen)
    destination = Destination(
        kind, path, host, port, listen, verify, tls,
        to_int(d, args[2], "the write buffer in MiB", 1, MAX_WRITE_BUFFER_MIB) if len(args) > 2 else 1,
        to_int(d, args[3], "the queue in tens of thousands of messages", 1, MAX_QUEUE) if len(args) > 3 else 1,
    )  # fmt: skip
    identity = fields.get("identity", socket.gethostname().encode())
    return Tap(destination, len(args) > 1, identity, fields.get("version", VERSION.encode()), extra)


def _endpoint(d: Dispenser, text: str) -> tuple[str, str, str, int]:
    """Kind, path, host and port of a socket."""
    kind = text.partition("://")[0]
    if not text.startswith((f"{TCP}://", f"{TLS}://")):
        # As in CoreDNS, whatever is neither is a path.
        path = text.removeprefix("unix://")
        if not path:
            raise d.error(f"the path of a socket expected, got {text!r}")
        return UNIX, path, "", 0
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise d.error(f"{text!r}: {error}") from None
    if port is None:
        raise d.error(f"{kind}://HOST:PORT expected, got {text!r}")
    return kind, "", host, port


def _listening_tls(
    d: Dispenser, kind: str, files: tuple[str, ...] | None, *, verify: bool, listen: bool
) -> ServerTls | None:
    """With what readers are accepted over TLS; authorities ask them for a certificate of their own."""
    if not listen or kind != TLS:
        if files:
            raise d.error("tls is an option of dnstap listen tls://HOST:PORT")
        return None
    if not files:
        raise d.error("a listener over TLS needs the option tls CERT KEY [CA]")
    authority = files[2] if len(files) > 2 else ""
    asked = "nocert" if not authority else "require_and_verify" if verify else "verify_if_given"
    return ServerTls(files[0], files[1], authority, asked)


def _text(d: Dispenser) -> bytes:
    """One argument that stands in every message."""
    text = one(d).encode()
    if len(text) > MAX_TEXT_BYTES:
        raise d.error(f"at most {MAX_TEXT_BYTES} bytes expected, got {len(text)}")
    return text


def _extra(d: Dispenser) -> tuple[Piece, ...]:
    return pieces(_text(d).decode())


def _files(d: Dispenser) -> tuple[str, ...]:
    files = words(d, "the files of a certificate and its key, and perhaps of authorities")
    if not 2 <= len(files) <= 3:
        raise d.arg_error("the files of a certificate and its key, and perhaps of authorities")
    return files


OPTIONS: dict[str, Option] = {
    "identity": store("identity", _text),
    "version": store("version", _text),
    "extra": store("extra", _extra),
    "skipverify": store("skipverify", flag),
    "tls": store("tls", _files),
}
