"""The control endpoint of a server in a process of its own: plain HTTP on a port of its own, under ``/-/``.

It stays reachable while the API refuses connections. Bodies are JSON:

=====================  ===================================================================================
POST /-/fault          {"name": ..., "resource": ..., "verb": ..., "times": ..., further options}
POST /-/clear          {"name": ...} or {}: all faults
POST /-/put            an object or a list of objects; ?hidden=1 keeps it from watchers
POST /-/patch          {"resource", "namespace", "name", "change"}
POST /-/delete         {"resource", "namespace", "name", "grace_s"}
POST /-/churn          {"per_second": 50, "seed": 1, "weights": {...}}; 0 stops it
POST /-/compact        {}: old versions are gone
POST /-/disconnect     {}: open connections are reset
POST /-/replace        {"services": 100, "endpoints": 10, "seed": 2}: another cluster, other uids
POST /-/token          {"keep_old": false}: gives the new one
GET  /-/log?since=0    the changes that churn made, from that number on
GET  /-/requests       what was asked of the API
GET  /-/state          counts of objects, watches, faults
=====================  ===================================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from fastdns.bench.apiserver.generator import Churn, fill, summary
from fastdns.bench.apiserver.server import ApiServer
from fastdns.bench.apiserver.store import Store

Call = Callable[[dict[str, Any]], Awaitable[Any]]


class Control:
    """Serves the control endpoint of one ApiServer."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.port = 0
        self.log: list[Any] = []
        self._churn: asyncio.Task[Any] | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=1 << 28)
        for name in (
            "fault",
            "clear",
            "patch",
            "delete",
            "churn",
            "compact",
            "disconnect",
            "replace",
            "token",
        ):
            app.router.add_post(f"/-/{name}", self._handler(getattr(self, f"_do_{name}")))
        app.router.add_post("/-/put", self._put)
        app.router.add_get("/-/log", self._log)
        app.router.add_get("/-/requests", self._requests)
        app.router.add_get("/-/state", self._state)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._stop_churn()
        if self._runner is not None:
            await self._runner.cleanup()

    async def churn(self, per_second: float, **how: Any) -> None:
        """Starts to churn and stops the previous churn; 0 only stops."""
        await self._stop_churn()
        if per_second > 0:
            churn = Churn(self.server.store, per_second, log=self.log, **how)
            self._churn = asyncio.get_running_loop().create_task(churn.run())

    async def _stop_churn(self) -> None:
        if self._churn is not None:
            self._churn.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._churn
            self._churn = None

    def _handler(self, call: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            body = await request.read()
            try:
                return _json(await call(msgspec.json.decode(body) if body else {}))
            except (KeyError, ValueError, TypeError) as error:
                return _json({"error": repr(error)}, status=400)

        return handle

    async def _do_fault(self, how: dict[str, Any]) -> Any:
        self.server.faults.set(how.pop("name"), **how)
        return {}

    async def _do_clear(self, how: dict[str, Any]) -> Any:
        self.server.faults.clear(how.get("name"))
        return {}

    async def _do_patch(self, how: dict[str, Any]) -> Any:
        return {"resourceVersion": self.server.store.patch(**how)}

    async def _do_delete(self, how: dict[str, Any]) -> Any:
        return {"resourceVersion": self.server.store.delete(**how)}

    async def _do_churn(self, how: dict[str, Any]) -> Any:
        await self.churn(**how)
        return {}

    async def _do_compact(self, how: dict[str, Any]) -> Any:
        self.server.store.compact(how.get("keep", 0))
        return {}

    async def _do_disconnect(self, how: dict[str, Any]) -> Any:
        self.server.disconnect()
        return {}

    async def _do_replace(self, how: dict[str, Any]) -> Any:
        await self._stop_churn()
        store = Store(rv=1, seed=how.get("seed", 2))
        made = fill(store, **how)
        self.server.replace(store)
        return dataclasses.asdict(made)

    async def _do_token(self, how: dict[str, Any]) -> Any:
        return {"token": self.server.rotate_token(**how)}

    async def _put(self, request: web.Request) -> web.Response:
        try:
            objects = msgspec.json.decode(await request.read())
            hidden = "hidden" in request.query
            for obj in objects if isinstance(objects, list) else [objects]:
                self.server.store.put(obj, hidden=hidden)
        except (KeyError, ValueError, TypeError) as error:
            return _json({"error": repr(error)}, status=400)
        return _json({"resourceVersion": self.server.store.rv})

    async def _log(self, request: web.Request) -> web.Response:
        return _json(self.log[int(request.query.get("since", "0")) :])

    async def _requests(self, request: web.Request) -> web.Response:
        return _json(list(self.server.requests))

    async def _state(self, request: web.Request) -> web.Response:
        faults = [dataclasses.asdict(fault) for fault in self.server.faults.active]
        state = {"watches": self.server.watches, "faults": faults, "hits": dict(self.server.faults.hits)}
        return _json({**summary(self.server.store), **state})


def _json(value: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json", status=status)
