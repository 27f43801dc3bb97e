from collections.abc import Callable

from fastdns._chain import Worker
from fastdns._upstream import Exchanges

PARKED: object

class SlowPath:
    def __init__(self, workers: list[Worker], exchanges: Exchanges | None = None) -> None: ...
    @property
    def workers(self) -> list[Worker]: ...
    @property
    def exchanges(self) -> Exchanges | None: ...
    @property
    def fd(self) -> int: ...
    @property
    def waits(self) -> int: ...
    def serve(
        self,
        listener: int,
        message: bytes,
        client: bytes,
        client_port: int,
        deliver: Callable[[bytes | None], None],
        *,
        tcp: bool = True,
    ) -> object: ...
    def process(self) -> None: ...
    def tick(self) -> float | None: ...
