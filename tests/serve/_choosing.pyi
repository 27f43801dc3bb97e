from fastdns.serve._suspend import NativeService
from fastdns.serve._values import BlockValue, NativeValue
from fastdns.serve._zones import NativeFilter, NativeStep

class ChoosingFilter(NativeFilter):
    def __init__(
        self,
        *,
        network: tuple[bytes, int] | None = None,
        below: bytes | None = None,
        qtype: int = 0,
        qclass: int = 0,
        tcp: bool | None = None,
        server: bytes | None = None,
        value: tuple[BlockValue, bytes] | None = None,
    ) -> None: ...
    @property
    def qtype(self) -> int: ...
    @property
    def looked(self) -> int: ...

class FactValue(NativeValue):
    def __init__(self, text: bytes | None) -> None: ...
    def say(self, text: bytes | None) -> None: ...
    @property
    def computed(self) -> int: ...

class SayStep(NativeStep):
    def __init__(self, text: bytes, value: BlockValue | None = None, value_len: int = 0) -> None: ...

class AskStep(NativeStep):
    def __init__(self, name: bytes) -> None: ...

class WaitingRoom(NativeService):
    def __init__(self) -> None: ...
    def let_go(self) -> int: ...

class WaitStep(NativeStep):
    def __init__(self, room: WaitingRoom) -> None: ...
