from fastdns.bench.transport import TlsOptions

class TlsClient:
    def __init__(self, options: TlsOptions, protocol: str, *, must_select: bool = False) -> None: ...
