from fastdns.metrics._stats import Stats
from fastdns.plugins.forward.engine._shared import Upstreams
from fastdns.plugins.forward.engine._streams import StreamRings
from fastdns.serve._suspend import NativeService
from fastdns.serve._worker import Worker

SocketAddress = tuple[str, int] | tuple[str, int, int, int]

class ForwardEngine(NativeService):
    def __init__(
        self,
        upstreams: list[tuple[SocketAddress, SocketAddress | None, int, int]],
        shared: Upstreams,
        stats: Stats,
        counter_slot: int,
        room: int = 16384,
        stanzas: int = 1,
        socket_s: float = 10,
        sockets: int = 16,
    ) -> None: ...
    def serve_with(self, worker: Worker) -> None: ...
    @property
    def stats(self) -> Stats: ...
    @property
    def streams(self) -> StreamRings: ...
    @property
    def outstanding(self) -> int: ...
