from collections.abc import Iterable

from fastdns.serve._zones import NativeStep

class LoadbalanceStep(NativeStep):
    def __init__(self, policy: str, networks: Iterable[tuple[bytes, int]] = ()) -> None: ...
    def set_weights(self, weights: list[tuple[bytes, bytes, int]]) -> None: ...
