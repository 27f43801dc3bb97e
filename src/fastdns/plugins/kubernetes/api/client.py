"""One HTTP session to the API server: lists, pages and watch streams, nothing about what they mean.

Rules:
- Every answer but 2xx raises one typed ApiError; a server that cannot be reached raises Unreachable.
- 401 resolves the credentials again, once for all requests that were refused together, and tries again once.
- 429 and 5xx with Retry-After wait as told and try again, up to ten times, as client-go does.
- apiserver_qps and apiserver_burst limit requests, apiserver_max_inflight those that are no watches; unset
  means no limit, since a handful of watches and a list a minute are all that is asked.
- Resources that have protobuf are asked for in protobuf, or else JSON: protobuf has fewer bytes and costs less to
  read. A server that refuses is asked for JSON from then on. The Content-Type of the answer says which one it is.
- Lists come as chunks of bytes. A watch's lines (in protobuf: frames) come as batches: every whole one that is in
  the buffer, in one list. A line is bounded.
- No redirect is followed: credentials are for the server that is configured. Answers are bounded in size and time.
- No answer is compressed: inflating a whole cluster costs more than the node-local bytes it saves.
- A request that gets no answer is sent again over a new connection (http/client.py). All its attempts count as one
  request, in the limits and in the metrics.
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
# An API server gives up on a list after 60 s; a watch it opens at once.
RESPONSE_TIMEOUT_S = 60.0
OPEN_TIMEOUT_S = 30.0
MAX_RETRIES = 10
# Of a list that is asked for whole: a page has some MB.
MAX_LIST_BYTES = 1 << 30
LIST_TIMEOUT_S = 300.0
# Credentials that expire this soon are fetched again before they are refused.
EXPIRY_MARGIN_S = 30.0
REFRESH_INTERVAL_S = 1.0

PROTOBUF_OR_JSON = f"{PROTOBUF},{JSON}"
METADATA_JSON = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class Client:
    """Speaks to the one API server that ``resolve`` names. Use as an async context manager."""

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
        # Called where a connection was silent and a newer one was answered. Takes when the silence began, by the
        # monotonic clock.
        self.on_frozen: list[Callable[[float], None]] = []
        self._sleep = sleep
        self._session: Session | None = None
        # Whether the server has not refused it.
        self._has_protobuf = True
        self._connection: Connection | None = None
        self._token_file: TokenFile | None = None
        self._refreshing = asyncio.Lock()
        # How often credentials were resolved, and when: requests refused together refresh once.
        self._generation = 0
        self._refreshed_at = float("-inf")

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the session; open watches break off."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    @property
    def host_url(self) -> str:
        """The server's URL, empty before it was first resolved."""
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
        """The body of one GET as it comes in, bounded in size and time."""
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

        Raises Stalled when nothing comes for silence_s; also, sooner, where is_owed says that something has to come
        and the server answers other requests meanwhile.
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
        """_open, in protobuf where that is wanted and to be had."""
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
            # A body that was not read to its end cannot be followed by another: closed, never drained.
            response.end()

    async def _request(
        self, path: str, params: Mapping[str, str], accept: str, silence_s: float, open_s: float
    ) -> Response:
        """An answer of 2xx, after as many tries as the rules allow."""
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
            # Jitter, so that replicas that were refused together do not come back together.
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
            # A CA that was rotated: the next try reads it anew.
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
        """Session and connection, resolved where that was not done yet or has run out."""
        connection = self._connection
        if connection is None or (
            connection.expires_at is not None and time.time() > connection.expires_at - EXPIRY_MARGIN_S
        ):
            await self._refresh(self._generation)
            connection = self._connection
        if connection is None:
            # Another request waited for the same credentials, and raised why there are none.
            raise Unreachable("there are no credentials yet")
        if self._session is None:
            self._session = self._new_session(connection)
        return self._session, connection

    async def _refresh(self, generation: int) -> None:
        """Resolves the credentials again, unless another request has since generation did."""
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
                        # The watches on it are cut, and open again with the new certificate, or elsewhere.
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
