from collections.abc import Iterable, Mapping

from fastdns.plugins.log._ring import LogRing
from fastdns.plugins.log.format import Part
from fastdns.serve._zones import ServerTable

OPS: dict[str, int]

class LineReader:
    def __init__(self, formats: Mapping[int, Iterable[tuple[Part, ...]]]) -> None: ...
    def add_listener(self, table: ServerTable, address: str) -> None: ...
    def read(self, ring: LogRing) -> bytes: ...
