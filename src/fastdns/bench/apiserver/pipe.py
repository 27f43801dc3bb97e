"""A response that is being sent: the only place that writes bytes, and so where faults slow, stall and cut them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from fastdns.bench.apiserver.faults import Fault, Faults


class Cut(Exception):
    """The connection was aborted on purpose."""


class Pipe:
    """Sends the body of one response, subject to the faults."""

    def __init__(
        self,
        request: web.Request,
        faults: Faults,
        resource: str,
        verb: str,
        thaw: Callable[[web.Request], Awaitable[None]],
    ) -> None:
        self._request = request
        self._thaw = thaw
        self._faults = faults
        self._at = (resource, verb)
        self._sent = 0
        self._cut: Fault | None = None
        self._cut_at = 0
        self.response = web.StreamResponse()

    async def open(self, headers: dict[str, str]) -> None:
        """Sends the head of the answer: 200, chunked."""
        self.response.headers.update(headers)
        self.response.enable_chunked_encoding()
        await self.response.prepare(self._request)

    async def send(self, data: bytes) -> None:
        """Sends bytes of the body."""
        await self._thaw(self._request)
        if not self._faults.active:
            self._sent += len(data)
            await self.response.write(data)
            return
        if self._faults.find("stall", *self._at):
            self._faults.hits["stall"] += 1
            await self._faults.gone("stall", *self._at)
            await self._thaw(self._request)
        if self._cut is None and (fault := self._faults.take("cut", *self._at)):
            self._cut = fault
            self._cut_at = self._sent + int(fault.options.get("after", len(data) // 2))
        cut = self._cut is not None and self._sent + len(data) > self._cut_at
        if cut:
            data = data[: self._cut_at - self._sent]
        await self._write(data)
        if cut:
            self.abort()

    def abort(self) -> None:
        """Resets the connection after the bytes that were written so far."""
        if self._request.transport is not None:
            self._request.transport.close()
        raise Cut

    async def close(self) -> None:
        """Ends the response in order."""
        await self._thaw(self._request)
        if self._faults.find("stall", *self._at):
            await self._faults.gone("stall", *self._at)
        await self.response.write_eof()

    async def _write(self, data: bytes) -> None:
        slow = self._faults.find("slow", *self._at)
        if slow is None:
            self._sent += len(data)
            if data:
                await self.response.write(data)
            return
        self._faults.hits["slow"] += 1
        size = int(slow.options.get("chunk", 1024))
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self._sent += len(piece)
            await self.response.write(piece)
            await asyncio.sleep(float(slow.options.get("pause_s", 0.01)))
