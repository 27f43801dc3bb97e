"""The bodies of the API server's answers as they come in: chunks of a list, lines or frames of a watch, refusals.

All raise Unreachable where a body breaks off, and Stalled where nothing comes.
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

# Of a refusal, what is read, and for how long.
MAX_REFUSAL_BYTES = 64 << 10
REFUSAL_TIMEOUT_S = 10.0
MAX_RETRY_AFTER_S = 60.0

T = TypeVar("T")


class Chunks(Generic[T]):
    """An answer as it comes in, to go through once. is_protobuf: what it says that it is written in."""

    def __init__(self, response: Response, parts: AsyncIterator[T]) -> None:
        self.is_protobuf = is_protobuf(response)
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[T]:
        return self._parts


def is_protobuf(response: Response) -> bool:
    """Whether an answer says that it is written in Kubernetes' protobuf."""
    kind = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == PROTOBUF


async def chunks(response: Response, max_bytes: int | None = None) -> AsyncIterator[bytes]:
    """A body to its end.

    Raises Unreachable where it breaks off, or has over max_bytes; Stalled where nothing comes.
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
            raise Unreachable(f"an answer is over {max_bytes} bytes")
        yield chunk


async def frames(response: Response) -> AsyncIterator[list[bytes]]:
    """Batches of whole frames; half a frame at the stream's end is dropped. Raises as lines does."""
    cut = Frames(MAX_ITEM_BYTES)
    async for chunk in chunks(response):
        try:
            batch = cut.feed(chunk)
        except ValueError as e:
            raise SourceError(f"its watch cannot be read: {e}") from e
        if batch:
            yield batch


async def lines(response: Response) -> AsyncIterator[list[bytes]]:
    """Batches of whole lines without their ends; half a line at the stream's end is dropped.

    Raises Unreachable where the stream broke off, Stalled where nothing came, SourceError on an endless line.
    """
    rest: list[bytes] = []
    rest_bytes = 0
    async for chunk in chunks(response):
        head, separator, tail = chunk.rpartition(b"\n")
        if not separator:
            rest.append(chunk)
            rest_bytes += len(chunk)
            if rest_bytes > MAX_ITEM_BYTES:
                raise SourceError(f"an event is over {MAX_ITEM_BYTES} bytes; expected a JSON object a line")
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
    """The exception that an answer other than 2xx stands for; the answer is used up."""
    body = b""
    with contextlib.suppress(*TRANSPORT_ERRORS):
        # A Status is short; a proxy's page in its place need not be read whole.
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
    """Any failure of transport in few words."""
    if isinstance(error, TimeoutError):
        return Stalled("nothing came in time")
    return Unreachable(reason(error))
