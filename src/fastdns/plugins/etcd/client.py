"""etcd's API version 3 as JSON over HTTP, which every etcd from 3.4 on has at its client URLs (the gRPC gateway).

Keys and values are base64, numbers of 64 bits are texts. The API has one method, POST. A watch is one answer
without an end: a JSON object a line.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncGenerator
from typing import Any, TypeVar, cast

import msgspec

from fastdns.errors import FastdnsError
from fastdns.http.client import TRANSPORT_ERRORS, Response, Session, keep_alive
from fastdns.plugins.etcd.config import Config
from fastdns.tls import client_context

CONNECT_TIMEOUT_S = 5.0
SILENCE_S = 5.0
# A watch says nothing while nothing changes.
WATCH_SILENCE_S = 365 * 86400.0
# What one answer may take: pages of a listing are asked for in smaller ones then.
MAX_ANSWER_BYTES = 16 << 20
# And one message of a watch. One transaction has 128 changes, of 1.5 MiB in all; etcd joins up to 1000 revisions.
MAX_EVENTS_BYTES = 64 << 20
# gRPC's codes.
INVALID_ARGUMENT, FAILED_PRECONDITION, UNAUTHENTICATED = 3, 9, 16
# What etcd says of a token that is old, or missing.
NO_TOKEN = ("invalid auth token", "revision of auth store is old", "user name is empty")

T = TypeVar("T")


class EtcdError(FastdnsError):
    """etcd refuses a request, or answers what is no answer. code: gRPC's; 0: none."""

    def __init__(self, message: str, code: int = 0) -> None:
        self.code = code
        super().__init__(message)


class TooLarge(EtcdError):
    """An answer has more bytes than it may have."""


# What can go wrong with an endpoint.
FAILURES = (*TRANSPORT_ERRORS, EtcdError)


class Header(msgspec.Struct):
    """Of an answer. Numbers are texts, as JSON has them."""

    cluster_id: str = "0"
    revision: str = "0"


class KeyValue(msgspec.Struct):
    """A key. mod_revision: of its last change. version: 1 for a key that was created."""

    key: str = ""
    value: str = ""
    mod_revision: str = "0"
    version: str = "0"
    lease: str = "0"


class Range(msgspec.Struct):
    """The answer to a range: some keys, and how many there are in all."""

    header: Header = msgspec.field(default_factory=Header)
    kvs: list[KeyValue] = []
    more: bool = False
    count: str = "0"


class Event(msgspec.Struct):
    """A change. type: DELETE, or nothing."""

    kv: KeyValue = msgspec.field(default_factory=KeyValue)
    type: str = "PUT"


class Events(msgspec.Struct):
    """One message of a watch. compact_revision: what is older is gone, and the watch is over."""

    header: Header = msgspec.field(default_factory=Header)
    created: bool = False
    canceled: bool = False
    cancel_reason: str = ""
    compact_revision: str = "0"
    events: list[Event] = []


class TimeToLive(msgspec.Struct):
    """What is left of a lease, and what it was given, in seconds. TTL -1: there is no such lease."""

    TTL: str = "0"
    grantedTTL: str = "0"


class Token(msgspec.Struct):
    """The answer to a name and a password."""

    token: str = ""


class WatchLine(msgspec.Struct):
    """A line of a watch's answer."""

    result: Events | None = None
    error: Any = None


def decoded(body: bytes | bytearray, kind: type[T]) -> T:
    """An answer. Raises EtcdError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EtcdError(f"it answers what is none of etcd's answers: {error}") from None


def number(text: str) -> int:
    """A number of 64 bits. Raises EtcdError."""
    try:
        value = int(text)
    except ValueError:
        value = 1 << 64
    if not -(1 << 63) <= value < 1 << 63:
        raise EtcdError(f"it answers {text[:40]!r}; expected a number")
    return value


def raw(text: str) -> bytes:
    """The bytes of a key or a value. Raises EtcdError."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise EtcdError(f"it answers {text[:40]!r}; expected base64") from None


def coded(data: bytes) -> str:
    """A key as JSON has it."""
    return base64.b64encode(data).decode()


def tls_of(files: tuple[str, ...]) -> ssl.SSLContext:
    """The context for the files of the option tls: none, CA, or certificate and key, and CA. Raises OSError."""
    authority = files[0] if len(files) == 1 else files[2] if len(files) == 3 else None
    context = client_context(cafile=authority)
    if len(files) > 1:
        context.load_cert_chain(files[0], files[1])
    return context


