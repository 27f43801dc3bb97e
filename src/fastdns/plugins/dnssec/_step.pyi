from collections.abc import Sequence

from fastdns.plugins.dnssec._signatures import Signatures
from fastdns.serve._values import BlockValue
from fastdns.serve.python._step import HandOver, Timed

def bitmap(types: Sequence[int]) -> bytes: ...

class DnssecStep(HandOver):
    def __init__(
        self,
        step: Timed,
        plugin: str,
        first_counter: int,
        values: Sequence[BlockValue],
        signatures: Signatures,
        keys: list[tuple[int, bool, int, int, bytes, int]],
        zones: list[bytes],
        counter: int,
        too_large: int,
    ) -> None: ...
