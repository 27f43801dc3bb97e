from collections.abc import Collection, Sequence

from fastdns.plugins.log._ring import LogRing
from fastdns.serve._values import BlockValue, NativeValue
from fastdns.serve._zones import NativeStep

CLASSES: dict[str, int]

class LogStep(NativeStep):
    def __init__(
        self,
        block: int,
        rules: list[tuple[bytes, Collection[str], *tuple[BlockValue, ...]]],
        bounds: list[tuple[int, Sequence[tuple[Collection[str], int]]]] | None = None,
    ) -> None: ...

class ReplyValue(NativeValue):
    def __init__(self, name: str) -> None: ...

def log_reply(
    step: LogStep,
    ring: LogRing,
    message: bytes,
    *,
    rcode: int = 0,
    written: bool = True,
    aa: bool = False,
    ra: bool = False,
    ad: bool = False,
    answer: Sequence[tuple[int, bytes]] = (),
    authority: Sequence[tuple[int, bytes]] = (),
    additional: Sequence[tuple[int, bytes]] = (),
    options: bytes | None = None,
    client: bytes = ...,
    client_port: int = 0,
    tcp: bool = False,
    took_ns: int = 0,
    times: int = 1,
) -> None: ...