def url_of(endpoint: str, tls: bool) -> str:
    """The URL of an endpoint. One without a scheme uses TLS where the block has the option."""
    return endpoint if not endpoint.startswith("//") else f"{'https' if tls else 'http'}:{endpoint}"


class Client:
    """One endpoint. Methods raise FAILURES."""

    def __init__(self, config: Config, endpoint: str) -> None:
        self.config = config
        url = url_of(endpoint, config.tls is not None)
        # Files are read again with each new connection to an endpoint: certificates are renewed.
        tls = tls_of(config.tls or ()) if url.startswith("https:") else None
        self.session = Session(url, tls=tls, connect_timeout_s=CONNECT_TIMEOUT_S)
        self.token: str | None = None

    async def call(self, path: str, request: object, kind: type[T]) -> T:
        """One request, and its answer."""
        response = await self.open(path, request, SILENCE_S)
        try:
            return decoded(await whole(response, MAX_ANSWER_BYTES), kind)
        finally:
            response.end()

    async def watch(self, request: object) -> AsyncGenerator[list[Events], None]:
        """The messages of a watch, as they come: those that have arrived together, together."""
        response = await self.open("/v3/watch", request, WATCH_SILENCE_S)
        keep_alive(response)
        buffer = bytearray()
        try:
            while part := await response.read_some():
                searched = len(buffer)
                buffer += part
                ends = buffer.rfind(b"\n", searched)
                if ends >= 0:
                    lines = bytes(buffer[:ends]).split(b"\n")
                    del buffer[: ends + 1]
                    yield [events_of(line) for line in lines if line.strip()]
                if len(buffer) > MAX_EVENTS_BYTES:
                    raise TooLarge(f"a message of a watch has over {MAX_EVENTS_BYTES} bytes")
        finally:
            response.end()
        raise EtcdError("it has ended a watch")

    async def open(self, path: str, request: object, silence_s: float) -> Response:
        """The answer to a request, whose body is to be read. A token that has expired is renewed."""
        body = msgspec.json.encode(request)
        if self.config.username and self.config.password and self.token is None:
            await self.log_in()
        try:
            return await self.post(path, body, silence_s)
        except EtcdError as error:
            refused = error.code == UNAUTHENTICATED or any(text in str(error) for text in NO_TOKEN)
            if not refused or not self.config.username or not self.config.password:
                raise
        await self.log_in()
        return await self.post(path, body, silence_s)

    async def log_in(self) -> None:
        """Get a token, or none where etcd does not want one."""
        self.token = None
        who = {"name": self.config.username, "password": self.config.password}
        try:
            response = await self.post("/v3/auth/authenticate", msgspec.json.encode(who), SILENCE_S)
        except EtcdError as error:
            if error.code != FAILED_PRECONDITION:
                raise
            # Authentication is not enabled: etcd's own clients go on, too.
            self.token = ""
            return
        try:
            self.token = decoded(await whole(response, MAX_ANSWER_BYTES), Token).token
        finally:
            response.end()

    async def post(self, path: str, body: bytes, silence_s: float) -> Response:
        """The answer to a request with the token. Raises EtcdError with what etcd says where it refuses."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = self.token
        response = await self.session.post(path, headers, body, silence_s=silence_s)
        if response.status == 200:
            return response
        try:
            said = await whole(response, 1 << 16)
        finally:
            response.end()
        raise refusal(response, said)

    async def close(self) -> None:
        """Close all connections."""
        await self.session.close()


async def whole(response: Response, max_bytes: int) -> bytes:
    """A body. Raises TooLarge, when at most one part more than that has been read."""
    body = await response.read(max_bytes)
    if len(body) >= max_bytes:
        raise TooLarge(f"an answer has over {max_bytes} bytes")
    return body


def refusal(response: Response, said: bytes) -> EtcdError:
    """What etcd says where it refuses."""
    try:
        error = cast("dict[str, Any]", msgspec.json.decode(said))
        text, code = error.get("message") or error["error"], error["code"]
        if isinstance(text, str) and isinstance(code, int):
            return EtcdError(text[:400], code)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError, KeyError, TypeError):
        pass
    hint = "; its API of version 3 is expected there, which etcd 3.4 was the first to have at /v3"
    return EtcdError(f"HTTP {response.status} {response.reason[:100]}{hint if response.status == 404 else ''}")


def events_of(line: bytes) -> Events:
    """One message of a watch. Raises EtcdError."""
    said = decoded(line, WatchLine)
    if said.result is None:
        raise EtcdError(f"it has ended a watch: {str(said.error)[:400]}")
    return said.result
