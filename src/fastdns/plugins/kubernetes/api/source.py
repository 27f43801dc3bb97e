"""The source of a cluster's objects: a reflector for each resource, and the state of the connection as a whole.

Rules:
- resources.py says which resources are watched.
- An outage is logged once when it begins and once when it ends. Nothing is removed from the sink during an outage.
- A source ends only when it is cancelled: a resource that cannot be listed now is asked for again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.api import consistency
from fastdns.plugins.kubernetes.api.client import Client
from fastdns.plugins.kubernetes.api.connection import SERVICE_ACCOUNT, Connection, resolve
from fastdns.plugins.kubernetes.api.consistency import ConsistencyCheck, identity
from fastdns.plugins.kubernetes.api.errors import ServerError, Unreachable
from fastdns.plugins.kubernetes.api.metrics import Metrics, NoMetrics
from fastdns.plugins.kubernetes.api.reflector import Reflector, Timing
from fastdns.plugins.kubernetes.resources import watched_resources
from fastdns.plugins.kubernetes.sink import Sink

log = logging.getLogger("plugin/kubernetes")

# All replicas notice a returning server at the same time. This spreads their checks.
RECOVERY_SPREAD_S = 5.0
# From a broken connection to the request for the cluster's uid. It limits these requests if watches break often.
IDENTITY_S = 0.5


@dataclass(frozen=True, slots=True)
class CheckTiming:
    """The times of the consistency checks."""

    period_min_s: float = consistency.PERIOD_MIN_S
    period_max_s: float = consistency.PERIOD_MAX_S
    settle_s: float = consistency.SETTLE_S
    retry_s: float = consistency.RETRY_S
    recovery_spread_s: float = RECOVERY_SPREAD_S
    identity_s: float = IDENTITY_S
    rand: Callable[[], float] = field(default=random.random)

    def period_s(self) -> float:
        """The time until the next check."""
        return self.period_min_s + (self.period_max_s - self.period_min_s) * self.rand()


class Outage:
    """Whether the API server responds, for all resources. Logs the beginning and the end of an outage once."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.streams_lists = True
        self.last_contact: float | None = None
        self.host_url: Callable[[], str] = lambda: ""
        self.on_recovery: list[Callable[[], None]] = []
        self.on_break: list[Callable[[], None]] = []
        self._clock = clock
        self._lost: set[str] = set()

    @property
    def is_over(self) -> bool:
        """Whether the server was reached, and the last request for each resource got a response."""
        return self.last_contact is not None and not self._lost

    def reached(self, name: str) -> None:
        """The server has responded to a request for one resource."""
        self.last_contact = self._clock()
        if name in self._lost:
            self._lost.discard(name)
            if not self._lost:
                log.info("the API server%s responds again", self._where())
                # The server may have been upgraded, or replaced.
                self.streams_lists = True
                for call in self.on_recovery:
                    call()

    def _where(self) -> str:
        url = self.host_url()
        return f" {url}" if url else ""

    def lost(self, name: str, error: SourceError) -> None:
        """A request for one resource failed or got no response."""
        if not self._lost:
            log.error("cannot reach the API server%s: %s; serving the last known state", self._where(), error)
        self._lost.add(name)

    def broken(self) -> None:
        """A watch has ended early. Another server may respond to the next request."""
        for call in self.on_break:
            call()


