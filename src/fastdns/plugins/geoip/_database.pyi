from fastdns.serve._values import NativeValue

class Database:
    kind: str
    ip_version: int
    node_count: int
    def __init__(self, content: bytes) -> None: ...
    def text(self, address: bytes, keys: list[bytes]) -> bytes | None: ...

class GeoValue(NativeValue):
    def __init__(self, database: Database, keys: list[bytes], otherwise: bytes, edns_subnet: bool) -> None: ...
