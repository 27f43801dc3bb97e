from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastdns.memory._store import Writer
from fastdns.plugins.kubernetes.guard import Guard
from fastdns.plugins.kubernetes.records._cluster import ClusterRecords
from fastdns.plugins.kubernetes.sink import Resource

class ClusterWriter:
    def __init__(
        self,
        writer: Writer,
        source: int,
        needed: Iterable[Resource],
        *,
        endpoint_pod_names: bool = False,
        zonal: bool = False,
        exposed: bool = False,
        described: Sequence[str] = (),
        on_latency: Callable[[str, float], None] | None = None,
        on_left_out: Callable[[str, str], None] | None = None,
        guard: Guard | None = None,
        clock: Callable[[], float] = ...,
    ) -> None: ...
    @property
    def records(self) -> ClusterRecords: ...
    def begin(self, resource: Resource) -> None: ...
    def upsert(self, resource: Resource, obj: Any) -> None: ...
    def delete(self, resource: Resource, obj: Any) -> None: ...
    def end(self, resource: Resource) -> None: ...
    def flush(self) -> None: ...
    def settle(self) -> bool: ...
    def distrust(self) -> None: ...
    @property
    def synced(self) -> bool: ...
