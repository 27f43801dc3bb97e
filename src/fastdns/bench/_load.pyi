from collections.abc import Sequence
from mmap import mmap

from fastdns.bench._questions import Questions
from fastdns.bench.result import Result
from fastdns.bench.transport import HttpOptions, TlsOptions
from fastdns.bench.tsig import TsigKey

class Load:
    def __init__(
        self,
        host: str,
        port: int,
        queries: Sequence[bytes] | Questions,
        *,
        outstanding: int = 256,
        sockets: int = 16,
        timeout_s: float = 1.0,
        transport: str = "udp",
        rate: float = 0.0,
        first: int = 0,
        step: int = 1,
        family: int = 0,
        local_address: str | None = None,
        buffer_bytes: int = 0,
        queries_per_connection: int = 0,
        tls: TlsOptions | None = None,
        http: HttpOptions | None = None,
        tsig: TsigKey | None = None,
        first_port: int = 0,
        verbose: bool = False,
        counters: mmap | bytearray | None = None,
    ) -> None: ...
    def run(self, *, seconds: float = 0.0, count: int = 0, start_ns: int = 0) -> Result: ...
    def close(self) -> None: ...

def packed_address(host: str, port: int, family: int = 0) -> tuple[int, bytes, str]: ...
