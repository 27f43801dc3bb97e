"""A sink that is a dictionary, a source with short waits, and waiting for what must come true."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from fastdns.bench.apiserver import ApiServer
from fastdns.plugins.kubernetes.api.reflector import Timing
from fastdns.plugins.kubernetes.api.source import CheckTiming, KubernetesSource
from fastdns.plugins.kubernetes.sink import Resource

PLURALS = {
    Resource.SERVICE: "services",
    Resource.SLICE: "endpointslices",
    Resource.NAMESPACE: "namespaces",
    Resource.POD: "pods",
    Resource.IMPORT: "serviceimports",
}
FAST = Timing(backoff_first_s=0.01, backoff_max_s=0.1, silence_s=2.0, initial_silence_s=0.5, optional_retry_s=0.2)
# No checks while a test runs, and checks all the time.
SELDOM = CheckTiming(period_min_s=1000.0, period_max_s=1000.0, recovery_spread_s=1000.0)
OFTEN = CheckTiming(period_min_s=0.1, period_max_s=0.2, settle_s=0.05, recovery_spread_s=0.0)


class RecordingSink:
    """What a sink must end up with: the objects by resource and name, swept by generation as base.Sink says."""

    def __init__(self) -> None:
        self.objects: dict[Resource, dict[str, Any]] = {resource: {} for resource in Resource}
        self.calls: Counter[str] = Counter()
        self.log: list[tuple[str, Any]] = []
        self.synced: set[Resource] = set()
        self.dirty = False
        self._listed: dict[Resource, set[str] | None] = dict.fromkeys(Resource)

    def begin(self, resource: Resource) -> None:
        self._note("begin", resource)
        self._listed[resource] = set()

    def upsert(self, resource: Resource, obj: Any) -> None:
        self._note("upsert", resource)
        self.dirty = True
        self.objects[resource][key(obj)] = obj
        listed = self._listed[resource]
        if listed is not None:
            listed.add(key(obj))

    def delete(self, resource: Resource, obj: Any) -> None:
        self._note("delete", resource)
        self.dirty = True
        self.objects[resource].pop(key(obj), None)

    def end(self, resource: Resource) -> None:
        self._note("end", resource)
        self.dirty = True
        listed = self._listed[resource]
        assert listed is not None, "end without begin"
        self._listed[resource] = None
        for name in self.objects[resource].keys() - listed:
            del self.objects[resource][name]
        self.synced.add(resource)

    def flush(self) -> None:
        self.calls["flush"] += 1
        self.dirty = False

    def _note(self, call: str, resource: Resource) -> None:
        self.calls[call] += 1
        self.calls[f"{call} {resource.name}"] += 1

    def versions(self, resource: Resource) -> dict[str, int]:
        return {name: int(obj.metadata.resourceVersion) for name, obj in self.objects[resource].items()}


class CountingMetrics:
    """Keeps what is counted."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.waits_s: list[float] = []
        self.relists: Counter[tuple[str, str]] = Counter()
        self.left_outs: Counter[tuple[str, str]] = Counter()

    def request(self, verb: str, host: str, code: str, method: str, seconds: float) -> None:
        assert seconds >= 0 and verb == "GET"
        self.requests[host, code, method] += 1

    def rate_limited(self, verb: str, host: str, seconds: float) -> None:
        self.waits_s.append(seconds)

    def relist(self, resource: str, why: str) -> None:
        self.relists[resource, why] += 1

    def left_out(self, resource: str, what: str) -> None:
        self.left_outs[resource, what] += 1


def key(obj: Any) -> str:
    meta = obj.metadata
    return f"{meta.namespace}/{meta.name}" if meta.namespace else str(meta.name)


def options(**changes: Any) -> SimpleNamespace:
    defaults: dict[str, Any] = {
        "endpoint": None,
        "tls": None,
        "kubeconfig": None,
        "context": None,
        "qps": 0.0,
        "burst": 0,
        "max_inflight": 0,
        "namespace_labels": None,
        "labels": None,
        "pods": "insecure",
        "noendpoints": False,
        "multicluster": (),
    }
    return SimpleNamespace(**defaults | changes)


@contextlib.asynccontextmanager
async def running(
    server: ApiServer,
    folder: Path,
    *,
    sink: Any = None,
    timing: Timing = FAST,
    checks: CheckTiming = SELDOM,
    **changes: Any,
) -> AsyncIterator[SimpleNamespace]:
    """A source in a pod of the server's cluster: ``source``, ``sink``, ``metrics``, ``account``."""
    account = folder / "account"
    environ = server.service_account(account)
    metrics, sink = CountingMetrics(), sink or RecordingSink()
    source = KubernetesSource(
        options(**changes),
        sink,
        metrics=metrics,
        environ=environ,
        service_account=account,
        timing=timing,
        checks=checks,
    )
    task = asyncio.create_task(source.run())
    try:
        yield SimpleNamespace(source=source, sink=sink, metrics=metrics, account=account, task=task)
        assert not task.done() or task.result() is None, "the source ended by itself"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def is_equal(server: ApiServer, sink: RecordingSink, *resources: Resource) -> bool:
    """Whether the sink holds what the store holds, version by version."""
    asked = resources or (Resource.SERVICE, Resource.SLICE, Resource.NAMESPACE)
    return not sink.dirty and all(
        sink.versions(resource)
        == {name: version.rv for name, version in server.store.tables[PLURALS[resource]].current.items()}
        for resource in asked
    )


async def until(condition: Callable[[], Any], timeout_s: float = 5.0, what: str = "") -> float:
    """Waits for condition; how long that took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout_s:
            raise AssertionError(f"not within {timeout_s:g} s: {what or condition}")
        await asyncio.sleep(0.005)
    return time.monotonic() - started


async def until_equal(server: ApiServer, sink: RecordingSink, timeout_s: float = 5.0) -> float:
    return await until(lambda: is_equal(server, sink), timeout_s, "the sink equals the store")


def decoded(data: bytes) -> Any:
    return msgspec.json.decode(data)
