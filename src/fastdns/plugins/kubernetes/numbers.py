"""Which blocks share a cluster's numbers in the zone store, and how old what is stored under them is.

Of a cluster's pair of numbers, the SOA serial of Services, namespaces and pods is under the first, that of
multicluster objects under the second. The numbers are listed when every resource that the cluster needs has been
listed. Blocks whose options keep the same objects of the same cluster share one pair.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from fastdns.memory._store import Store


def identity(options: Any) -> tuple[Any, ...]:
    """What must be equal for two blocks to share a cluster: all options but those about answers."""
    return (
        options.endpoint, options.tls, options.kubeconfig, options.context, options.manifests,
        options.qps, options.burst, options.max_inflight, options.namespace_labels, options.labels,
        options.pods == "verified", options.endpoint_pod_names, options.noendpoints,
        bool(options.multicluster), options.zonal, options.snapshot, options.snapshot_max_age_s,
        options.guard_percent, options.guard_grace_s,
    )  # fmt: skip


def snapshot_age_s(store: Store, number: int) -> float:
    """How old the snapshot is that is served of a cluster; 0 where its listings, or nothing, are served."""
    restored_at = store.restored_at(number)
    if not restored_at or store.source(number)[0]:
        return 0.0
    return max(0.001, time.time() - restored_at)


def shared_snapshot(blocks: Iterable[tuple[Any, Any]]) -> tuple[Any, Any] | None:
    """The first two blocks that name the same snapshot and are not of the same cluster; None where there are none.

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
