"""A cluster's numbers in the zone store: which blocks share them, and what the store says under them.

Rules:
- A cluster takes a pair of numbers, of which the first is even. Services, namespaces and pods have their SOA serial
  under the first, multicluster objects under the second. All records are stored under the first.
- Blocks whose options keep the same objects of the same cluster share one pair.
- The numbers of a cluster are *listed* when every resource that it needs has been listed. They are *known* when
  they are listed, or when a snapshot is served under them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from fastdns._store import Store, Writer

NUMBERS_EACH = 2


def identity(options: Any) -> tuple[Any, ...]:
    """What must be equal for two blocks to share a cluster: all options but those about answers."""
    return (
        options.endpoint, options.tls, options.kubeconfig, options.context, options.manifests,
        options.qps, options.burst, options.max_inflight, options.namespace_labels, options.labels,
        options.pods == "verified", options.endpoint_pod_names, options.noendpoints,
        bool(options.multicluster), options.zonal, options.snapshot, options.snapshot_max_age_s,
        options.guard_percent, options.guard_grace_s,
    )  # fmt: skip


def first_of_pair(number: int) -> int:
    """The number under which records are stored. number: any of the pair."""
    return number & ~1


def is_listed(store: Store, number: int) -> bool:
    """Whether the store holds the listings of a cluster."""
    return store.source(number)[0]


def is_known(store: Store, number: int) -> bool:
    """Whether the store holds the listings of a cluster, or a snapshot of it."""
    return is_listed(store, number) or bool(store.restored_at(number))


def snapshot_age_s(store: Store, number: int) -> float:
    """How old the snapshot is that is served of a cluster; 0 where its listings, or nothing, are served."""
    restored_at = store.restored_at(number)
    if not restored_at or is_listed(store, number):
        return 0.0
    return max(0.001, time.time() - restored_at)


def mark_unknown(writer: Writer, number: int) -> None:
    """Say in the store that nothing is known under a pair of numbers. Records are not touched."""
    writer.set_source(number, synced=False, restored_at=0)
    writer.set_source(number + 1, synced=False)


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
