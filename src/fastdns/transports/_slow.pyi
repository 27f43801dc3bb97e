from collections.abc import Callable
from typing import Any

from fastdns.serve._suspend import NativeService
from fastdns.serve._worker import Worker

PARKED: object

class Messages:
    def next(self) -> object: ...
    def close(self, why: str = "peer") -> None: ...

class SlowPath:
    timed: bool
    def __init__(self, workers: list[Worker], services: list[NativeService] | None = None) -> None: ...
    @property
    def workers(self) -> list[Worker]: ...
    @property
    def may_wait(self) -> bool: ...
    @property
    def fd(self) -> int: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def waits(self) -> int: ...
    def give_up(self) -> None: ...
    def serve(
        self,
        listener: int,
        message: bytes,
        client: bytes,
        client_port: int,
        deliver: Callable[[bytes | None], object],
        *,
        transport: int = 1,
        local: bytes = b"",
    ) -> object: ...
    def ask(
        self,
        listener: int,
        message: bytes,
        client: bytes,
        client_port: int,
        deliver: Callable[[bytes | None], object],
        *,
        transport: int,
        depth: int,
        entry: tuple[int, int, int] | None = None,
        local: bytes = b"",
    ) -> object: ...
    def flush(self) -> None: ...
    def process(self) -> None: ...
    def tick(self) -> float | None: ...

class Serving:
    def __call__(
        self, message: bytes, client: bytes, client_port: int, deliver: Callable[[Any], object]
    ) -> object: ...

def serving(
    slow: SlowPath,
    listener: int,
    transport: int,
    otherwise: Callable[..., object],
    ask_soon: Callable[[], object],
    local: bytes = b"",
) -> Callable[..., object]: ...
