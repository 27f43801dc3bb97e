from fastdns.bench.result import Result

class Load:
    def __init__(
        self,
        host: str,
        port: int,
        queries: list[bytes],
        *,
        outstanding: int = 256,
        sockets: int = 16,
        timeout_s: float = 1.0,
    ) -> None: ...
    def run(self, *, seconds: float = 0.0, count: int = 0) -> Result: ...
    def close(self) -> None: ...
