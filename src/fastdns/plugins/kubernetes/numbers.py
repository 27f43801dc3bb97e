"""The numbers of a cluster in the zone store: which blocks share them, and the age of a snapshot under them.

A cluster has a pair of numbers. The first one holds the SOA serial of Services, namespaces and pods, the second one
that of multicluster objects. The numbers count as listed when every resource that the cluster needs was listed.
Blocks whose options select the same objects of the same cluster share one pair.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from fastdns.memory._store import Store


def identity(options: Any) -> tuple[Any, ...]:
    """The options that must be equal for two blocks to share a cluster: all but those about answers."""
    return (
        options.endpoint, options.tls, options.kubeconfig, options.context, options.manifests,
        options.qps, options.burst, options.max_inflight, options.namespace_labels, options.labels,
        options.pods == "verified", options.endpoint_pod_names, options.noendpoints,
        bool(options.multicluster), options.zonal, options.snapshot, options.snapshot_max_age_s,
        options.guard_percent, options.guard_grace_s, options.exposed, options.described,
    )  # fmt: skip


def snapshot_age_s(store: Store, number: int) -> float:
    """The age of the snapshot that is served of a cluster; 0 if no snapshot is served."""
    restored_at = store.restored_at(number)
    if not restored_at or store.source(number)[0]:
        return 0.0
    return max(0.001, time.time() - restored_at)


def shared_snapshot(blocks: Iterable[tuple[Any, Any]]) -> tuple[Any, Any] | None:
    """The first two blocks that name the same snapshot but do not share a cluster; None if there are none.

    blocks: server blocks with their options.
    """
    owners: dict[str, tuple[Any, tuple[Any, ...]]] = {}
    for block, options in blocks:
        if options.snapshot is None:
            continue
        first, of = owners.setdefault(options.snapshot, (block, identity(options)))
        if of != identity(options):
            return first, block
    return None
