from collections.abc import Callable, Iterable
from typing import Any

from fastdns._store import Writer
from fastdns.sources.base import Resource

class ClusterWriter:
    writer: Writer
    source: int
    def __init__(
        self,
        writer: Writer,
        source: int,
        needed: Iterable[Resource],
        *,
        endpoint_pod_names: bool = False,
        zonal: bool = False,
        on_latency: Callable[[str, float], None] | None = None,
        clock: Callable[[], float] = ...,
    ) -> None: ...
    def begin(self, resource: Resource) -> None: ...
    def upsert(self, resource: Resource, obj: Any) -> None: ...
    def delete(self, resource: Resource, obj: Any) -> None: ...
    def end(self, resource: Resource) -> None: ...
    def flush(self) -> None: ...
    @property
    def synced(self) -> bool: ...
