from fastdns.serve._suspend import NativeService
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from fastdns.transports._proxies import Proxies

class HotLoop:
    def __init__(
        self,
        worker: Worker,
        sockets: list[tuple[int, ServerTable, bool]],
        services: list[NativeService] | None = None,
        newest_first: dict[int, int] | None = None,
        proxied: dict[int, tuple[Proxies, int]] | None = None,
    ) -> None: ...
    def run(self) -> None: ...
    def stop(self) -> None: ...
