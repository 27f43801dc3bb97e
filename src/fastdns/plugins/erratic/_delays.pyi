from fastdns.serve._suspend import NativeService

NAME: str

class DelayService(NativeService):
    def __init__(self, room: int) -> None: ...
    @property
    def waiting(self) -> int: ...