class KubernetesSource:
    """Keeps a sink equal to the state of the API server.

    options has the attributes endpoint, tls, kubeconfig, context, qps, burst, max_inflight, labels,
    namespace_labels, pods, noendpoints and multicluster, as the kubernetes plugin parses them.
    """

    def __init__(
        self,
        options: Any,
        sink: Sink,
        *,
        metrics: Metrics | None = None,
        environ: Mapping[str, str] | None = None,
        service_account: Path = SERVICE_ACCOUNT,
        timing: Timing | None = None,
        checks: CheckTiming | None = None,
        connect: Callable[[], Awaitable[Connection]] | None = None,
    ) -> None:
        self._options = options
        self._environ = os.environ if environ is None else environ
        self._service_account = service_account
        self._metrics: Metrics = metrics or NoMetrics()
        self._timing = timing or Timing()
        self._checks = checks or CheckTiming()
        self._outage = Outage()
        # The uid of the cluster's kube-system namespace, once it is known.
        self.identity: str | None = None
        self._client = Client(
            connect or self._resolve,
            metrics=self._metrics,
            qps=options.qps or 0,
            burst=options.burst or 0,
            max_inflight=options.max_inflight or 0,
        )
        self._outage.host_url = lambda: self._client.host_url
        self._client.on_frozen.append(self._reopen)
        self.reflectors = tuple(
            Reflector(watched, self._client, sink, self._outage, metrics=self._metrics, timing=self._timing)
            for watched in watched_resources(options)
        )

    @property
    def last_contact(self) -> float | None:
        """When the API server last sent data, in Unix seconds; None if never since the start.

        A healthy server sends data at least once a minute.
        """
        return self._outage.last_contact

    @property
    def connected(self) -> bool:
        """Whether all resources can reach the server."""
        return self._outage.is_over

    @property
    def synced(self) -> bool:
        """Whether every needed resource was listed at least once."""
        return all(reflector.listings for reflector in self.reflectors if reflector.watched.needed)

    def relist(self, why: str) -> None:
        """List everything again. The old records are served meanwhile."""
        for reflector in self.reflectors:
            reflector.relist(why)

    def _reopen(self, since_s: float) -> None:
        """Open the watches again that were silent since since_s, by the monotonic clock."""
        names = [reflector.name for reflector in self.reflectors if reflector.reopen(since_s)]
        if names:
            log.warning(
                "a connection to the API server is silent while others are answered; "
                "the silent watches are opened again: %s",
                ", ".join(names),
            )

    async def run(self) -> None:
        """Run until cancelled."""
        async with self._client, asyncio.TaskGroup() as tasks:
            for reflector in self.reflectors:
                tasks.create_task(reflector.run(), name=f"reflector {reflector.name}")
                check = ConsistencyCheck(reflector, self._client, settle_s=self._checks.settle_s)
                tasks.create_task(self._check(reflector, check), name=f"check {reflector.name}")
            tasks.create_task(self._identify(), name="identity")

    async def _resolve(self) -> Connection:
        return await resolve(self._options, environ=self._environ, service_account=self._service_account)

    async def _check(self, reflector: Reflector, check: ConsistencyCheck) -> None:
        """Check one resource until cancelled."""
        recovered = self._recovery()
        answered = True
        while True:
            if await self._pause(recovered, self._checks.period_s() if answered else self._checks.retry_s):
                await asyncio.sleep(self._checks.recovery_spread_s * self._checks.rand())
            begun_s = time.monotonic()
            answered = True
            try:
                found = await check.run()
            except SourceError as e:
                log.debug("the check of %s failed: %s", reflector.name, e)
                answered = not isinstance(e, (Unreachable, ServerError))
                continue
            except Exception:
                log.exception("unexpected error while comparing %s with the API server", reflector.name)
                continue
            if found == consistency.INCONSISTENT:
                reflector.relist(found, by_pages=True)
                self._reopen(begun_s)
            elif found == consistency.REPLACED:
                log.warning("the API server returned an older state than before; all objects are listed again")
                self.relist(found)

    async def _identify(self) -> None:
        """Notice another cluster at the same address: soon after a connection broke, and periodically."""
        recovered = self._recovery()
        self._outage.on_break.append(recovered.set)
        while True:
            try:
                found = await identity(self._client)
            except SourceError as e:
                log.debug("the uid of the cluster is not known: %s", e)
                found = None
            except Exception:
                log.exception("unexpected error while reading the uid of the cluster")
                found = None
            if found is not None:
                if self.identity not in (None, found):
                    log.warning(
                        "the API server belongs to another cluster now (kube-system has another uid); "
                        "all objects are listed again"
                    )
                    self._outage.streams_lists = True
                    # The guard still checks this listing: the uid also changes if the API server lost its data.
                    self.relist(consistency.REPLACED)
                self.identity = found
            if await self._pause(recovered, self._checks.period_s()):
                await asyncio.sleep(self._checks.identity_s)

    def _recovery(self) -> asyncio.Event:
        """An event that is set at the end of each outage."""
        recovered = asyncio.Event()
        self._outage.on_recovery.append(recovered.set)
        return recovered

    @staticmethod
    async def _pause(recovered: asyncio.Event, seconds: float) -> bool:
        """Wait for the next check. Returns True if the end of an outage has ended the wait."""
        try:
            async with asyncio.timeout(seconds):
                await recovered.wait()
        except TimeoutError:
            return False
        recovered.clear()
        return True
