"""The bodies of the API server's responses: chunks of a list, lines or frames of a watch, error responses.

All functions raise Unreachable if a body ends early, and Stalled if no data arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from fastdns.errors import SourceError
from fastdns.http.client import TRANSPORT_ERRORS, Response
from fastdns.plugins.kubernetes.api.errors import ApiError, Stalled, Unreachable, api_error
from fastdns.plugins.kubernetes.api.files import reason
from fastdns.plugins.kubernetes.api.formats import MAX_ITEM_BYTES, PROTOBUF, STATUSES, UNREADABLE
from fastdns.plugins.kubernetes.api.protobuf._messages import MAGIC, decode_status, unwrap
from fastdns.plugins.kubernetes.api.protobuf._streams import Frames

# How much of an error response is read, and for how long.
MAX_REFUSAL_BYTES = 64 << 10
REFUSAL_TIMEOUT_S = 10.0
MAX_RETRY_AFTER_S = 60.0

T = TypeVar("T")


class Chunks(Generic[T]):
    """A response in parts, to be iterated once. is_protobuf: its format, by its Content-Type."""

    def __init__(self, response: Response, parts: AsyncIterator[T]) -> None:
        self.is_protobuf = is_protobuf(response)
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[T]:
        return self._parts


def is_protobuf(response: Response) -> bool:
    """Whether the Content-Type of a response is Kubernetes' protobuf."""
    kind = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == PROTOBUF


async def chunks(response: Response, max_bytes: int | None = None) -> AsyncIterator[bytes]:
    """A whole body.

    Raises Unreachable if it ends early or has more than max_bytes, and Stalled if no data arrives.
    """
    size = 0
    while True:
        try:
            chunk = await response.read_some()
        except TRANSPORT_ERRORS as e:
            raise unreachable(e) from e
        if not chunk:
            return
        size += len(chunk)
        if max_bytes is not None and size > max_bytes:
            raise Unreachable(f"a response has more than {max_bytes} bytes")
        yield chunk


async def frames(response: Response) -> AsyncIterator[list[bytes]]:
    """Batches of complete frames. An incomplete frame at the end of the stream is dropped. Raises as lines does."""
    cut = Frames(MAX_ITEM_BYTES)
    async for chunk in chunks(response):
        try:
            batch = cut.feed(chunk)
        except ValueError as e:
            raise SourceError(f"its watch cannot be read: {e}") from e
        if batch:
            yield batch


async def lines(response: Response) -> AsyncIterator[list[bytes]]:
    """Batches of complete lines without their line ends. An incomplete line at the end of the stream is dropped.

    Raises Unreachable if the stream ends early, Stalled if no data arrives, SourceError if a line is too long.
    """
    rest: list[bytes] = []
    rest_bytes = 0
    async for chunk in chunks(response):
        head, separator, tail = chunk.rpartition(b"\n")
        if not separator:
            rest.append(chunk)
            rest_bytes += len(chunk)
            if rest_bytes > MAX_ITEM_BYTES:
                raise SourceError(f"an event has more than {MAX_ITEM_BYTES} bytes; expected an object per line")
            continue
        if rest:
            rest.append(head)
            head = b"".join(rest)
        batch = head.split(b"\n")
        del chunk, head
        rest = [tail] if tail else []
        rest_bytes = len(tail)
        yield batch


async def refusal(response: Response) -> ApiError:
    """The exception for a response other than 2xx. Reads and ends the response."""
    body = b""
    with contextlib.suppress(*TRANSPORT_ERRORS):
        # A Status is short. The page of a proxy need not be read to its end.
        async with asyncio.timeout(REFUSAL_TIMEOUT_S):
            body = await response.read(MAX_REFUSAL_BYTES)
    response.end()
    message = ""
    with contextlib.suppress(*UNREADABLE):
        message = decode_status(unwrap(body))[1] if body.startswith(MAGIC) else STATUSES.decode(body).message
    if not message:
        message = body[:200].decode("utf-8", "replace").strip() or response.reason or "no reason given"
    retry_after_s = None
    if response.status == 429 or response.status >= 500:
        with contextlib.suppress(KeyError, ValueError):
            retry_after_s = min(MAX_RETRY_AFTER_S, max(0.0, float(response.headers["retry-after"])))
    return api_error(response.status, message, retry_after_s)


def unreachable(error: BaseException) -> Unreachable:
    """The exception for a failure of the transport."""
    if isinstance(error, TimeoutError):
        return Stalled("no data arrived in time")
    return Unreachable(reason(error))
