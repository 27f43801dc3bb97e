from fastdns.memory._store import Store
from fastdns.metrics._stats import Stats
from fastdns.serve._zones import ServerTable

class Worker:
    def __init__(
        self,
        table: ServerTable,
        store: Store | None = None,
        reader_slot: int = 0,
        stats: Stats | None = None,
        counter_slot: int = 0,
    ) -> None: ...
    @property
    def table(self) -> ServerTable: ...
    @property
    def store(self) -> Store | None: ...
    @property
    def stats(self) -> Stats | None: ...
    @property
    def reader_slot(self) -> int: ...
    @property
    def kept_bytes(self) -> int: ...
    def serve(
        self, message: bytes, *, client: bytes = b"\x7f\0\0\1", client_port: int = 0, tcp: bool = False
    ) -> bytes | None: ...
    def take_errors(self) -> list[tuple[int, int, bytes, int, str, int]]: ...
