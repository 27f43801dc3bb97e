from typing import Any

from fastdns.serve._values import NativeValue
from fastdns.serve._zones import NativeStep

class ForwardStep(NativeStep):
    def __init__(self, stanzas: list[dict[str, Any]]) -> None: ...

class UpstreamValue(NativeValue):
    def __init__(self, addresses: list[tuple[int, bytes]]) -> None: ...
