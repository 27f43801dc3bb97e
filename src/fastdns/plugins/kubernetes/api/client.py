"""One HTTP session to the API server: lists, pages and watches. It does not know what the objects mean.

Rules:
- A response other than 2xx raises a typed ApiError; an unreachable server raises Unreachable.
- After 401 the credentials are resolved again, once for all requests refused at that time; each request is then
  sent once more.
- After 429 and 5xx with Retry-After, the request is sent again after that time, up to ten times, as in client-go.
- apiserver_qps and apiserver_burst limit all requests; apiserver_max_inflight limits requests that are no watches.
  Unset means no limit, because there are only a few watches and about one list per minute.
- Resources are requested in protobuf if they have it, because protobuf is smaller and cheaper to parse. After a
  refusal, JSON is requested. The Content-Type of the response says which format it has.
- Lists are returned as chunks of bytes. Watches are returned as batches of all complete lines (in protobuf: frames)
  in the buffer. The length of a line is limited.
- Redirects are not followed, because the credentials are for the configured server. Responses are limited in size
  and time.
- Responses are not compressed: decompressing a whole cluster costs more than the bytes that it saves.
- A request without a response is sent again over a new connection (http/client.py). All its attempts count as one
  request in the limits and metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import fastdns
from fastdns.http.client import FRESH_AFTER_S, TRANSPORT_ERRORS, Proof, Response, Session, keep_alive
from fastdns.plugins.kubernetes.api.bodies import Chunks, chunks, frames, is_protobuf, lines, refusal, unreachable
from fastdns.plugins.kubernetes.api.connection import Connection
from fastdns.plugins.kubernetes.api.errors import BadRequest, Stalled, Unauthorized, Unreachable
from fastdns.plugins.kubernetes.api.files import TokenFile
from fastdns.plugins.kubernetes.api.formats import JSON, PROTOBUF
from fastdns.plugins.kubernetes.api.limits import RateLimiter
from fastdns.plugins.kubernetes.api.metrics import Metrics, NoMetrics

log = logging.getLogger("plugin/kubernetes")

CONNECT_TIMEOUT_S = 10.0
# An API server aborts a list after 60 s. It opens a watch at once.
RESPONSE_TIMEOUT_S = 60.0
OPEN_TIMEOUT_S = 30.0
MAX_RETRIES = 10
# The limit for a list that is requested without pages; a page has a few MB.
MAX_LIST_BYTES = 1 << 30
LIST_TIMEOUT_S = 300.0
# Credentials are resolved again this long before they expire.
EXPIRY_MARGIN_S = 30.0
REFRESH_INTERVAL_S = 1.0

PROTOBUF_OR_JSON = f"{PROTOBUF},{JSON}"
METADATA_JSON = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class Client:
    """The client of the API server that ``resolve`` returns. Use it as an async context manager."""

    def __init__(
        self,
        resolve: Callable[[], Awaitable[Connection]],
        *,
        metrics: Metrics | None = None,
        qps: float = 0,
        burst: int = 0,
        max_inflight: int = 0,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        response_timeout_s: float = RESPONSE_TIMEOUT_S,
        fresh_after_s: float = FRESH_AFTER_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._resolve = resolve
        self._metrics: Metrics = metrics or NoMetrics()
        self._limiter = RateLimiter(qps, burst)
        self._inflight = asyncio.Semaphore(max_inflight) if max_inflight > 0 else None
        self._connect_timeout_s = connect_timeout_s
        self._response_timeout_s = response_timeout_s
        self._fresh_after_s = fresh_after_s
        # Called if a connection was silent while a newer one got a response. The argument is the start of the
        # silence, by the monotonic clock.
        self.on_frozen: list[Callable[[float], None]] = []
        self._sleep = sleep
        self._session: Session | None = None
        # False after the server has refused protobuf.
        self._has_protobuf = True
        self._connection: Connection | None = None
        self._token_file: TokenFile | None = None
        self._refreshing = asyncio.Lock()
        # How often credentials were resolved, and when. Requests that are refused together resolve them once.
        self._generation = 0
        self._refreshed_at = float("-inf")

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session. Open watches end with an error."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    @property
    def host_url(self) -> str:
        """The URL of the server; empty before it is resolved for the first time."""
        return self._connection.host_url if self._connection is not None else ""

    async def get(self, path: str, params: Mapping[str, str], *, accept: str = JSON) -> bytes:
        """The body of one GET. Raises ApiError, Unreachable or SourceError."""
        wait_s = self._response_timeout_s
        async with self._slot(), self._open(path, params, accept, wait_s, wait_s) as response:
            try:
                async with asyncio.timeout(LIST_TIMEOUT_S):
                    body = await response.read(MAX_LIST_BYTES)
            except TRANSPORT_ERRORS as e:
                raise unreachable(e) from e
            if not response.is_whole:
                raise Unreachable(f"a response has more than {MAX_LIST_BYTES} bytes")
            return body

    @contextlib.asynccontextmanager
    async def listing(
        self, path: str, params: Mapping[str, str], *, protobuf: bool = False
    ) -> AsyncIterator[Chunks[bytes]]:
        """The body of one GET in chunks, limited in size and time."""
        wait_s = self._response_timeout_s
        async with self._slot(), self._open_list(path, params, protobuf, wait_s, wait_s) as response:
            async with asyncio.timeout(LIST_TIMEOUT_S) as limit:
                yield Chunks(response, chunks(response, MAX_LIST_BYTES))
            if limit.expired():
                raise Stalled(f"a list was not complete within {LIST_TIMEOUT_S:g} s")

    @contextlib.asynccontextmanager
    async def watch(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        silence_s: float,
        is_owed: Callable[[], bool] = lambda: False,
        protobuf: bool = False,
    ) -> AsyncIterator[Chunks[list[bytes]]]:
        """A stream of lines or frames, in batches.

        Raises Stalled if nothing arrives for silence_s. If is_owed says that data must arrive, Stalled is raised
        earlier: when the server answers other requests meanwhile.
        """
        open_s = min(silence_s, OPEN_TIMEOUT_S)
        async with self._open_list(path, params, protobuf, silence_s, open_s, is_owed) as response:
            keep_alive(response)
            yield Chunks(response, frames(response) if is_protobuf(response) else lines(response))

    @contextlib.asynccontextmanager
    async def _open_list(
        self,
        path: str,
        params: Mapping[str, str],
        protobuf: bool,
        silence_s: float,
        open_s: float,
        is_owed: Callable[[], bool] = lambda: True,
    ) -> AsyncIterator[Response]:
        """_open, in protobuf if the caller wants it and the server supports it."""
        accept = PROTOBUF_OR_JSON if protobuf and self._has_protobuf else JSON
        opened = self._open(path, params, accept, silence_s, open_s, is_owed)
        try:
            response = await opened.__aenter__()
        except BadRequest as e:
            if accept == JSON or e.code not in (406, 415):
                raise
            log.info("the API server does not support protobuf; JSON is used: %s", e)
            self._has_protobuf = False
            opened = self._open(path, params, JSON, silence_s, open_s, is_owed)
            response = await opened.__aenter__()
        try:
            yield response
        finally:
            response.end()
            await opened.__aexit__(None, None, None)

    def _slot(self) -> contextlib.AbstractAsyncContextManager[Any]:
        return self._inflight if self._inflight is not None else contextlib.nullcontext()

    @contextlib.asynccontextmanager
    async def _open(
        self,
        path: str,
        params: Mapping[str, str],
        accept: str,
        silence_s: float,
        open_s: float,
        is_owed: Callable[[], bool] = lambda: True,
    ) -> AsyncIterator[Response]:
        response = await self._request(path, params, accept, silence_s, open_s)
        connection = self._connection
        if connection is not None:
            response.proof = Proof(f"{path}?limit=1", self._headers(connection, accept), is_owed)
        try:
            yield response
        finally:
            # After an unread body the connection cannot be reused: it is closed, and the body is not drained.
            response.end()

    async def _request(
        self, path: str, params: Mapping[str, str], accept: str, silence_s: float, open_s: float
    ) -> Response:
        """A 2xx response, after as many attempts as the rules allow."""
        refreshed = False
        for attempt in range(MAX_RETRIES + 1):
            session, connection = await self._ready()
            generation = self._generation
            response = await self._send(session, connection, path, params, accept, silence_s, open_s)
            if response.status < 300:
                return response
            error = await refusal(response)
            if isinstance(error, Unauthorized) and not refreshed:
                refreshed = True
                await self._refresh(generation)
                continue
            if error.retry_after_s is None or attempt == MAX_RETRIES:
                raise error
            # Jitter, so that replicas that were refused together do not retry together.
            await self._sleep(error.retry_after_s * (1.0 + 0.1 * random.random()))
        raise error

    async def _send(
        self,
        session: Session,
        connection: Connection,
        path: str,
        params: Mapping[str, str],
        accept: str,
        silence_s: float,
        open_s: float,
    ) -> Response:
        wait_s = self._limiter.reserve()
        if wait_s:
            await self._sleep(wait_s)
        self._metrics.rate_limited("GET", connection.host, wait_s)
        headers = self._headers(connection, accept)
        started = time.monotonic()
        code = "<error>"
        try:
            async with asyncio.timeout(self._connect_timeout_s + open_s):
                response = await session.get(f"{path}?{urlencode(params)}", headers, silence_s=silence_s)
            code = str(response.status)
            return response
        except ssl.SSLCertVerificationError as e:
            # The CA may have been rotated: the next attempt reads it again.
            await self._refresh(self._generation)
            raise Unreachable(f"its certificate is not trusted: {e}") from e
        except TRANSPORT_ERRORS as e:
            raise unreachable(e) from e
        finally:
            self._metrics.request("GET", connection.host, code, "GET", time.monotonic() - started)

    def _headers(self, connection: Connection, accept: str) -> dict[str, str]:
        headers = {
            "Accept": accept,
            "Accept-Encoding": "identity",
            "User-Agent": f"fastdns/{fastdns.__version__}",
            **dict(connection.headers),
        }
        if self._token_file is not None:
            headers["Authorization"] = f"Bearer {self._token_file.read()}"
        return headers

    async def _ready(self) -> tuple[Session, Connection]:
        """The session and connection. Credentials are resolved if that was not done, or if they have expired."""
        connection = self._connection
        if connection is None or (
            connection.expires_at is not None and time.time() > connection.expires_at - EXPIRY_MARGIN_S
        ):
            await self._refresh(self._generation)
            connection = self._connection
        if connection is None:
            # Another request resolved the same credentials, and raised the reason of the failure.
            raise Unreachable("there are no credentials yet")
        if self._session is None:
            self._session = self._new_session(connection)
        return self._session, connection

    async def _refresh(self, generation: int) -> None:
        """Resolve the credentials again, unless another request has done it since this generation."""
        async with self._refreshing:
            if generation != self._generation:
                return
            since_s = time.monotonic() - self._refreshed_at
            if self._connection is not None and since_s < REFRESH_INTERVAL_S:
                await self._sleep(REFRESH_INTERVAL_S - since_s)
            try:
                connection = await self._resolve()
                if self._connection is None or not connection.same_server(self._connection):
                    old, self._session = self._session, self._new_session(connection)
                    if old is not None:
                        # Its watches end, and are opened again with the new certificate or server.
                        await old.close()
                if connection.token_file is None:
                    self._token_file = None
                elif self._token_file is None or self._token_file.path != connection.token_file:
                    self._token_file = TokenFile(connection.token_file)
                else:
                    self._token_file.read(force=True)
                self._connection = connection
            finally:
                self._generation += 1
                self._refreshed_at = time.monotonic()

    def _new_session(self, connection: Connection) -> Session:
        return Session(
            connection.host_url,
            tls=connection.ssl_context(),
            server_hostname=connection.server_name,
            proxy_url=connection.proxy_url,
            connect_timeout_s=self._connect_timeout_s,
            fresh_after_s=self._fresh_after_s,
            on_frozen=self._frozen,
        )

    def _frozen(self, since_s: float) -> None:
        for call in self.on_frozen:
            call(since_s)
