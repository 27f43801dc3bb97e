"""One cluster that the watcher follows: its source, the sink that the source fills, its guard and snapshot."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

from fastdns.memory._store import Writer
from fastdns.plugins.kubernetes.guard import Guard
from fastdns.plugins.kubernetes.metrics import ClusterMetrics
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.resources import needed_resources

if TYPE_CHECKING:
    from fastdns.plugins.kubernetes.snapshot.keeper import SnapshotKeeper

log = logging.getLogger("plugin/kubernetes")


def make_source(config: Any, sink: ClusterWriter, metrics: ClusterMetrics) -> Any:
    """The source of a kubernetes block: manifests or an API server. Imports only that source."""
    if config.manifests:
        from fastdns.plugins.kubernetes.manifests.source import ManifestSource

        return ManifestSource(
            config.manifests,
            sink,
            resources=needed_resources(config),
            labels=config.labels,
            namespace_labels=config.namespace_labels,
            on_left_out=metrics.left_out,
        )
    from fastdns.plugins.kubernetes.api.source import KubernetesSource

    return KubernetesSource(config, sink, metrics=metrics, environ=os.environ)


class Cluster:
    """A cluster by its number in the store. Call restore, then run, and tick each second; call close at the end."""

    def __init__(self, number: int, config: Any, writer: Writer, metrics: ClusterMetrics) -> None:
        self.config = config
        self.metrics = metrics
        guard = None
        if config.guard_percent and not config.manifests:
            guard = Guard(
                config.guard_percent,
                config.guard_grace_s,
                on_hold=lambda resource: metrics.listing_held(config.primary, resource.name.lower()),
            )
        self.sink = ClusterWriter(
            writer,
            number,
            needed_resources(config),
            endpoint_pod_names=config.endpoint_pod_names,
            zonal=config.zonal,
            exposed=config.exposed,
            described=config.described,
            on_latency=metrics.observe_latency,
            on_left_out=metrics.left_out,
            guard=guard,
        )
        self.snapshot: SnapshotKeeper | None = None
        if config.snapshot:
            # Imported only if a block has a snapshot.
            from fastdns.plugins.kubernetes.snapshot.keeper import SnapshotKeeper

            self.snapshot = SnapshotKeeper(config, self.sink, metrics)
        self.source: Any = None
        # Whether the snapshot is served, because the cluster is not listed yet.
        self.restored = False

    def restore(self) -> None:
        """Serve the snapshot, if there is a good one."""
        if self.snapshot is not None:
            self.restored = self.snapshot.restore()

    async def run(self) -> None:
        """Follow the source until cancelled."""
        if self.snapshot is not None and self.snapshot.announcement:
            log.warning("%s", self.snapshot.announcement)
        self.source = make_source(self.config, self.sink, self.metrics)
        await self.source.run()

    @property
    def as_of(self) -> float:
        """When the API server last confirmed the records that are served, in Unix seconds."""
        return getattr(self.source, "last_contact", None) or time.time()

    @property
    def uid(self) -> str:
        """The uid of the cluster; "" if it is not known."""
        return getattr(self.source, "identity", None) or ""

    def tick(self) -> None:
        """Call each second: applies the guard's decisions, and writes the snapshot when it is time."""
        if self.snapshot is not None:
            self.look_at(self.snapshot)
        if self.sink.settle():
            self.source.relist("held")
        if self.snapshot is not None:
            self.snapshot.tick(self.as_of, self.uid)

    def look_at(self, snapshot: SnapshotKeeper) -> None:
        """Compare the served snapshot with the API server: whether it is of the same cluster, and still needed."""
        if snapshot.uid and self.uid:
            if snapshot.is_of_another(self.uid):
                log.warning(
                    "the snapshot %s belongs to another cluster than the API server; the first listing replaces it",
                    snapshot.path,
                )
                self.sink.distrust()
            snapshot.uid = ""
        if self.restored and self.sink.synced:
            self.restored = False
            log.info("the API server has listed the cluster; the snapshot is no longer served")

    async def close(self) -> None:
        """The source has ended."""
        if self.snapshot is not None:
            await self.snapshot.close(self.as_of, self.uid)
