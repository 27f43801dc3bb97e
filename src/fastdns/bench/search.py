"""The names that a resolver asks for with a search list, as pods have it: ``ndots:5`` and three domains.

glibc and musl do the same: a name with fewer dots than ndots is asked for with each domain of the list appended,
and then as it is. The first name that exists ends the search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fastdns.bench.messages import Query

NDOTS = 5
ZONE = "cluster.local"
# Types whose names are asked for as they are, without the search list.
ABSOLUTE_TYPES = {"PTR", "SRV"}


@dataclass(frozen=True, slots=True)
class Search:
    """The search list of resolv.conf, and ndots."""

    domains: tuple[str, ...]
    ndots: int = NDOTS


def of_pod(text: str, ndots: int = NDOTS) -> Search:
    """What the kubelet writes for pods of NAMESPACE or NAMESPACE/ZONE with dnsPolicy ClusterFirst."""
    namespace, _, zone = text.partition("/")
    zone = zone.strip(".") or ZONE
    return Search((f"{namespace}.svc.{zone}", f"svc.{zone}", zone), ndots)


def candidates(name: str, search: Search) -> list[str]:
    """The names that are asked for, in order, while none exists; fully qualified."""
    if name.endswith("."):
        return [name]
    listed = [f"{name}.{domain.strip('.')}." for domain in search.domains]
    return [*listed, f"{name}."] if name.count(".") < search.ndots else [f"{name}.", *listed]


def expand(
    queries: Iterable[Query], search: Search, exists: Callable[[str], bool] | None = None
) -> Iterator[Query]:
    """Every query that a resolver sends for these names.

    exists: says whether a fully qualified name exists. Without it, names with enough dots exist, and of the other
    names only the last candidate.
    """
    for query in queries:
        if query.type in ABSOLUTE_TYPES:
            yield query
            continue
        for name in candidates(query.name, search):
            yield Query(name, query.type)
            if exists(name.lower()) if exists else name == f"{query.name}.":
                break
